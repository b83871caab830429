--- Keeps a token in a session, in the manner of Flask.

local options = require "tokencache.util.options"
local session_handler = require "tokencache.cache.session"

local WHERE = "cache.flask_session"
local RULES = { session = { "object", required = true }, lock = { "object" } }

--- Makes a handler for `session["token_info"]`.
---@param opts { session: table|userdata, lock?: tokencache.Store }  lock: for requests of one
---   browser at the same time
---@return tokencache.SessionHandler|tokencache.LockedSession
return function(opts)
  local checked = options.check(WHERE, opts, RULES)
  local handler = session_handler(WHERE, function()
    return checked.session
  end, checked.lock, checked.session)
  return handler
end
