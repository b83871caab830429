--- A store in a directory: a file for each key, replaced as a whole and private to this user.

local blocking = require "tokencache.blocking"
local check_bytes = require "tokencache.store.check_bytes"
local core = require "tokencache._core"
local directories = require "tokencache.store.directory"
local file_lock = require "tokencache.store.file_lock"
local file_name = require "tokencache.store.file_name"
local key_names = require "tokencache.key"
local log = require "tokencache.log"
local options = require "tokencache.util.options"
local reserved_key = require "tokencache.store.reserved_key"

local file = blocking.worker "file"

--- How many keys a page of the list has at most.
local PAGE = 200

--- What messages show of a name whose key may hold the id of a session; nil: all of it.
local function trace_of(name)
  local stem = file_name.stem(name)
  local first, rest = stem:match("^(.-%%3a)(.*)$")
  if not first or #first > key_names.LONGEST_SHOWN then
    first, rest = "", stem
  end
  if file_name.is_digest(name) or #rest <= key_names.LONGEST_SHOWN then
    return nil
  end
  return first .. rest:sub(1, key_names.TRACE)
end

local function in_pattern(text)
  return (text:gsub("%p", "%%%0"))
end

--- Makes of the path in a text a pattern of the shell, which finds the file.
local function shown(path, text)
  local trace = trace_of(path:match("[^/]*$"))
  text = text or path
  return trace and text:gsub("/" .. in_pattern(trace) .. "[a-z0-9._%%=-]*", function()
    return "/" .. trace .. "*"
  end) or text
end

--- The same in a failure's message.
local function quiet(path, result, err)
  if result == nil and type(err) == "table" then
    err.reason = err.message:gsub(in_pattern(path), "")
    err.message = shown(path, err.message)
  end
  return result, err
end

---@class tokencache.FileStore: tokencache.Store
---@field private directory string
---@field private allow_foreign? boolean
---@field identity string  what other stores on the same directory have too
local Store = { can_save_anew = true }

local metatable = {
  __index = Store,
  __name = "tokencache.store",
  __tostring = function(self)
    return "tokencache.store.file: " .. self.directory
  end,
}

---@return tokencache.FileUse
local function use_of(self, header)
  return { header = header, allow_foreign = self.allow_foreign, directory = self.directory }
end

--- Calls a function for the file of a key.
---@param call fun(path: string, use: tokencache.FileUse, ...: any): any, any
local function on_file(self, key, call, ...)
  local name, header = file_name.of(key)
  if not name then
    return nil, header -- an error
  end
  local path = self.directory .. "/" .. name
  return quiet(path, call(path, use_of(self, header), ...))
end

local function read(path, use)
  local bytes, err, doubt = file.get(path, use)
  if bytes == nil and err == nil then
    return nil, directories.failure(use.directory)
  elseif doubt then
    log.repeated("warning", path .. doubt, function() return core.printable(shown(path)) end,
      ": ", doubt)
  end
  return bytes, err
end

function Store:get(key)
  return on_file(self, key, read)
end

local MARK = reserved_key.of_mark("")

--- The mark's own name tells it from entries, however long the key is. Of a long one it is the mark
--- beside that of its digest: no key begins like a mark.
---@param key string
---@return string
function Store:mark_key(key) -- luacheck: ignore 212
  local mark = MARK .. key
  local digest = file_name.is_long(mark) and key_names.sha256(key)
  return digest and MARK .. MARK .. digest or mark
end

local SWEEP = 3600 -- seconds between two looks for marks that have ended
local swept = {}   -- by directory: when it was looked through, in monotonic seconds

--- Marks have a time to live, all the same one but for a provider's documents, and files have none.
local function sweep_marks(self, seconds)
  local now, last = core.monotonic(), swept[self.identity]
  if not last or now - last > SWEEP then
    swept[self.identity] = now
    file.remove_old(self.directory, file_name.start_of(MARK),
      file_name.start_of(reserved_key.of_mark(reserved_key.of_lock(""))), seconds)
  end
