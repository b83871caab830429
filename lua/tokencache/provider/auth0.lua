--- Auth0, by the tenant's domain. A refresh token comes only with the scope offline_access; whether
--- it works once is a setting of the application. A token for an API of one's own wants
--- authorize_params = { audience = "..." } (for client credentials: token_params), else it is
--- opaque and good for the user's profile alone.

local preset = require "tokencache.provider.preset"

---@type fun(opts: { domain: string }): tokencache.Provider
return preset.define("auth0", { domain = { "string", required = true } }, function(checked)
  local base, problem = preset.base(checked.domain)
  if not base then
    return nil, "domain: " .. problem
  end
  return {
    name = "Auth0",
    issuer = base .. "/",
    authorization_response_iss_parameter_supported = false,
    authorize_url = base .. "/authorize",
    token_url = base .. "/oauth/token",
    revocation_url = base .. "/oauth/revoke",
    device_authorization_url = base .. "/oauth/device/code",
    userinfo_url = base .. "/userinfo",
    jwks_url = base .. "/.well-known/jwks.json",
    end_session_url = base .. "/oidc/logout",
    token_endpoint_auth_method = "client_secret_post",
  }
end)
