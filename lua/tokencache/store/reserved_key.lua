--- Keys that no token has: those of locks that a store keeps among its entries, and those of marks,
--- which are kept beside a token and say something about it.

local lock_key = require "tokencache.store.lock_key"

local reserved_key = {}

local LOCK, MARK = lock_key.of(""), "tokencache-mark:"

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

--- Reports whether it is a lock's or a mark's: no token is kept there, and no list of keys has it.
---@param key string
---@return boolean
function reserved_key.is_reserved(key)
  return key:sub(1, #LOCK) == LOCK or key:sub(1, #MARK) == MARK
end

--- Why a token cannot have this key, in words that go after the key's name.
---@param key string  which is reserved
---@return string
function reserved_key.problem(key)
  local is_lock = key:sub(1, #LOCK) == LOCK
  return ("must not start with %q, as those of %s do; choose another"):format(
    is_lock and LOCK or MARK, is_lock and "locks" or "marks")
end

return reserved_key
