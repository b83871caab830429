--- GitLab: gitlab.com, or an installation of one's own by `host`. An access token lasts two hours,
--- and each refresh token works once.

local preset = require "tokencache.provider.preset"

---@type tokencache.Provider|fun(opts: { host?: string }): tokencache.Provider
return preset.with_default("gitlab", { host = { "string", default = "gitlab.com" } },
  function(checked)
    local base, problem = preset.base(checked.host)
    if not base then
      return nil, "host: " .. problem
    end
    return {
      name = "GitLab",
      issuer = base,
      authorization_response_iss_parameter_supported = false,
      authorize_url = base .. "/oauth/authorize",
      token_url = base .. "/oauth/token",
      revocation_url = base .. "/oauth/revoke",
      introspection_url = base .. "/oauth/introspect",
      device_authorization_url = base .. "/oauth/authorize_device",
      userinfo_url = base .. "/oauth/userinfo",
      jwks_url = base .. "/oauth/discovery/keys",
    }
  end)
