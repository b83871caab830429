--- OpenID Connect against a real provider.

local oidc_provider = require "support.oidc_provider"
local tokencache = require "tokencache"

local REDIRECT = "http://127.0.0.1:8080/callback"

describe("OpenID Connect", function()
  local server

  setup(function() server = oidc_provider.start() end)
  teardown(function() server:stop() end)

  local function new_flow(client, more)
    local constructor = server.clients[client].client_secret and "authorization_code" or "pkce"
    return tokencache.flow[constructor](server:options(client, {
      redirect_uri = REDIRECT, scope = "openid read", authorize = false,
    }, more))
  end

  local function log_in(flow, user)
    local url, pending = flow:get_authorize_url()
    return flow:exchange(server:login(url, { user = user }), pending)
  end

  for _, client in ipairs { "public", "confidential", "ES256", "PS256" } do
    it("checks the ID token of a login and of its renewal, for the client " .. client, function()
      local flow = new_flow(client)
      local info = assert(log_in(flow, "bob"))
      local claims = assert(flow:id_token_claims())
      assert.same({ server.url, "bob", server.clients[client].client_id },
        { claims.iss, claims.sub, claims.aud })
      assert.is_string(claims.nonce)
      local renewed = assert(flow:refresh_access_token())
      assert.is_string(renewed.id_token)
      assert.not_equal(info.id_token, renewed.id_token)
      assert.equal("bob", flow:id_token_claims().sub)
    end)
  end
end)
