--- Sessions in files that a framework has named, a file for each, replaced as a whole: a place of
--- tokencache.session.kept. Between the look and the rename another may write, and is overwritten.

local blocking = require "tokencache.blocking"
local core = require "tokencache._core"

local file = blocking.worker "file"

local Files = {}
Files.__index = Files

--- A result, or an error that does not show the key: who has that has the session.
local function quiet(self, key, result, err)
  if result == nil and type(err) == "table" then
    local name = self.name(key):gsub("%p", "%%%0")
    err.message = err.message:gsub(name, function() return "*" end)
  end
  return result, err
end

function Files:get(key)
  local bytes, err = file.get(self.directory .. "/" .. self.name(key), self.use)
  if bytes == "" then
    return nil -- Django makes an empty one first
  end
  return quiet(self, key, bytes, err)
end

function Files:replace(key, old, bytes)
  local path = self.directory .. "/" .. self.name(key)
  local done, err = file.replace(path, self.use, old, bytes)
  if done == false and old == nil then -- an empty one counts as none
    done, err = file.replace(path, self.use, "", bytes)
  end
  return quiet(self, key, done, err)
end

---@param directory string
---@param name fun(key: string): string
---@param allow_foreign? boolean  the files may be another user's
return function(directory, name, allow_foreign)
  return setmetatable({
    directory = directory,
    name = name,
    use = { allow_foreign = allow_foreign },
    identity = "session-file:" .. core.file.real_path(directory),
  }, Files)
end
