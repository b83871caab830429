--- Keeps a token in a session, in the manner of Flask.

local options = require "tokencache.util.options"
local session_handler = require "tokencache.cache.session"

local WHERE = "cache.flask_session"
local RULES = { session = { "object", required = true } }

--- Makes a handler for `session["token_info"]`.
---@param opts { session: table|userdata }
---@return tokencache.SessionHandler
return function(opts)
  local session = options.check(WHERE, opts, RULES).session
  return session_handler(WHERE, function()
    return session
  end)
end
