--- Keys that no token has: those of locks that a store keeps among its entries, and those of marks,
--- which are kept beside a token and say something about it.

local core = require "tokencache._core"
local crypto = require "tokencache.crypto"
local errors = require "tokencache.error"

local reserved_key = {}

local LOCK, MARK = "tokencache-lock:", "tokencache-mark:"

local byte = string.byte
local FIRST = byte(LOCK) -- of all that a store keeps for itself

---@param name string
---@return string
function reserved_key.of_lock(name)
  return LOCK .. name
end

--- The key of the mark beside the entry at `key`.
---@param key string
---@return string
function reserved_key.of_mark(key)
  return MARK .. key
end

--- The key of a document of the provider's in a store, by its digest: that of the mark beside an
--- entry that no token has.
---@param store tokencache.Store
---@param digest string
---@return string
function reserved_key.of_document(store, digest)
  local key = LOCK .. digest
  return store.mark_key and store:mark_key(key) or reserved_key.of_mark(key)
end

local function is_lock(key)
  return key:sub(1, #LOCK) == LOCK
end

--- Reports whether it is a lock's or a mark's: no token is kept there, and no list of keys has it.
---@param key string
---@return boolean
function reserved_key.is_reserved(key)
  return is_lock(key) or key:sub(1, #MARK) == MARK
end

--- Why a token cannot have this key, in words that go after the key's name.
---@param key string  which is reserved
---@return string
function reserved_key.problem(key)
  return ("must not start with %q, as those of %s do; choose another"):format(
    is_lock(key) and LOCK or MARK, is_lock(key) and "locks" or "marks")
end

--- Why a store that keeps locks among its entries cannot have an entry at this key, if it cannot.
---@param place string  the store, for the message
---@param key string
---@param other? string  another beginning that the store keeps for itself, as long as that of locks
---@return tokencache.Error?
function reserved_key.refusal(place, key, other)
  if byte(key) ~= FIRST then -- so for nearly all
    return nil
  end
  local start = key:sub(1, #LOCK)
  if start == LOCK or start == other then
    return errors.new("cache", ("%s: a key must not start with %q, as %s do; choose another")
      :format(place, start, start == LOCK and "locks" or "lists of keys"))
  end
end

--- A handle of a lock that is about to be taken, with an owner like no other.
---@param name string  where the store keeps it
---@return { name: string, owner: string }?
---@return tokencache.Error?
function reserved_key.new_handle(name)
  local random, err = crypto.random(16)
  if not random then
    return nil, err
  end
  return { name = name, owner = core.base64url_encode(random) }
end

return reserved_key
