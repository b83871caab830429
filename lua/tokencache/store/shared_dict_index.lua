--- Which keys a store has in a shared dictionary of nginx. The dictionary can only list all of them
--- at once, under the lock that every worker needs: 24 to 90 ms for 100,000 keys, where a get takes
--- 0.3 to 2 us. So each key has a *slot*, an entry "tokencache-keys:NUMBER" that holds the key and
--- ends with its entry, and whose number is the entry's flags. A slot that has become free is taken
--- again: of numbers there are no more than a small multiple of the most keys there ever were.
---
--- Workers do not exclude each other here. Where two save the same new key at once, one of the
--- slots is not the entry's, and is cleared away by a later listing. A key that was left without a
--- slot, because memory had run out or another worker deleted it meanwhile, is not listed until its
--- next save, which finds that out.

local ngx = require("tokencache.environment").nginx

local index = {}

local PREFIX = "tokencache-keys:"
local TOP = PREFIX .. "top"         -- the highest number of a slot
local LISTING = PREFIX .. "listing" -- counts the listings, from the time of the first one
local PROBES = 4                    -- slots that are looked at before there is one more
local PAGE = 200                    -- slots: 0.5 to 2.5 ms

index.PREFIX = PREFIX

--- Counts a number up. The first one is added by itself, as incr would evict others for it.
---@return integer?
---@return string? problem
local function count(dict, add, name, first)
  local number = dict:incr(name, 1)
  if number then
    return number
  end
  local added, problem = dict[add](dict, name, first)
  if added or problem == "exists" then
    return dict:incr(name, 1)
  end
  return nil, problem
end

--- Takes a slot if it is free. Its flags tell the last listing that had begun by then.
---@param add "add"|"safe_add"  the dictionary's method for it
---@return boolean taken
---@return string? problem  "exists" where it is not free
local function take(dict, add, slot, key, ttl)
  local taken, problem = dict[add](dict, PREFIX .. slot, key, ttl, dict:get(LISTING) or 0)
  return taken == true, problem
end

--- Looks for a free one among the slots that there were.
---@return integer? slot
---@return string? problem  "exists" where none was found free
local function take_free(dict, add, key, ttl)
  local top, hash = dict:get(TOP) or 0, ngx.crc32_short(key)
  local step = 2 * math.floor(hash / 65536) + 1
  for probe = 1, top > 0 and PROBES or 0 do
    local slot = (hash + probe * step) % top + 1
    local taken, problem = take(dict, add, slot, key, ttl)
    if taken then
      return slot
    elseif problem ~= "exists" then
      return nil, problem
    end
  end
  return nil, "exists"
end

--- Finds a slot for a new key.
---@param dict table
---@param add "add"|"safe_add"
---@param key string
---@param ttl number       seconds; 0: for good
---@return integer? slot   nil: there is no memory for one, and the key is not listed
function index.claim(dict, add, key, ttl)
  if not dict:get(TOP) then
    dict[add](dict, LISTING, ngx.time()) -- while there is memory for it
  end
  local slot, problem = take_free(dict, add, key, ttl)
  while problem == "exists" do -- another worker may take the new number before this one does
    local taken
    slot = count(dict, add, TOP, 0)
    if not slot then
      return nil
    end
    taken, problem = take(dict, add, slot, key, ttl)
    slot = taken and slot or nil
  end
  return slot
end

--- Gives the slot of an entry that was just saved its time to live.
---@return boolean  false: the slot is not the key's
function index.keep(dict, add, slot, key, ttl)
  local holder = dict:get(PREFIX .. slot)
  if holder == key and add == "safe_add" then
    return dict:expire(PREFIX .. slot, ttl) == true
  elseif slot > (dict:get(TOP) or 0) then -- that was evicted, or the flags are not of this store
    return false
  elseif holder == key then
    return dict:expire(PREFIX .. slot, ttl) == true
  end
  return holder == nil and take(dict, add, slot, key, ttl)
end

--- To be called before the entry is deleted: whoever saves it meanwhile takes the slot anew.
function index.release(dict, slot, key)
  if dict:get(PREFIX .. slot) == key then
    dict:delete(PREFIX .. slot)
  end
end

--- The key of a slot, if its entry is there and had the slot before this listing began: one that
--- has got it since may have been listed by another. Where the entry has gone the slot is freed,
--- unless it is so new that the entry may be about to be saved.
local function key_of(dict, slot, listing)
  local key, since = dict:get(PREFIX .. slot)
  since = since or 0
  if not key or since >= listing then
    return nil
  end
  local bytes, flags = dict:get(key)
  if type(bytes) == "string" and flags == slot then
    return key
  elseif since < listing - 1 then
    dict:delete(PREFIX .. slot)
  end
end

--- Lists keys as a store's `keys` does.
---@param dict table
---@param add "add"|"safe_add"
---@param prefix string
---@param cursor? { next: integer, listing: integer }
---@return string[]? keys
---@return table|string|nil cursor  or a problem
function index.page(dict, add, prefix, cursor)
  local keys, first, top = {}, cursor and cursor.next or 1, dict:get(TOP)
  if not top then
    return keys
  end
  local listing, problem = cursor and cursor.listing, nil
  if not cursor then
    listing, problem = count(dict, add, LISTING, ngx.time())
  end
  if not listing then
    return nil, problem
  end
  local last = math.min(first + PAGE - 1, top)
  for slot = first, last do
    local key = key_of(dict, slot, listing)
    if key and key:sub(1, #prefix) == prefix then
      keys[#keys + 1] = key
    end
  end
  return keys, last < top and { next = last + 1, listing = listing } or nil
end

return index
