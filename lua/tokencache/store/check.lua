local options = require "tokencache.util.options"

--- What a store is. Its methods are described here, and in the stores only where they differ. All
--- return nil and an error where they fail; what each is for is told in docs/handlers.md.
---@class tokencache.Store
---@field get fun(self, key: string): string?, any  the bytes; nil: a miss
---@field set fun(self, key: string, bytes: string, ttl?: number): any, any  seconds; nil: for good
---@field delete? fun(self, key: string): any, any  a missing key is no failure
---@field try_lock? fun(self, name: string, ttl: number): any, any  takes a lock that ends by itself
---   after `ttl` seconds, or with the second result, its guard; returns a handle, which is plain
---   data; false: another holds it
---@field extend_lock? fun(self, handle: any, ttl: number): any, any  true: it ends `ttl` seconds
---   from now; false: it has ended
---@field keep_lock? fun(self, handle: any, ttl: number): any, any  the same, for a debt: from now
---   on try_lock returns false, "owed"
---@field unlock? fun(self, handle: any): any, any  a lock that has ended is no failure
---@field replace? fun(self, key: string, old?: string, bytes?: string, ttl?: number, handle?: any):
---   boolean?, any  saves `bytes`, or without them deletes the entry, if what is there is byte for
---   byte `old`, nothing for nil; `handle` is of the lock under which it is done; false: something
---   else is there, or another holds that lock
---@field can_save? fun(self, key: string, bytes: string, ttl?: number, handle?: any):
---   string|false|nil, any  shows that `replace` can save over `bytes`, which is what was read;
---   returns what is there now, the same or padded; false: as of replace
---@field can_save_anew? boolean  can_save also takes nil for `bytes`: nothing is there
---@field keys? fun(self, prefix: string, cursor?: any): string[]?, any  a page of the keys of
---   tokens, which may be empty, and the cursor of the next; nil: there is none
---@field identity? any           what an account is known by; default: the store itself
---@field identity_key? fun(self, key: string): string        beside it; default: the key
---@field mark_key? fun(self, key: string): string            of the mark beside the entry
---@field may_be_stale? boolean   get(key) may return an old copy, get(key, true) does not

local in_words = require "tokencache.util.in_words"

local METHODS = { "get", "set" }

--- What is wrong with an object as a store, in words; nil: nothing.
---@param store any
---@return string? problem
return function(store)
  if type(store) ~= "table" and type(store) ~= "userdata" then
    return "store must be a table or userdata, not " .. in_words(store)
  end
  if store.get_cached_token ~= nil and store.get == nil then
    return "store is a cache handler, which keeps one token; use one of tokencache.store"
  end
  local lacking = options.lacking(store, METHODS)
  return lacking
    and "store " .. lacking .. "; use one of tokencache.store, or give yours get and set"
end
