--- The client credentials grant (RFC 6749 §4.4): a program asks for itself, no user is involved.

local base = require "tokencache.flow.base"
local config = require "tokencache.flow.config"

return base.define {
  name = "client_credentials",
  rules = config.rules,
  auth_method = "client_secret_basic",
  needs_secret = true, -- RFC 6749 §4.4
  about = function(_, params)
    return params[1] and {} or nil -- such as the audience, or the resource
  end,
}
