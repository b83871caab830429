--- A token_info kept in the session of a web framework: what the session handlers share.
---
--- The session may be a table or a userdata, with __index and __newindex or without; what it raises
--- goes through to the caller.

local errors = require "tokencache.error"
local from_store = require "tokencache.cache.from_store"
local headers_sent = require "tokencache.cache.session_headers"
local in_words = require "tokencache.util.in_words"
local log = require "tokencache.log"
local object = require "tokencache.session.object"
local with_lock = require "tokencache.cache.session_lock"

local KEY = "token_info"

---@class tokencache.SessionHandler: tokencache.Handler
---@field private where string        the constructor's name, for messages
---@field private session fun(): any  called each time: a request can get another session
local Handler = { in_request = true }
Handler.__index = Handler

local function failure(self, message)
  return nil, errors.new("cache", self.where .. ": " .. message)
end

--- Returns the table that the session holds.
function Handler:get_cached_token()
  local token_info = self.session()[KEY]
  if token_info == nil then
    log.debug(self.where, ": no token is cached")
    return nil
  end
  if type(token_info) ~= "table" then
    return failure(self, 'session["' .. KEY .. '"] holds a ' .. type(token_info)
      .. " instead of a token_info table; remove it, or keep it under another key")
  end
  return token_info
end

--- Keeps the table itself. Assigns even what is there already: sessions notice an assignment, not a
--- change inside.
function Handler:save_token_to_cache(token_info)
  if type(token_info) ~= "table" then
    return failure(self, "a token_info is a table, not " .. in_words(token_info))
  end
  local refusal = headers_sent(self.where)
  if refusal then
    return nil, refusal
  end
  self.session()[KEY] = token_info
  return true
end

function Handler:remove_cached_token()
  local refusal = headers_sent(self.where)
  if refusal then
    return nil, refusal
  end
  self.session()[KEY] = nil
  return true
end

--- Why a new token could not be saved.
---@return tokencache.Error?
function Handler:refusal()
  local state = object.state(self.session())
  return headers_sent(self.where) or state and state.refusal and state:refusal() or nil
end

--- A session of tokencache.session that is kept on the server is written at once, at any time.
---@param where string
---@param session fun(): any
---@param lock? tokencache.Store
---@param opened? any  the session, where it is known already
---@return tokencache.SessionHandler|tokencache.LockedSession|tokencache.StoreHandler
return function(where, session, lock, opened)
  local state = object.state(opened)
  if state and state.store then
    return from_store(state.store(lock), state.key)
  end
  local handler = setmetatable({ where = where, session = session }, Handler)
  handler = with_lock(where, handler, lock, 3) -- no tail call, for the level that is blamed
  return handler
end
