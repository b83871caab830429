--- A store in a shared dictionary of nginx (lua_shared_dict): shared by its workers, kept over a
--- reload, gone with nginx. It never waits, so it works in every phase.

local can_save = require "tokencache.store.can_save"
local check_bytes = require "tokencache.store.check_bytes"
local core = require "tokencache._core"
local errors = require "tokencache.error"
local index = require "tokencache.store.shared_dict_index"
local log = require "tokencache.log"
local ngx = require("tokencache.environment").nginx
local options = require "tokencache.util.options"
local reserved_key = require "tokencache.store.reserved_key"

local PLACE = "shared dictionary"
local LEAST_TTL = 0.001 -- seconds; nginx takes 0 for ever
local MOST_TTL = 1e9    -- three decades; nginx counts milliseconds in an integer
local SAFELY = 0.1      -- seconds that a lock must have left to be released by hand

local serial = 0 -- of the locks taken by this worker process

---@class tokencache.SharedDictStore: tokencache.Store
---@field identity string|table  the dictionary's name, which all workers have for it
---@field private dict table
---@field private evict boolean
---@field private warned? boolean
local Store = {}

local metatable = {
  __index = Store,
  __name = "tokencache.store",
  __tostring = function()
    return "tokencache.store.shared_dict"
  end,
}

local function failure(message)
  if message == "no memory" then
    message = "no memory is left; enlarge the lua_shared_dict of the tokens"
  end
  return errors.new("cache", PLACE .. ": " .. message)
end

local function refusal(key)
  return reserved_key.refusal(PLACE, key, index.PREFIX)
end

function Store:get(key)
  local err = refusal(key)
  if err then
    return nil, err
  end
  local bytes, problem = self.dict:get(key)
  if bytes == nil and problem then
    return nil, failure(problem)
  end
  return bytes
end

--- Calls a method that may run short of memory; what has expired is cleared away only then.
local function store(self, method, key, value, ttl, flags)
  local dict = self.dict
  local ok, problem, forcible = dict[method](dict, key, value, ttl, flags)
  if problem == "no memory" and dict:flush_expired() > 0 then
    ok, problem, forcible = dict[method](dict, key, value, ttl, flags)
  end
  return ok, problem, forcible
end

-- entries -----------------------------------------------------------------------------------------

local HEADER = 68 -- bytes that nginx puts before the key and the value
local SMALLEST, PAGE = 8, 4096
local ROOM = index.PREFIX .. "room:"

--- Reports whether nginx keeps as many bytes of keys and values in blocks of the same size: a power
--- of two, or else whole pages.
local function take_same_block(one, other)
  local least, most, block = math.min(one, other) + HEADER, math.max(one, other) + HEADER, SMALLEST
  while block < least do
    block = 2 * block
  end
  return most <= block and math.ceil(least / PAGE) == math.ceil(most / PAGE)
end