end

--- An entry stays until it is replaced or deleted: a file does not end by itself.
---@param ttl? number  seconds; heeded of marks only
function Store:set(key, bytes, ttl)
  check_bytes("store.file", bytes)
  if ttl and key:sub(1, #MARK) == MARK then
    sweep_marks(self, ttl)
  end
  return on_file(self, key, file.put, bytes)
end

--- The file is read again, then written: who writes it between the two, and knows no lock, is
--- overwritten.
function Store:replace(key, old, bytes, _, handle)
  check_bytes("store.file", bytes, "replace", old)
  return directories.unless_away(self.directory,
    on_file(self, key, file.replace, old, bytes, handle))
end

--- Tries whether there is room, without touching the entry that is there.
function Store:can_save(key, bytes, _, handle)
  return directories.unless_away(self.directory, on_file(self, key, file.can_save, bytes, handle))
end

function Store:delete(key)
  return on_file(self, key, file.remove)
end

--- Ends with the process that holds it, or with the guard, and not by a time to live. All locks of
--- a directory are on one file there, each on a byte of its own.
function Store:try_lock(name)
  return on_file(self, name, file_lock.try)
end

Store.keep_lock, Store.unlock = file_lock.keep, file_lock.unlock

local function add_key(keys, name, escaped, prefix)
  local key = escaped and file_name.key_of(name, escaped)
  if key and key:sub(1, #prefix) == prefix and not reserved_key.is_reserved(key) then
    keys[#keys + 1] = key
  end
end

--- Long keys are in their files. Those that older versions wrote have none until they are saved
--- anew.
local function add_long_keys(self, keys, names, prefix)
  local found, problems = file.match_each(self.directory, names, file_name.HEADER_PATTERN,
    use_of(self))
  if not found then
    return nil, problems
  end
  for _, problem in ipairs(problems) do
    log.warning("store.file: a key is left out of the list: ", problem)
  end
  for i, name in ipairs(names) do
    add_key(keys, name, found[i], prefix)
  end
  return true
end

--- The directory is read for the first page; a key that is deleted before its page comes may be
--- listed all the same.
function Store:keys(prefix, cursor)
  local names, at = cursor and cursor.names, cursor and cursor.at or 1
  if not names then
    local err
    local starts = { file_name.start_of(prefix), file_name.DIGEST }
    names, err = file.names(self.directory, starts, file_name.SUFFIX)
    if not names then
      return nil, err
    end
  end
  local keys, long = {}, {}
  for _ = 1, PAGE do
    local name, next_at = names:match("([^/]+)/()", at)
    if not name then
      break
    elseif file_name.is_digest(name) then
      long[#long + 1] = name
    else
      add_key(keys, name, file_name.stem(name), prefix)
    end
    at = next_at
  end
  if #long > 0 then
    local added, err = add_long_keys(self, keys, long, prefix)
    if not added then
      return nil, err
    end
  end
  return keys, at <= #names and { names = names, at = at } or nil
end

local RULES = {
  directory = { "string", required = true },
  allow_foreign = { "boolean" },
}

---@class tokencache.FileStoreOptions
---@field directory string        it must exist; nobody else should be able to write there
---@field allow_foreign? boolean  files, and their lock, may belong to another user than this one or
---                               root, or everybody may write to them, and so plant a login

---@param opts tokencache.FileStoreOptions
---@return tokencache.FileStore
return function(opts)
  local checked = options.check("store.file", opts, RULES)
  local directory = checked.directory
  if directory == "" then
    error("store.file: directory is empty", 2)
  end
  if directory:find("%z") then
    error("store.file: directory holds a NUL byte", 2)
  end
  return setmetatable({
    directory = directory,
    allow_foreign = checked.allow_foreign,
    identity = "file:" .. core.file.real_path(directory),
  }, metatable)
end
