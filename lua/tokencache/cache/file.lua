--- Keeps a token in a file, as spotipy does and in the same format.

local blank = require "tokencache.util.blank"
local blocking = require "tokencache.blocking"
local core = require "tokencache._core"
local directories = require "tokencache.store.directory"
local errors = require "tokencache.error"
local file_lock = require "tokencache.store.file_lock"
local file_path = require "tokencache.cache.file_path"
local from_store = require "tokencache.cache.from_store"
local log = require "tokencache.log"
local options = require "tokencache.util.options"

local file = blocking.worker "file"

--- The store of one file: its key is the path.
---@class tokencache.OneFile
---@field use tokencache.FileUse
---@field use_of_mark tokencache.FileUse
local OneFile = { identity = "path", can_save_anew = true }

local function is_something_else(bytes)
  return bytes ~= nil and not blank(bytes) and not bytes:find('"access_token"', 1, true)
end

local function left_alone(path)
  return errors.new("cache", core.printable(path) .. ": holds something other than a token and is "
    .. "left alone; choose another cache_path, or remove the file")
end

--- Beside the file: that somebody has logged out.
local MARK = ".tokencache-mark"

local function is_mark(path)
  return path:find(MARK, -#MARK, true) ~= nil -- LuaJIT crashes where memory runs out in `sub`
end

--- A path mistaken for another must not cost the file that is there. What once held a token may be
--- replaced even where it is damaged, and so may an empty file.
local function holds_something_else(self, path)
  if is_mark(path) then
    return nil
  end
  local bytes, err = file.get(path, self.use)
  return is_something_else(bytes) and left_alone(path) or err
end

local function directory_of(path)
  return path:match("^(.+)/[^/]*$") or "."
end

--- The same for all spellings of one path.
function OneFile:identity_key(path) -- luacheck: ignore 212
  local directory, name = path:match("^(.*/)([^/]*)$")
  directory = core.file.real_path(directory or ".")
  return (directory == "/" and "" or directory) .. "/" .. (name or path)
end

function OneFile:mark_key(path) -- luacheck: ignore 212
  return path .. MARK
end

function OneFile:get(path)
  local bytes, err, doubt = file.get(path, is_mark(path) and self.use_of_mark or self.use)
  if bytes == nil and err == nil then
    return nil, directories.failure(directory_of(path))
  elseif doubt then
    log.repeated("warning", path .. doubt, core.printable(path), ": ", doubt)
  end
  return bytes, err
end

function OneFile:set(path, bytes)
  local err = holds_something_else(self, path)
  if err then
    return nil, err
  end
  return file.put(path, self.use, bytes)
end

--- What is compared is what is replaced, so nothing else is lost; see store.file.
function OneFile:replace(path, old, bytes, _, handle)
  if is_something_else(old) then
    return nil, left_alone(path)
  end
  return directories.unless_away(directory_of(path),
    file.replace(path, self.use, old, bytes, handle))
end

function OneFile:can_save(path, bytes, _, handle)
  if is_something_else(bytes) then
    return nil, left_alone(path)
  end
  return directories.unless_away(directory_of(path),
    file.can_save(path, self.use, bytes, handle))
end

function OneFile:delete(path)
  local err = holds_something_else(self, path)
  if err then
    return nil, err
  end
  return file.remove(path)
end

function OneFile:try_lock(path)
  return file_lock.try(path, self.use)
end

OneFile.keep_lock, OneFile.unlock = file_lock.keep, file_lock.unlock

--- The same, where the path may be a symbolic link: all but reading, which follows links anyway, is
--- done where that leads to. The link may change, so each call looks.
local ThroughLink = setmetatable({}, { __index = OneFile })

for _, name in ipairs { "set", "replace", "can_save", "delete", "try_lock" } do
  local method = OneFile[name]
  ThroughLink[name] = function(self, path, ...)
    local target, err = file.target(path)
    if not target then
      return nil, err
    end
    return method(self, target, ...)
  end
end

for _, name in ipairs { "identity_key", "mark_key" } do
  local method = OneFile[name]
  ThroughLink[name] = function(self, path)
    return method(self, core.file.target(path) or path)
  end
end

local stores = {} -- by what they do, one for all handlers

local function store_for(follows, allows)
  local index = (follows and 2 or 0) + (allows and 1 or 0)
  stores[index] = stores[index] or setmetatable({
    use = { allow_foreign = allows, is_token = true }, use_of_mark = { allow_foreign = allows },
  }, { __index = follows and ThroughLink or OneFile })
  return stores[index]
end

local RULES = {
  cache_path = { "string" },
  username = { "string" },
  follow_symlink = { "boolean" },
  allow_foreign = { "boolean" },
}

local function check_not_empty(name, value)
  if value == "" then
    error("cache.file: " .. name .. " is empty", 3)
  end
end

---@class tokencache.FileOptions
---@field cache_path? string  the file; its directory must exist
---@field username? string    the file is `.cache-<username>` in the working directory
---@field follow_symlink? boolean  where the path is a symbolic link, replace what it leads to; by
---                            default that is an error. A link of another user's is not followed
---@field allow_foreign? boolean  the file, and its lock, may belong to another user than this one
---                            or root, or everybody may write to it, and so plant a login

--- Makes a handler for `cache_path`; without one for `.cache-<username>`, the username being
--- the option or the environment's SPOTIPY_CLIENT_USERNAME; without that for `.cache`.
---@param opts? tokencache.FileOptions
---@return tokencache.StoreHandler
return function(opts)
  local checked = options.check("cache.file", opts, RULES)
  check_not_empty("cache_path", checked.cache_path)
  check_not_empty("username", checked.username)
  local path, problem, way_out = checked.cache_path, nil, nil
  if not path then
    path, problem, way_out = file_path(checked.username)
  end
  if not path then
    error("cache.file: " .. problem .. way_out, 2)
  elseif path:find("%z") then
    error("cache.file: cache_path holds a NUL byte", 2)
  elseif is_mark(path) then
    error("cache.file: cache_path ends in " .. MARK .. ", as the names of marks do", 2)
  end
  local handler = from_store(store_for(checked.follow_symlink, checked.allow_foreign), path)
  handler.path = path
  return handler
end
