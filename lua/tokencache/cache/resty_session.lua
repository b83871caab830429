--- Keeps a token in a session of lua-resty-session 4, or of anything else with its methods get, set
--- and save: as text, so that nothing of it depends on how the session writes tables.

local errors = require "tokencache.error"
local from_store = require "tokencache.cache.from_store"
local headers_sent = require "tokencache.cache.session_headers"
local options = require "tokencache.util.options"
local with_lock = require "tokencache.cache.session_lock"

local WHERE = "cache.resty_session"
local KEY = "token_info"

--- The store of one session, which may yield.
---@class tokencache.RestySessionStore: tokencache.Store
---@field private session table|userdata
local Store = {}
Store.__index = Store

local function refusal()
  return headers_sent(WHERE)
end

--- lua-resty-session says that all went well also where its header comes too late.
local function save(self)
  local err = refusal()
  if err then
    return nil, err
  end
  local ok
  ok, err = self.session:save()
  if not ok then
    return nil, errors.new("cache", WHERE .. ": the session could not be saved"
      .. (err ~= nil and ": " .. tostring(err) or ""))
  end
  return true
end

function Store:get(key)
  local text = self.session:get(key)
  return text
end

function Store:set(key, text)
  self.session:set(key, text)
  return save(self)
end

--- A session that has no token is not saved: that would begin one for whoever only looks.
function Store:delete(key)
  if self.session:get(key) == nil then
    return true
  end
  self.session:set(key, nil)
  return save(self)
end

local RULES = { session = { "object", required = true }, lock = { "object" } }

--- Makes a handler for the session's "token_info".
---@param opts tokencache.SessionHandlerOptions
---@return tokencache.StoreHandler|tokencache.LockedSession
return function(opts)
  local checked = options.check(WHERE, opts, RULES)
  local session = checked.session
  local problem = options.lacking(session, { "get", "set", "save" })
  if problem then
    error(WHERE .. ": session " .. problem, 2)
  end
  local handler = from_store(setmetatable({ session = session }, Store), KEY)
  handler.in_request, handler.refusal = true, refusal
  handler = with_lock(WHERE, handler, checked.lock, 2) -- no tail call, for the level blamed
  return handler
end
