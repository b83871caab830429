--- Commands to memcached servers. The clients stay in this Lua state, one for each list of servers
--- and set of options.

local errors = require "tokencache.error"
local keys = require "tokencache.store.memcached_key"
local library = require "tokencache.util.library"
local lock_holder = require "tokencache.store.lock_holder"

local memcached = {}

--- By the options' identity: the client, its longest key's bytes, the last key that was asked for,
--- and the place of that.
---@type table<string, { client: userdata, longest: integer, key?: string, place?: string }>
local servers = {}

local function connect(options)
  local memcached_library, err = library("tokencache._memcached", "libmemcached")
  if not memcached_library then
    return nil, err
  end
  local client
  client, err = memcached_library.open(options.servers, options.options, options.timeout,
    options.connect_timeout, options.flags)
  if not client then
    return nil, err
  end
  local known = { client = client, longest = client:longest_key() }
  servers[options.identity] = known
  return known
end

--- The client, and the place of `key` there, if one is asked for; or nil and an error.
local function find(options, key)
  local known = servers[options.identity]
  if not known then
    local err
    known, err = connect(options)
    if not known then
      return nil, err
    end
  end
  if key and key ~= known.key then
    local place, err = keys.place(key, known.longest)
    if not place then
      return nil, err
    end
    known.key, known.place = key, place
  end
  return known.client, known.place
end

--- Methods of the client, for the entry of a key. All here return nil and an error where they fail,
--- and "reconnected" beside a result where the connection had to be made anew. Options are those of
--- tokencache.store.memcached, checked, with an `identity`.
---
---     get(options, key)              --> bytes; false: there is no such entry
---     set(options, key, bytes, ttl)  --> true; the ttl is in seconds, nil: for good
---     delete(options, key)           --> boolean; false: there was no such entry
for _, method in ipairs { "get", "set", "delete" } do
  memcached[method] = function(options, key, ...)
    local client, place = find(options, key)
    if not client then
      return nil, place -- an error
    end
    return client[method](client, place, ...)
  end
end

--- For a store in this Lua state, which need not come here for a key that is asked for again: the
--- record in `servers`, kept up to date.
---@return { client: userdata, key?: string, place?: string }?  nil: nothing was asked yet
function memcached.near(options)
  return servers[options.identity]
end

--- Makes an entry that is not there yet, under a name of our own. One that holds the same bytes
--- counts as made: after a lost connection the first attempt may have been the one that made it.
---@return boolean?  false: there is another
function memcached.add(options, name, bytes, ttl)
  local client, err = find(options)
  if not client then
    return nil, err
  end
  local added, note = client:add(name, bytes, ttl)
  if added == false and note == "reconnected" then
    local found
    found, err = client:get(name)
    if found == nil then
      return nil, err
    end
    return found == bytes, note
  end
  return added, note
end

local MOST_TRIES = 3 -- each after a connection lost in the middle of the one before

local function no_versions(options)
  return errors.new("cache", options.place .. ": the server keeps no versions of its entries, "
    .. "which locks and renewals need; start memcached without -C")
end

--- Takes a lock, as `add` does, from a server that can also release it.
---@return string|false|nil holder  what it holds now; false: it has just ended
function memcached.lock(options, name, owner, ttl)
  local added, note = memcached.add(options, name, owner, ttl)
  if added == nil then
    return nil, note
  end
  local client = find(options)
  local holder, version = client:gets(name)
  if holder == nil and added then
    return owner, note -- what fails here does not keep the holder from releasing it
  elseif holder == nil then
    return nil, version -- an error
  elseif holder == owner and not version then
    client:delete(name)
    return nil, no_versions(options)
  end
  return holder, note
end

--- Puts `bytes` in place of `old`, compared and set in one step (CAS): an entry that another has
--- made meanwhile stays as it is. Without `bytes` the old ones end at once.
---@param part? fun(found: string): string  what is compared with `old`; default: all of it
local function swap(options, client, name, old, bytes, ttl, part)
  if bytes == nil then
    ttl = 0
  end
  local may_be_done = false -- by an attempt whose answer was lost
  for _ = 1, MOST_TRIES do
    local found, version = client:gets(name)
    if found == nil and version ~= nil then
      return nil, version -- an error
    elseif (found and part and part(found) or found) ~= old then
      return may_be_done and found == (bytes or false)
    elseif not version then
      return nil, no_versions(options)
    end
    local done, note = client:cas(name, bytes or "", ttl, version)
    if done ~= false then
      return done, note
    end
    may_be_done = may_be_done or note == "reconnected"
  end
  return false
end

--- Gives the owner's lock another time to live, and `lock` to hold; without that it ends.
---@return boolean?  false: it has ended, or another has it
function memcached.keep(options, name, owner, lock, ttl)
  local client, err = find(options)
  if not client then
    return nil, err
  end
  return swap(options, client, name, owner, lock, ttl, lock_holder.owner_of)
end

--- Saves an entry, or ends it, only if the one that is there is `old`. The lock is read first:
--- memcached cannot look at two entries in one step, so another may take a lock that ends between
--- the two. What that one saves before `bytes` are set is not overwritten.
---@param lock? { name: string, owner: string }  where another has it, nothing is saved
---@param key string
---@param old? string   nil: only if there is no such entry
---@param bytes? string nil: `old` is deleted
---@param ttl? number   seconds; nil: for good
---@return boolean?     false: something else is there, or another has the lock
function memcached.replace(options, lock, key, old, bytes, ttl)
  local client, place = find(options, key)
  if not client then
    return nil, place -- an error
  end
  local holder, err = false
  if lock then
    holder, err = client:get(lock.name)
    if holder == nil then
      return nil, err
    end
  end
  if holder and lock_holder.owner_of(holder) ~= lock.owner then
    return false
  elseif old == nil then
    return memcached.add(options, place, bytes, ttl)
  end
  return swap(options, client, place, old, bytes, ttl)
end

return memcached
