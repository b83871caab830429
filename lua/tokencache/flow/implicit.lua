--- The implicit grant (RFC 6749 §4.2). Deprecated (RFC 9700 §2.1.2): for providers that offer
--- nothing else. Its tokens cannot be renewed.

local base = require "tokencache.flow.base"
local log = require "tokencache.log"
local options = require "tokencache.util.options"
local user = require "tokencache.flow.user"

local complete = user.complete { response_type = "token" }

---@class tokencache.ImplicitOptions: tokencache.UserFlowOptions
---@field dpop nil  there is no token request, which would show the key

local rules = options.merge(user.rules, {})
rules.dpop = nil

return base.define {
  name = "implicit",
  rules = rules,
  methods = user.methods,
  account_methods = user.account_methods,
  auth_method = "none",
  required = { "redirect_uri" },
  endpoint = "authorize_url",
  complete = function(self, checked, server)
    local problem = complete(self, checked, server)
    if problem then
      return problem
    end
    log.warning("the implicit grant is deprecated (RFC 9700 §2.1.2); use tokencache.flow.pkce "
      .. "where the provider has it")
  end,
}