--- Reports whether there is memory for `bytes` in place of `old`. To save them would show it too,
--- but nginx frees the old entry before it looks for memory, and where it finds none both are gone.
---@return boolean ok
---@return string? problem
local function has_room(self, key, old, bytes)
  local size = #key + #bytes
  if self.evict or #old == #bytes or take_same_block(#key + #old, size) then
    return true
  end
  local name = ROOM .. ngx.worker.pid()
  local ok, problem = store(self, "safe_set", name, (" "):rep(math.max(0, size - #name)), 1)
  self.dict:delete(name)
  return ok, problem
end

--- Puts an entry into the dictionary. `old` is the one that is there, and stays if there is no
--- memory; nil: none is.
local function put(self, method, key, old, bytes, ttl, slot)
  if old then
    local ok, problem = has_room(self, key, old, bytes)
    if not ok then
      return nil, problem
    end
  end
  local ok, problem, forcible = store(self, method, key, bytes, ttl, slot or 0)
  if not ok and old then -- another worker has taken the memory that there was
    store(self, method, key, old, ttl, slot or 0)
  end
  return ok, problem, forcible
end

local function warn(self)
  if not self.warned then
    self.warned = true -- once for each worker
    log.warning(PLACE, ": no memory is left, tokens that are still good make room for "
      .. "others; enlarge the lua_shared_dict of the tokens")
  end
end

local function adder(self)
  return self.evict and "add" or "safe_add"
end

--- Saves an entry and its slot in the list of keys. `old` is the entry that is there, if one is,
--- and `had` is its slot. With `new` the save fails if another worker has made one meanwhile.
---@return true?
---@return string? problem
local function save(self, key, old, had, bytes, ttl, new)
  local dict, evict, add = self.dict, self.evict, adder(self)
  local slot = had or not reserved_key.is_reserved(key) and index.claim(dict, add, key, ttl) or nil
  local method = new and add or evict and "set" or "safe_set"
  local ok, problem, forcible = put(self, method, key, old, bytes, ttl, slot)
  if not ok and slot and not had then -- there may be memory for an entry without
    index.release(dict, slot, key)
    ok, problem, forcible = put(self, method, key, old, bytes, ttl)
  end
  if not ok then
    return nil, problem
  end
  if had and not index.keep(dict, add, had, key, ttl) then -- lost, or another program's flags
    dict[evict and "set" or "safe_set"](dict, key, bytes, ttl,
      index.claim(dict, add, key, ttl) or 0)
  end
  if forcible then
    warn(self)
  end
  return true
end

local function lasting(ttl)
  if not ttl then
    return 0
  end
  return ttl > LEAST_TTL and math.min(ttl, MOST_TTL) or LEAST_TTL -- of a NaN too
end

--- What is there, if it is an entry, and its slot; and an error, if the key cannot have one.
local function find(self, key)
  local err = refusal(key)
  if err then
    return nil, nil, err
  end
  local bytes, flags = self.dict:get(key)
  if type(bytes) == "string" then
    return bytes, flags
  end
  return nil, nil, bytes == nil and flags and failure(flags) or nil
end

function Store:set(key, bytes, ttl)
  check_bytes("store.shared_dict", bytes)
  local old, slot, err = find(self, key)
  if err then
    return nil, err
  end
  local ok, problem = save(self, key, old, slot, bytes, lasting(ttl))
  if not ok then
    return nil, failure(problem)
  end
  return true
end

--- Deletes the entry, and its slot in the list of keys, if it has one.
local function remove(self, key, slot)
  if slot then
    index.release(self.dict, slot, key)
  end
  self.dict:delete(key)
  return true
end

function Store:delete(key)
  local _, slot, err = find(self, key)
  if err then
    return nil, err
  end
  return remove(self, key, slot)
end

local function is_anothers(self, handle)
  local holder = self.dict:get(reserved_key.of_lock(handle.name))
  return holder ~= nil and holder ~= handle.owner
end

--- A dictionary cannot compare and set in one step: what another worker saves between the two, some
--- microseconds, is lost, unless `old` is nil. Within a worker nothing comes in between.
function Store:replace(key, old, bytes, ttl, handle)
  check_bytes("store.shared_dict", bytes, "replace", old)
  local found, slot, err = find(self, key)
  if err then
    return nil, err
  elseif found ~= old or handle and is_anothers(self, handle) then
    return false
  elseif bytes == nil then
    return remove(self, key, slot)
  end
  local ok, problem = save(self, key, old, slot, bytes, lasting(ttl), old == nil)
  if not ok and problem ~= "exists" then
    return nil, failure(problem)
  end
  return ok or false
end

Store.can_save = can_save

--- Lists what was saved by stores over this dictionary. With `evict`, once memory has run out, what
--- is known of keys is dropped like tokens are, and some may be missing until their next save.
function Store:keys(prefix, cursor)
  local keys, more = index.page(self.dict, adder(self), prefix, cursor)
  if not keys then
    return nil, failure(more)
  end
  return keys, more
end

-- locks -------------------------------------------------------------------------------------------

--- The serial starts anew in each process, and the number of a process comes back.
local function new_owner()
  serial = serial + 1
  return ("%d.%d.%.6f"):format(ngx.worker.pid(), serial, core.monotonic())
end

local function holds(self, handle)
  return self.dict:get(reserved_key.of_lock(handle.name)) == handle.owner
end

--- The lock is one among the workers of this nginx.
function Store:try_lock(name, ttl)
  local owner = new_owner()
  local ok, problem = store(self, "safe_add", reserved_key.of_lock(name), owner, lasting(ttl))
  if ok then
    return { name = name, owner = owner }
  elseif problem == "exists" then
    return false
  end
  return nil, failure(problem)
end

--- Another's lock, taken in between, may get more time, which does it no harm.
function Store:extend_lock(handle, ttl)
  local name = reserved_key.of_lock(handle.name)
  return holds(self, handle) and self.dict:expire(name, lasting(ttl)) == true
    and holds(self, handle)
end

--- A dictionary cannot compare and delete in one step. What is about to end is left to end, so that
--- no other can take the lock between the two.
function Store:unlock(handle)
  local left = holds(self, handle) and self.dict:ttl(reserved_key.of_lock(handle.name))
  if left and left > SAFELY then
    self.dict:delete(reserved_key.of_lock(handle.name))
  end
  return true
end

local RULES = {
  evict = { "boolean", default = false },
}

local function check_dict(dict)
  if not ngx then
    error("store.shared_dict: there are shared dictionaries in nginx only", 3)
  elseif type(dict) ~= "table" or dict.safe_set == nil then
    error("store.shared_dict: dict must be one of ngx.shared, not " .. (dict == nil
      and "nil; is there a lua_shared_dict of that name in http {}?" or "a " .. type(dict)), 3)
  end
end

--- A number that a worker gives to the object means nothing to the others.
local function identity_of(dict)
  for name, other in pairs(ngx.shared) do
    if rawequal(other, dict) then
      return "shared_dict:" .. name
    end
  end
  return dict
end

---@class tokencache.SharedDictOptions
---@field evict? boolean  true: where memory runs out, the tokens not used for longest make room,
---                      which suits a front of tokens that are kept elsewhere too; false, the
---                      default: a save fails then

---@param dict table  ngx.shared.NAME
---@param opts? tokencache.SharedDictOptions
---@return tokencache.SharedDictStore
return function(dict, opts)
  check_dict(dict)
  local evict = options.check("store.shared_dict", opts, RULES).evict
  return setmetatable({ dict = dict, identity = identity_of(dict), evict = evict }, metatable)
end
