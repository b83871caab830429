--- A store in a directory: a file for each key, replaced as a whole and private to this user.

local blocking = require "tokencache.blocking"
local check_bytes = require "tokencache.store.check_bytes"
local directory_failure = require "tokencache.store.directory"
local file_lock = require "tokencache.file_lock"
local key_names = require "tokencache.key"
local options = require "tokencache.options"

local file = blocking.worker "file"

--- Capitals are escaped too: some file systems do not tell them from small letters.
local UNSAFE = "[^a-z0-9._-]"

--- Temporary files and lock files lie beside a file and have other suffixes.
local SUFFIX = ".token"

--- A name of 255 bytes is the most; those of temporary files are up to 32 longer than the file's.
local LONGEST = 255 - #SUFFIX - 32

local DIGEST = "sha256=" -- its "=" is in no other name

--- A long key is known by its digest. No name begins with a dot.
---@return string? name
---@return tokencache.Error?
local function name_of(key)
  local name = key_names.escape(key, UNSAFE):gsub("^%.", "%%2e")
  if #name <= LONGEST then
    return name .. SUFFIX
  end
  local digest, err = key_names.sha256(key)
  if not digest then
    return nil, err
  end
  return DIGEST .. digest .. SUFFIX
end

--- What messages show of a name whose key may hold the id of a session; nil: all of it.
local function trace_of(name)
  local stem = name:sub(1, -1 - #SUFFIX)
  local first, rest = stem:match("^(.-%%3a)(.*)$")
  if not first or #first > key_names.LONGEST_SHOWN then
    first, rest = "", stem
  end
  if name:sub(1, #DIGEST) == DIGEST or #rest <= key_names.LONGEST_SHOWN then
    return nil
  end
  return first .. rest:sub(1, key_names.TRACE)
end

local function in_pattern(text)
  return (text:gsub("%p", "%%%0"))
end

--- Makes of the path in a failure's message a pattern of the shell, which finds the file.
local function quiet(path, result, err)
  local trace = result == nil and type(err) == "table" and trace_of(path:match("[^/]*$"))
  if trace then
    err.message = err.message:gsub("/" .. in_pattern(trace) .. "[a-z0-9._%%=-]*", function()
      return "/" .. trace .. "*"
    end)
  end
  return result, err
end

---@class tokencache.FileStore: tokencache.Store
---@field private directory string
local Store = {}

local metatable = {
  __index = Store,
  __name = "tokencache.store",
  __tostring = function(self)
    return "tokencache.store.file: " .. self.directory
  end,
}

local function path_of(self, key)
  local name, err = name_of(key)
  return name and self.directory .. "/" .. name, err
end

---@param key string
---@return string? bytes  nil without an error: a miss
---@return tokencache.Error?
function Store:get(key)
  local path, err = path_of(self, key)
  if not path then
    return nil, err
  end
  local bytes
  bytes, err = quiet(path, file.read(path))
  if bytes == nil and err == nil then
    return nil, directory_failure(self.directory)
  end
  return bytes, err
end

--- The entry stays until it is replaced or deleted: a file does not end by itself.
---@param key string
---@param bytes string
---@return true?
---@return tokencache.Error?
function Store:set(key, bytes)
  check_bytes("store.file", bytes)
  local path, err = path_of(self, key)
  if not path then
    return nil, err
  end
  return quiet(path, file.write(path, bytes))
end

---@param key string
---@return true?
---@return tokencache.Error?
function Store:delete(key)
  local path, err = path_of(self, key)
  if not path then
    return nil, err
  end
  return quiet(path, file.remove(path))
end

--- Ends with the process that holds it, or with the guard, and not by a time to live.
---@param name string
---@return any handle  false: another holds the lock
---@return any guard   or a tokencache.Error
function Store:try_lock(name)
  local path, err = path_of(self, name)
  if not path then
    return nil, err
  end
  return quiet(path, file_lock.try(path))
end

---@param handle any  from try_lock
---@return true?
---@return tokencache.Error?
function Store:unlock(handle) -- luacheck: ignore 212
  return file_lock.release(handle)
end

local RULES = {
  directory = { "string", required = true },
}

---@param opts { directory: string }  it must exist; nobody else should be able to write there
---@return tokencache.FileStore
return function(opts)
  local directory = options.check("store.file", opts, RULES).directory
  if directory == "" then
    error("store.file: directory is empty", 2)
  end
  if directory:find("%z") then
    error("store.file: directory holds a NUL byte", 2)
  end
  return setmetatable({ directory = directory }, metatable)
end
