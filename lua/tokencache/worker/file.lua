--- Reads and writes cache files. What belongs together, such as to read, compare and write, is one
--- call: nothing waits in between.

local blank = require "tokencache.util.blank"
local core = require "tokencache._core"
local lru = require "tokencache.util.lru"

local file = core.file

local worker = {}
for name, call in pairs(file) do
  worker[name] = call
end

--- Bytes of room that a new entry may need beyond the old one.
local ROOM = 16384

---@class tokencache.FileUse
---@field header? string          what the file begins with before the bytes
---@field allow_foreign? boolean  it and its lock may be another user's
---@field directory? string       all locks are on one file in it; else each on a file of its own
---@field is_token? boolean       it holds JSON, and may be written by programs that know no rename

--- Seconds before a file is read again that another program seems to be writing: spotipy empties
--- it, then writes.
local PAUSES = { 0.002, 0.004, 0.008, 0.016, 0.032, 0.064 }

local BRACE = ("}"):byte()

--- Reports whether it is JSON to its end. Few tokens hold an object, so what ends in a brace is one
--- most of the time.
local function is_whole(bytes)
  if blank(bytes) or bytes:byte(-1) ~= BRACE and not bytes:find("}%s*$") then
    return false
  end
  local first = bytes:find("{", 1, true)
  return not first or not bytes:find("{", first + 1, true)
    or require("tokencache.json").decode(bytes) ~= nil
end

local damaged = lru(64) -- by path: the stamps of files that have stayed so, which nobody is writing

local function read_token(path, use)
  for i = 1, #PAUSES + 1 do
    local bytes, err, doubt = file.read(path, use.allow_foreign)
    if not bytes or is_whole(bytes) then
      return bytes, err, doubt
    end
    local _, stamp = file.stamp(path)
    if not PAUSES[i] or stamp == damaged:get(path) then
      damaged:set(path, stamp or "")
      return bytes, err, doubt
    end
    core.sleep(PAUSES[i])
  end
end

--- What the file holds after its header, if it begins with that.
---@param path string
---@param use tokencache.FileUse
---@return string?
---@return tokencache.Error?
---@return string? doubt  about who has written it
function worker.get(path, use)
  if use.is_token then
    return read_token(path, use)
  end
  local bytes, err, doubt = file.read(path, use.allow_foreign)
  local header = use.header
  if bytes and header and bytes:sub(1, #header) == header then
    bytes = bytes:sub(#header + 1)
  end
  return bytes, err, doubt
end

local NO_USE = {}

--- Tries to take the lock of a file without waiting.
---@param path string
---@param use? tokencache.FileUse
---@param handle string  from new_lock
---@return boolean?      false: another holds it
---@return "owed"|tokencache.Error|nil more  "owed": that other keeps it for a debt
---@return boolean? is_here  that other is this very process
function worker.try_lock(path, use, handle)
  use = use or NO_USE
  if use.directory then
    return file.try_lock(use.directory, handle, use.allow_foreign, path:match("[^/]*$"))
  end
  return file.try_lock(path, handle, use.allow_foreign)
end

--- Takes the guard only to keep it so long.
local function unlocked(guard, handle, ...) -- luacheck: ignore 212
  file.unlock(handle)
  return ...
end

--- Calls `work(path, use, ...)` and returns its results; under the lock of the file, if a handle is
--- given. Where that lock has ended, it is taken anew for the time being; `work` is left out, and
--- the result false, where another holds it.
function worker.under_lock(path, use, handle, work, ...)
  if not handle or file.holds_lock(handle) then
    return work(path, use, ...)
  end
  local guard, own = file.new_lock()
  local locked, err = worker.try_lock(path, use, own)
  if not locked then
    return locked, locked == nil and err or nil
  end
  return unlocked(guard, own, work(path, use, ...))
end

--- Writes the file, whatever it holds.
---@param path string
---@param use tokencache.FileUse
---@param bytes string
---@return true?
---@return tokencache.Error?
function worker.put(path, use, bytes)
  return file.write(path, (use.header or "") .. bytes)
end

local function replace(path, use, old, bytes)
  local now, err = worker.get(path, use)
  if err then
    return nil, err
  elseif now ~= old then
    return false
  elseif bytes == nil then
    return file.remove(path)
  end
  return worker.put(path, use, bytes)
end

--- Writes the file if it holds `old`. Another program that knows no lock may write it between the
--- look and the rename, and is overwritten: no system call renames only over what was read.
---@param path string
---@param use tokencache.FileUse
---@param old string?     nil: only if there is no file
---@param bytes string?   nil: the file is removed
---@param handle string?  the file's lock, from try_lock
---@return boolean?       false: it holds something else, or another holds the lock
---@return tokencache.Error?
function worker.replace(path, use, old, bytes, handle)
  return worker.under_lock(path, use, handle, replace, old, bytes)
end

local function can_save(path, use, bytes)
  local now, err = worker.get(path, use)
  if err then
    return nil, err
  elseif now ~= bytes then
    return false
  end
  local can
  can, err = file.can_replace(path, #(use.header or "") + #(bytes or "") + ROOM)
  return can and bytes, err
end

--- Whether `replace` can be expected to succeed; the file is not touched.
---@param path string
---@param use tokencache.FileUse
---@param bytes string?   what it holds
---@param handle string?
---@return string|false|nil bytes  the same; false: as of replace
---@return tokencache.Error?
function worker.can_save(path, use, bytes, handle)
  return worker.under_lock(path, use, handle, can_save, bytes)
end

local function begins_with_one(name, starts)
  for _, start in ipairs(starts) do
    if name:sub(1, #start) == start then
      return true
    end
  end
end

--- The names in a directory that begin with one of `starts` and end with `ending`.
---@param directory string
---@param starts string[]
---@param ending string
---@return string? names  each followed by a "/", which no name holds
---@return tokencache.Error?
function worker.names(directory, starts, ending)
  local all, err = file.list(directory)
  if not all then
    return nil, err
  end
  local names = {}
  for name in all:gmatch("[^/]+") do
    if name:sub(-#ending) == ending and begins_with_one(name, starts) then
      names[#names + 1] = name .. "/"
    end
  end
  return table.concat(names)
end

--- Removes files that were written last more than some seconds ago.
---@param directory string
---@param start string    of their names
---@param except string   the start of some of these, which stay
---@param seconds number
function worker.remove_old(directory, start, except, seconds)
  local names = file.list(directory) or ""
  for name in names:gmatch("[^/]+") do
    local path = directory .. "/" .. name
    local written = begins_with_one(name, { start }) and not begins_with_one(name, { except })
      and file.stamp(path)
    if written and core.now() - written > seconds then
      file.remove(path)
    end
  end
  return true
end

--- Looks for a pattern at the start of each of some files.
---@param directory string
---@param names string[]
---@param pattern string     with one capture
---@param use tokencache.FileUse
---@return (string|false)[]  what was captured; false: nothing
---@return string[] problems messages about files that could not be read
function worker.match_each(directory, names, pattern, use)
  local found, problems = {}, {}
  for i, name in ipairs(names) do
    local bytes, err = file.read(directory .. "/" .. name, use.allow_foreign)
    found[i] = bytes and bytes:match("^" .. pattern) or false
    problems[#problems + 1] = err and err.message
  end
  return found, problems
end

return worker
