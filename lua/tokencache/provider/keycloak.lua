--- A realm of a Keycloak. `host` may have a path, such as "/auth" before version 17. A refresh
--- token lasts as long as the user's session (refresh_expires_in); with the scope offline_access
--- until it is taken back. Whether one works more than once is a setting of the realm.

local preset = require "tokencache.provider.preset"

---@type fun(opts: { host: string, realm: string }): tokencache.Provider
return preset.define("keycloak",
  { host = { "string", required = true }, realm = { "string", required = true } },
  function(checked)
    local base, problem = preset.base(checked.host)
    if not base then
      return nil, "host: " .. problem
    elseif not preset.is_segment(checked.realm) then
      return nil, "realm must be its name as in the addresses of the server"
    end
    local realm = base .. "/realms/" .. checked.realm
    local connect = realm .. "/protocol/openid-connect"
    return {
      name = "Keycloak",
      issuer = realm,
      authorization_response_iss_parameter_supported = false,
      authorize_url = connect .. "/auth",
      token_url = connect .. "/token",
      revocation_url = connect .. "/revoke",
      introspection_url = connect .. "/token/introspect",
      device_authorization_url = connect .. "/auth/device",
      userinfo_url = connect .. "/userinfo",
      jwks_url = connect .. "/certs",
      end_session_url = connect .. "/logout",
    }
  end)
