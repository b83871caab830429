--- Microsoft Entra ID, v2.0. A refresh token comes only with the scope offline_access; it lasts 90
--- days from its last use, and an old one goes on working when a new one has come. The portal
--- refuses http://127.0.0.1: register and use http://localhost, of the platform "Mobile and desktop
--- applications", and flow.pkce. There is no endpoint to revoke tokens.
---
--- tenant: "common" (the default: any account), "organizations", "consumers", or a tenant's id or
--- domain. Only with an id, or "consumers", is it known beforehand who issues an ID token; else it
--- is whichever tenant the token names (tid), which is for the program to judge.

local is_uuid = require "tokencache.util.is_uuid"
local preset = require "tokencache.provider.preset"

local CONSUMERS = "9188040d-6c67-4c5b-b112-36a304b66dad" -- the tenant of personal accounts

local HOST = "https://login.microsoftonline.com/"

---@type tokencache.Provider|fun(opts: { tenant?: string }): tokencache.Provider
return preset.with_default("microsoft", { tenant = { "string", default = "common" } },
  function(checked)
    local tenant = checked.tenant:lower()
    if not preset.is_segment(tenant) then
      return nil, "tenant must be an id, a domain, or common, organizations or consumers"
    end
    local base = HOST .. tenant
    local id = tenant == "consumers" and CONSUMERS or tenant
    return {
      name = "Microsoft",
      issuer = HOST .. id .. "/v2.0",
      id_token_issuer = not is_uuid(id) and HOST .. "{tenantid}/v2.0" or nil,
      authorization_response_iss_parameter_supported = false,
      authorize_url = base .. "/oauth2/v2.0/authorize",
      token_url = base .. "/oauth2/v2.0/token",
      device_authorization_url = base .. "/oauth2/v2.0/devicecode",
      userinfo_url = "https://graph.microsoft.com/oidc/userinfo",
      jwks_url = base .. "/discovery/v2.0/keys",
      end_session_url = base .. "/oauth2/v2.0/logout",
      client_assertion_audience = "token_url",
      rotates_refresh_tokens = false,
    }
  end)
