--- Keeps a token in a session, in the manner of Flask.

local options = require "tokencache.util.options"
local session_handler = require "tokencache.cache.session"

local WHERE = "cache.flask_session"
local RULES = { session = { "object", required = true }, lock = { "object" } }

---@class tokencache.SessionHandlerOptions
---@field session table|userdata  of this request; for cache.resty_session an open one, as
---                              `require("resty.session").start` makes it
---@field lock? tokencache.Store  for requests of one browser at the same time

--- Makes a handler for `session["token_info"]`.
---@param opts tokencache.SessionHandlerOptions
---@return tokencache.SessionHandler|tokencache.LockedSession
return function(opts)
  local checked = options.check(WHERE, opts, RULES)
  local handler = session_handler(WHERE, function()
    return checked.session
  end, checked.lock, checked.session)
  return handler
end
