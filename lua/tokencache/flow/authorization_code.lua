--- The authorization code grant (RFC 6749 §4.1), for clients that can keep a secret.

local base = require "tokencache.flow.base"
local options = require "tokencache.util.options"
local user = require "tokencache.flow.user"

---@class tokencache.AuthorizationCodeOptions: tokencache.UserFlowOptions
---@field pkce? boolean  a proof key too (RFC 9700 §2.1.1); default false

return base.define {
  name = "authorization_code",
  rules = options.merge(user.rules, { pkce = { "boolean" } }),
  methods = user.methods,
  account_methods = user.account_methods,
  auth_method = "client_secret_basic",
  required = { "redirect_uri" },
  complete = user.complete { response_type = "code" },
}
