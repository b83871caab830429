-- tokencache.nginx.upstream at a real authorization server: tokens exchanged for each user (RFC
-- 8693), and tokens that are bound to a key (RFC 9449).

local json = require "tokencache.json"
local loopback = require "support.loopback"
local nginx = require "support.nginx"
local oidc_provider = require "support.oidc_provider"
local tokencache = require "tokencache"

local REDIRECT = "http://127.0.0.1:8080/callback"

local HTTP = [[
  lua_shared_dict tokencache 1m;
  lua_shared_dict api 1m;
  proxy_http_version 1.1;
  server {
    listen 127.0.0.1:$API;
    location / { content_by_lua_block {
      local token = ngx.var.http_authorization
      if ngx.var.arg_forget then -- as 5,000 newer requests do
        exchanged.passed.newer, exchanged.passed.older = {}, {}
      end
      if ngx.shared.api:get(token) then
        ngx.header["WWW-Authenticate"] = 'Bearer error="invalid_token"'
        return ngx.exit(401)
      end
      ngx.say(token)
    } }
  }
  init_by_lua_block {
    tokencache = require "tokencache"
    local provider = { token_url = "$URL/token", authorize_url = "$URL/auth", issuer = "$URL" }
    local store = tokencache.store.shared_dict(ngx.shared.tokencache)
    exchanged = tokencache.nginx.upstream { flow = tokencache.flow.token_exchange {
      provider = provider, client_id = "basic", client_secret = "basic-secret-8d1f",
      audience = "https://api.example", store = store, proxy = "" } }
    bound = tokencache.nginx.upstream { api_url = "$URL", flow = tokencache.flow.pkce {
      provider = provider, client_id = "bound", scope = "openid read", dpop = true,
      redirect_uri = "]] .. REDIRECT .. [[", authorize = false, store = store, proxy = "" } }
    machine = tokencache.nginx.upstream { api_url = "https://api.example/v1", dpop = true,
      provider = provider, client_id = "machine", client_secret = "machine-1", proxy = "" }
  }
]]

local SERVER = [[
  location /exchanged {
    access_by_lua_block { exchanged:attach() }
    proxy_pass http://127.0.0.1:$API;
    proxy_intercept_errors on;
    error_page 401 = @exchanged_again;
  }
  location @exchanged_again {
    access_by_lua_block {
      if ngx.var.arg_forget then -- this provider's tokens have blanks, which no other's have
        ngx.req.set_header("Authorization", "Bearer subject-exchanged")
      end
      exchanged:attach_again()
    }
    proxy_pass http://127.0.0.1:$API;
  }
  location /replaced {
    access_by_lua_block {
      ngx.req.set_header("Authorization", "Bearer " .. ngx.var.arg_token) -- as a login gateway does
      exchanged:attach()
    }
    proxy_pass http://127.0.0.1:$API;
  }
  location /refuse { content_by_lua_block {
    ngx.shared.api:set(ngx.unescape_uri(ngx.var.arg_header), true)
  } }
  location /age { content_by_lua_block { -- else it is as good as new
    local handler = exchanged.flow:subject(ngx.var.arg_subject).handler
    local info = handler:get_cached_token()
    info.expires_at = info.expires_at - 1800
    handler:save_token_to_cache(info)
  } }
  location /plant { content_by_lua_block {
    ngx.req.read_body()
    local info = require("tokencache.json").decode(ngx.req.get_body_data())
    assert(bound.flow:account("ann").handler:save_token_to_cache(info))
  } }
  location /me {
    access_by_lua_block { bound:attach "ann" }
    proxy_pass $URL;
    proxy_intercept_errors on;
    error_page 401 = @me_again;
    add_header X-Attempt 1 always;
  }
  location @me_again {
    access_by_lua_block { bound:attach_again "ann" }
    proxy_pass $URL;
    add_header X-Attempt 2 always;
  }
  location /machine {
    access_by_lua_block { machine:attach() }
    content_by_lua_block { ngx.say(ngx.var.http_authorization, "\n", ngx.var.http_dpop) }
  }
]]

