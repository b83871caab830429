--- Keeps a token in the session of a request, in the manner of Django.

local options = require "tokencache.util.options"
local session_handler = require "tokencache.cache.session"

local WHERE = "cache.django_session"
local RULES = { request = { "object", required = true }, lock = { "object" } }

---@class tokencache.DjangoHandlerOptions
---@field request table|userdata  whose field `session` holds the session
---@field lock? tokencache.Store  for requests of one browser at the same time

--- Makes a handler for `request.session["token_info"]`; the session is looked up at each call.
---@param opts tokencache.DjangoHandlerOptions
---@return tokencache.SessionHandler|tokencache.LockedSession
return function(opts)
  local checked = options.check(WHERE, opts, RULES)
  local handler = session_handler(WHERE, function()
    local session = checked.request.session
    if session == nil then -- level 0: the caller is as likely a flow as the program
      error(WHERE .. ": request.session is nil; load the session before the token is asked for", 0)
    end
    return session
  end, checked.lock, checked.request.session)
  return handler
end
