--- Okta, by the organization's domain and the name of one of its authorization servers: "default"
--- where it is left out; false for the organization's own, whose tokens are for Okta's API alone. A
--- refresh token comes only with the scope offline_access.

local preset = require "tokencache.provider.preset"

---@type fun(opts: { domain: string, server?: string|false }): tokencache.Provider
return preset.define("okta", {
  domain = { "string", required = true },
  server = { { "string", "boolean" }, default = "default" },
}, function(checked)
  local base, problem = preset.base(checked.domain)
  local server = checked.server
  if not base then
    return nil, "domain: " .. problem
  elseif server == true or server and not preset.is_segment(server) then
    return nil, "server must be the name of an authorization server, or false"
  end
  local issuer = server and base .. "/oauth2/" .. server or base
  local endpoints = (server and issuer or base .. "/oauth2") .. "/v1"
  return {
    name = "Okta",
    issuer = issuer,
    authorization_response_iss_parameter_supported = false,
    authorize_url = endpoints .. "/authorize",
    token_url = endpoints .. "/token",
    client_assertion_audience = "token_url",
    revocation_url = endpoints .. "/revoke",
    introspection_url = endpoints .. "/introspect",
    device_authorization_url = endpoints .. "/device/authorize",
    userinfo_url = endpoints .. "/userinfo",
    jwks_url = endpoints .. "/keys",
    end_session_url = endpoints .. "/logout",
  }
end)
