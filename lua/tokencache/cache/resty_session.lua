--- Keeps a token in a session of lua-resty-session 4, or of anything else with its methods get, set
--- and save: as text, so that nothing of it depends on how the session writes tables.

local errors = require "tokencache.error"
local from_store = require "tokencache.cache.from_store"
local options = require "tokencache.util.options"

local WHERE = "cache.resty_session"
local KEY = "token_info"

--- The store of one session, which may yield.
---@class tokencache.RestySessionStore: tokencache.Store
---@field private session table|userdata
local Store = {}
Store.__index = Store

local function save(self)
  local ok, err = self.session:save()
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

local RULES = { session = { "object", required = true } }

--- Makes a handler for the session's "token_info".
---@param opts { session: table|userdata }  open, as `require("resty.session").start` makes it
---@return tokencache.StoreHandler
return function(opts)
  local session = options.check(WHERE, opts, RULES).session
  for _, method in ipairs { "get", "set", "save" } do
    if session[method] == nil then
      error(WHERE .. ": session has no method " .. method, 2)
    end
  end
  local handler = from_store(setmetatable({ session = session }, Store), KEY)
  handler.in_request = true
  return handler
end
