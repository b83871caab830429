--- The authorization code grant with a proof key (RFC 7636), for clients that cannot keep a secret:
--- scripts, desktop programs.

local base = require "tokencache.flow.base"
local user = require "tokencache.flow.user"

return base.define {
  name = "pkce",
  grant_type = "authorization_code",
  rules = user.rules,
  methods = user.methods,
  account_methods = user.account_methods,
  auth_method = "none",
  may_be_public = true,
  required = { "redirect_uri" },
  complete = user.complete { response_type = "code", pkce = true },
}
