--- The implicit grant (RFC 6749 §4.2). Deprecated (RFC 9700 §2.1.2): for providers that offer
--- nothing else. Its tokens cannot be renewed.

local base = require "tokencache.flow.base"
local log = require "tokencache.log"
local user = require "tokencache.flow.user"

local complete = user.complete { response_type = "token" }

return base.define {
  name = "implicit",
  rules = user.rules,
  methods = user.methods,
  account_methods = user.account_methods,
  auth_method = "none",
  required = { "redirect_uri" },
  endpoint = "authorize_url",
  complete = function(self, checked, server)
    local problem = checked.dpop and "dpop is not for this flow: there is no token request, which "
      .. "would show the key; use tokencache.flow.pkce" or complete(self, checked, server)
    if problem then
      return problem
    end
    log.warning("the implicit grant is deprecated (RFC 9700 §2.1.2); use tokencache.flow.pkce "
      .. "where the provider has it")
  end,
}