describe("tokencache.nginx.upstream", function()
  local provider, server

  setup(function()
    provider = oidc_provider.start()
    provider:change_client({ token_endpoint_auth_method = "none",
      dpop_bound_access_tokens = true, grant_types = { "authorization_code", "refresh_token" },
      response_types = { "code" }, application_type = "native", redirect_uris = { REDIRECT },
      scope = "openid read" }, "bound")
    provider:change_client({ dpop_bound_access_tokens = true, client_secret = "machine-1",
      token_endpoint_auth_method = "client_secret_basic" }, "machine")
    server = nginx.start { http = HTTP, server = SERVER, values = { URL = provider.url,
      API = tostring(loopback.free_port()) } }
  end)

  teardown(function()
    server:stop()
    provider:stop()
  end)

  local function as(subject, path)
    local status, body, headers = server:get(path or "/exchanged",
      { headers = { Authorization = subject } })
    return status, body, headers
  end

  describe("over a token_exchange flow", function()
    it("sends for each user what his token was exchanged for, and keeps it", function()
      local ann = select(2, as "Bearer subject-ann")
      local bob = select(2, as "Bearer subject-robert")
      assert.matches("^Bearer %d+ for 11 undefined https://api.example\n$", ann)
      assert.matches("^Bearer %d+ for 14 undefined https://api.example\n$", bob)
      assert.equal(ann, select(2, as "bearer subject-ann"))
      assert.equal(ann, select(2, as "BEARER subject-ann"))
      assert.equal(bob, select(2, server:get "/replaced?token=subject-robert"))
      assert.equal(ann, select(2, as "Bearer subject-ann"))
    end)

    it("has what the API refuses renewed, for that user alone", function()
      local ann, bob = select(2, as "Bearer subject-anna"), select(2, as "Bearer subject-bobby")
      server:get("/refuse?header=" .. ann:gsub("\n", ""):gsub(" ", "%%20"))
      server:get "/age?subject=subject-anna"
      local status, newer = as "Bearer subject-anna"
      assert.equal(200, status)
      assert.matches("^Bearer %d+ for 12 ", newer)
      assert.not_equal(ann, newer)
      assert.equal(bob, select(2, as "Bearer subject-bobby"))
    end)

    it("takes no token of its own for a user's, once it has forgotten the request", function()
      local ann = select(2, as "Bearer subject-annabel")
      server:get("/refuse?header=" .. ann:gsub("\n", ""):gsub(" ", "%%20"))
      local status, _, headers = as("Bearer subject-annabel", "/exchanged?forget=1")
      assert.same({ 401, "Bearer" }, { status, headers["www-authenticate"] })
    end)

    it("turns away who brings none, or one that the provider does not take", function()
      local status, _, headers = as()
      assert.same({ 401, "Bearer" }, { status, headers["www-authenticate"] })
      status, _, headers = as "Basic subject-ann"
      assert.same({ 401, "Bearer" }, { status, headers["www-authenticate"] })
      server:announce "upstream: config"
      status, _, headers = as "Bearer a-secret-that-is-unknown"
      assert.same({ 401, 'Bearer error="invalid_token"' }, { status, headers["www-authenticate"] })
      assert.is_nil(server:log():find("a-secret", 1, true))
      assert.equal(200, (as "Bearer subject-ann"))
    end)
  end)

  describe("over a flow with dpop", function()
    it("proves for each request that it has the key, with the nonce that the API wants", function()
      local flow = tokencache.flow.pkce { provider = provider.provider, client_id = "bound",
        scope = "openid read", dpop = true, redirect_uri = REDIRECT, authorize = false,
        cache = tokencache.cache.memory {} }
      local url, pending = flow:get_authorize_url()
      local info = assert(flow:exchange(provider:login(url), pending))
      assert.equal(200, (server:get("/plant", { method = "POST", body = json.encode(info) })))
      local function ask()
        local status, body, headers = server:get("/me?a=1", { headers = { DPoP = "from outside" } })
        return { status, headers["x-attempt"], json.decode(body).sub }
      end
      assert.same({ 200, "1", "alice" }, ask())
      provider:control("dpop_nonce", { on = 1 }, "")
      assert.same({ 200, "2", "alice" }, ask())
      assert.same({ 200, "1", "alice" }, ask())
    end)

    it("has a token and a key of its own", function()
      local seen = {}
      for i = 1, 2 do
        local token, proof = select(2, server:get "/machine/x?y=1"):match "^DPoP (%S+)\n(%S+)\n$"
        local claims = require("tokencache.id_token").read(proof).claims
        assert.equal("GET https://api.example/v1/machine/x", claims.htm .. " " .. claims.htu)
        seen[i] = { token, claims.jti }
      end
      assert.equal(seen[1][1], seen[2][1])
      assert.not_equal(seen[1][2], seen[2][2])
    end)
  end)
end)
