--- A session that is kept on the server, in a store, under a key of its own. Both sides write whole
--- sessions. So what is saved here is what was assigned, put into the session as it is by then, and
--- written only over just that (`replace` of the store); where somebody else was faster, once more.
---
--- Its token_info is an entry of a store, too, for tokencache.cache.from_store: a renewal is saved
--- only over the token that was read, under a lock.

local core = require "tokencache._core"
local crypto = require "tokencache.crypto"
local errors = require "tokencache.error"
local json = require "tokencache.json"
local memory = require "tokencache.store.memory"
local signing = require "tokencache.session.signing"

local kept = {}

local KEY = "token_info"
local FILLING = "tokencache_room" -- in a token, while room is tried for a longer one
local MOST_SECONDS = 2 -- to save what others change meanwhile
local LOCK_LIFE = 10 -- seconds that a lock has after a look whether it is held
local ROOM = 768 -- bytes, random, that a token may become longer by a kilobyte

---@class tokencache.KeptSession
---@field where string            the constructor's name
---@field place tokencache.Store  of sessions
---@field key? string             the session's there; nil: a new session
---@field new_key fun(): string?, tokencache.Error?
---@field decode fun(bytes: string): table?, tokencache.Error?  nil without an error: it has expired
---@field encode fun(values: table, ttl: number): string?, tokencache.Error?
---@field ttl fun(values: table): number
---@field copy? table   where what was saved is put, too: its `place`, `encode`, and the `prefix` of
---   the session's key there
---@field exists? boolean         it was there once

local function failure(self, err)
  return errors.wrap("cache", err ~= nil and err or self.where .. ": the store has failed")
end

--- The values, and the bytes they are of; an empty table where there is no session. Or nil, nil and
--- an error.
local function read(self)
  local bytes, err = self.place:get(self.key)
  if bytes == nil and err ~= nil then
    return nil, nil, failure(self, err)
  end
  local values
  if bytes then
    values, err = self.decode(bytes)
    if err then
      return nil, nil, err
    end
  end
  return values or {}, bytes, nil, values ~= nil
end

local function replace(self, old, new, ttl, handle)
  local place = self.place
  if place.replace then
    return place:replace(self.key, old, new, ttl, handle)
  end
  local there, err = place:get(self.key)
  if there == nil and err ~= nil then
    return nil, err
  elseif there ~= old then
    return false
  end
  local ok
  if new == nil then
    ok, err = place:delete(self.key)
  else
    ok, err = place:set(self.key, new, ttl)
  end
  if errors.has_failed(ok, err) then
    return nil, err
  end
  return true
end

local function write_copy(self, values, ttl)
  local copy, key = self.copy, self.copy.prefix .. self.key
  local ok, err
  if next(values) == nil then
    ok, err = errors.done(copy.place:delete(key))
  else
    local bytes, problem = copy.encode(values)
    if not bytes then
      return nil, problem
    end
    ok, err = copy.place:set(key, bytes, ttl)
  end
  if errors.has_failed(ok, err) then
    return nil, failure(self, err)
  end
  return true
end

--- Writes a session whose bytes were `old`.
local function write(self, old, values, handle)
  local bytes, ttl, err
  if next(values) ~= nil then
    ttl = self.ttl(values)
    bytes, err = self.encode(values, ttl)
    if not bytes then
      return nil, err
    end
  elseif old == nil then
    return true
  end
  local done
  done, err = replace(self, old, bytes, ttl, handle)
  if done == nil then
    return nil, failure(self, err)
  elseif done then
    self.exists = bytes ~= nil
    if self.copy then
      return write_copy(self, values, ttl)
    end
  end
  return done
end

--- Reads, lets `change` do its part, and writes; again where another has written in between. A
--- session that has ended meanwhile is not brought back.
---@param change fun(values: table): boolean?  false: this is not what it is for
local function update(self, state, change, handle)
  local ends = core.monotonic() + MOST_SECONDS
  repeat
    local values, bytes, err, is_there = read(self)
    if not values then
      return nil, err
    elseif self.exists and not is_there then
      return signing.fail(self.where, "GONE", "the session has ended meanwhile")
    elseif change(values) == false then
      return false
    end
    local done
    done, err = write(self, bytes, values, handle)
    if done then
      state.values, state.changed, state.modified = values, {}, true
    end
    if done ~= false then
      return done, err
    elseif handle and self.place.extend_lock
      and self.place:extend_lock(handle, LOCK_LIFE) == false then
      return false
    end
  until core.monotonic() >= ends
  return signing.fail(self.where, "BUSY", ("others have changed the session again and again for %d "
    .. "seconds; try again"):format(MOST_SECONDS))
end

--- Writes what was assigned; where only something inside was changed, all.
local function save(self, state)
  local names = next(state.changed) ~= nil and state.changed or state.modified and state.values
    or {}
  return update(self, state, function(values)
    for name in pairs(names) do
      values[name] = state.values[name]
    end
  end)
end

---@class tokencache.SessionStore: tokencache.Store
---@field private session tokencache.KeptSession
---@field private state tokencache.SessionState
---@field private beside tokencache.Store  for marks and locks
---@field private knows_lock boolean        the session's own store heeds them
local Store = {}

--- The entry that a session's token is.
local function text_of(info)
  if info == nil or info == json.null then
    return nil
  elseif type(info) == "table" then
    info[FILLING] = nil -- a trial was not ended, or the application saw and kept it
  end
  return json.encode(info)
