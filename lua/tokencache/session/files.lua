--- Sessions in files that a framework has named, a file for each, replaced as a whole: a place of
--- tokencache.session.kept. Between the look and the rename another may write, and is overwritten.

local blocking = require "tokencache.blocking"
local core = require "tokencache._core"

local file = blocking.worker "file"

local Files = {}
Files.__index = Files

function Files:get(key)
  local bytes, err = file.get(self.path(key), self.use)
  if bytes == "" then
    return nil -- Django makes an empty one first
  end
  return bytes, err
end

function Files:replace(key, old, bytes)
  local path = self.path(key)
  local done, err = file.replace(path, self.use, old, bytes)
  if done == false and old == nil then -- an empty one counts as none
    return file.replace(path, self.use, "", bytes)
  end
  return done, err
end

---@param directory string
---@param name fun(key: string): string
---@param allow_foreign? boolean  the files may be another user's
return function(directory, name, allow_foreign)
  return setmetatable({
    path = function(key) return directory .. "/" .. name(key) end,
    use = { allow_foreign = allow_foreign },
    identity = "session-file:" .. core.file.real_path(directory),
  }, Files)
end