end

--- Calls a method of the store beside the session, for a key that is not the session's.
local function pass(self, name, ...)
  return self.beside[name](self.beside, ...)
end

function Store:get(key)
  local session, state = self.session, self.state
  if key ~= session.key then
    return pass(self, "get", key)
  end
  local values, _, err = read(session)
  if not values then
    return nil, err
  end
  state.values, state.changed = values, {}
  local text
  text, err = text_of(values[KEY])
  return text, err and errors.new("cache", session.where .. ": " .. err)
end

local function put(self, text, check, handle)
  local info = text and json.decode(text)
  return update(self.session, self.state, function(values)
    if check and not check(values[KEY]) then
      return false
    end
    values[KEY] = info
  end, handle)
end

--- The same under a lock that the session's own store does not heed: one that has ended is taken
--- anew for the time being.
local function put_beside(self, text, check, handle)
  local beside, own = self.beside, nil
  local held, err = beside:extend_lock(handle, LOCK_LIFE)
  if held == false then
    own, err = beside:try_lock(self.session.key, LOCK_LIFE)
    held = own
  end
  if not held then
    return held, held == nil and err or nil
  end
  local done
  done, err = put(self, text, check)
  if own then
    beside:unlock(own)
  end
  return done, err
end

function Store:set(key, text, ttl)
  if key ~= self.session.key then
    return pass(self, "set", key, text, ttl)
  end
  return put(self, text)
end

function Store:delete(key)
  if key ~= self.session.key then
    return pass(self, "delete", key)
  end
  return put(self)
end

--- Saves over the token that was read, whatever else has changed in the session.
function Store:replace(key, old, text, ttl, handle)
  if key ~= self.session.key then
    return pass(self, "replace", key, old, text, ttl, handle)
  end
  local function is_old(info)
    return text_of(info) == old
  end
  if self.knows_lock or not handle then
    return put(self, text, is_old, handle)
  elseif self.beside.extend_lock then
    return put_beside(self, text, is_old, handle)
  end
  return put(self, text, is_old)
end

--- The token with a member that makes it the size to expect of a new one, and that zlib cannot make
--- shorter.
local function longer(text)
  local info, bytes = json.decode(text), crypto.random(ROOM)
  if type(info) == "table" and bytes then
    info[FILLING] = core.base64url_encode(bytes)
  end
  return json.encode(info) or text
end

--- Writes what a session with that token would be, under another key: what only sets may drop what
--- it has no room to replace, as memcached does.
---@param to table  the session itself, or its copy
local function try_beside(session, to, old, more)
  local values, _, err = read(session)
  if not values then
    return nil, err
  elseif text_of(values[KEY]) ~= old then
    return false
  end
  values[KEY] = more and json.decode(more)
  local bytes, problem = to.encode(values, MOST_SECONDS)
  if not bytes then
    return nil, problem
  end
  local place, key = to.place, (to.prefix or "") .. session.key .. ":room"
  local ok, reason = place:set(key, bytes, MOST_SECONDS)
  if errors.has_failed(ok, reason) then
    return nil, failure(session, reason)
  end
  place:delete(key)
  return old
end

--- Writes the session with a longer token, and then as it was; its copy stays as it is.
function Store:can_save(key, old, _, handle)
  local session, more = self.session, old and longer(old)
  if not session.place.replace then
    return try_beside(session, session, old, more)
  elseif session.copy then
    local kept_beside, problem = try_beside(session, session.copy, old, more)
    if problem or kept_beside == false then
      return kept_beside, problem
    end
    local alone = setmetatable({ copy = false }, { __index = session })
    self = setmetatable({ session = alone }, { __index = self })
  end
  local done, err = self:replace(key, old, more, nil, handle)
  if done and old then
    done, err = self:replace(key, old, old, nil, handle)
  end
  return done and old, err
end
Store.can_save_anew = true

local LOCKS = {}
for _, name in ipairs { "try_lock", "extend_lock", "keep_lock", "unlock" } do
  LOCKS[name] = function(self, ...)
    return self.beside[name](self.beside, ...)
  end
end

local in_process -- for what has no locks of its own

--- The store in which the session's token_info is an entry.
local function store(self, state, lock)
  local beside = lock or self.place.try_lock and self.place
  if not beside then
    in_process = in_process or memory { max_entries = 10000 }
    beside = in_process
  end
  local methods = {}
  for name, method in pairs(Store) do
    methods[name] = method
  end
  for name, method in pairs(LOCKS) do
    methods[name] = beside[name] and method
  end
  return setmetatable({ session = self, state = state, beside = beside,
    knows_lock = beside == self.place, identity = self.place.identity },
    { __index = methods, __name = "tokencache.session" })
end

--- Opens the session. Where there is none of that key a new one begins, with a key of its own:
--- whoever made that one up shall not know it.
---@param self tokencache.KeptSession
---@param state table  more of the session's state: `set_cookie`
---@return tokencache.SessionState?
---@return tokencache.Error?
function kept.open(self, state)
  local values, _, err = {}, nil, nil
  if self.key then
    values, _, err, self.exists = read(self)
    if not values then
      return nil, err
    end
  end
  if not self.exists then
    self.key, err = self.new_key()
  end
  if not self.key then
    return nil, err
  end
  state.values, state.modified, state.changed, state.key = values, false, {}, self.key
  state.save = function(own) return save(self, own) end
  state.store = function(lock) return store(self, state, lock) end
  return state
end

return kept
