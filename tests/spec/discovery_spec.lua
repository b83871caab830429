-- A provider that is known by its issuer alone, at a real server; and what the caller is told where
-- there is no such document. What becomes of a document that is there: discovery_kept_spec.

local discovery = require "tokencache.discovery"
local django_provider = require "support.django_provider"
local enough = require("support.deadline").enough
local fake_endpoint = require "support.fake_endpoint"
local merged = require "support.merged"
local oidc_provider = require "support.oidc_provider"
local process = require "tokencache.account.process"
local tokencache = require "tokencache"

local REDIRECT_URI = "http://127.0.0.1:8123/callback"

describe("by its issuer alone, oidc-provider", function()
  local server, provider

  setup(function()
    server = oidc_provider.start()
    provider = { issuer = server.url }
  end)

  teardown(function()
    server:stop()
  end)

  local function options(name, changes)
    return server:options(name, { provider = provider, scope = "openid read",
      redirect_uri = REDIRECT_URI,
      authorize = function(url) return server:login(url) end }, changes)
  end

  it("gives a token to a program", function()
    for _, name in ipairs { "basic", "post", "odd" } do
      local client = server:options(name, { provider = provider, scope = "read" })
      local flow = tokencache.flow.client_credentials(client)
      local token = assert(flow:get_access_token())
      assert.is_true(assert(flow:introspect(token)).active)
      assert(flow:revoke(token))
      assert.is_false(server:introspect(token).active)
    end
  end)

  it("lets a user log in with a proof key, renews the login and ends it", function()
    local flow = tokencache.flow.pkce(options "public")
    local first = assert(flow:get_access_token())
    assert.is_string(assert(flow:id_token_claims()).nonce)
    assert.equal("alice", assert(flow:userinfo()).sub)
    local second = assert(flow:refresh_access_token())
    assert.are_not.equal(first, second.access_token)
    assert.equal("alice", server:owner(second.access_token))
    assert.is_true(flow:log_out())
    assert.is_false(server:introspect(second.access_token).active)
  end)

  it("lets a user log in in two halves, in two processes", function()
    local halves = {}
    for i = 1, 2 do
      halves[i] = tokencache.flow.authorization_code(options("confidential",
        { io = { process = process.new() } }))
    end
    local url, pending = halves[1]:get_authorize_url()
    local response = server:login(url)
    local _, err = halves[2]:exchange(response:gsub("&iss=[^&]*", ""), pending)
    assert.equal("state", err.kind) -- its metadata promises an iss
    local info = assert(halves[2]:exchange(response, pending))
    assert.is_true(server:introspect(info.access_token).active)
  end)

  it("revokes a login that another process has begun", function()
    local store = tokencache.store.memory {}
    local function new()
      local all = options("confidential", { io = { process = process.new() } })
      all.cache, all.store = nil, store
      return tokencache.flow.authorization_code(all):account("alice")
    end
    local token = assert(new():get_access_token())
    assert.same({ true }, { new():log_out() })
    assert.is_false(server:introspect(token).active)
  end)

  it("is asked for its metadata once, by all flows of the process", function()
    local own = process.new()
    local before = server:counts().metadata
    for _ = 1, 3 do
      local flow = tokencache.flow.pkce(options("public", { io = { process = own } }))
      assert(flow:get_access_token())
      assert(flow:refresh_access_token())
    end
    assert.equal(before + 1, server:counts().metadata)
  end)

  it("tells its keys and endpoints", function()
    local flow = tokencache.flow.pkce(options "public")
    local deadline = flow.io.monotonic() + 10
    assert.equal("RSA", assert(discovery.keys(flow, deadline))[1].kty)
    assert.equal(server.url .. "/me", flow:_endpoint("userinfo_url", deadline))
    assert.equal(server.url .. "/device/auth",
      flow:_endpoint("device_authorization_url", deadline))
  end)
end)

describe("by its issuer alone, django-oauth-toolkit #once", function()
  local server

  setup(function()
    server = django_provider.start()
  end)

  teardown(function()
    server:stop()
  end)

  local function new(flow, client, more)
    return tokencache.flow[flow](merged(server.clients[client], { scope = "openid read",
      provider = merged({ issuer = server.issuer }, more), cache = tokencache.cache.memory {},
      redirect_uri = flow ~= "client_credentials" and django_provider.REDIRECT_URI or nil,
      authorize = flow ~= "client_credentials" and function(url) return server:login(url) end
        or nil }))
  end

  it("gives a token to a program", function()
    assert(new("client_credentials", "machine"):get_access_token())
  end)

  it("lets users log in, renews their logins, and ends them where it is told how", function()
    for _, client in ipairs { "public", "web" } do
      local flow = new("pkce", client, { revocation_url = server.issuer .. "/revoke_token/" })
      local token = assert(flow:get_access_token())
      local renewed = assert(flow:refresh_access_token())
      assert.are_not.equal(token, renewed.access_token)
      assert.same({ true }, { flow:log_out() })
      local _, err = flow:refresh_access_token(renewed.refresh_token)
      assert.equal("reauthorize", err.kind)
    end
  end)

  it("tells its keys", function()
    local flow = new("pkce", "public")
    assert.equal("RS256", discovery.keys(flow, flow.io.monotonic() + 10)[1].alg)
  end)
end)

describe("where an issuer has no metadata, the error", function()
  local endpoint

  setup(function()
    endpoint = fake_endpoint.start()
  end)

  teardown(function()
    endpoint:stop()
  end)

  --- Asks a provider whose documents are what that behaviour makes of a request.
  local function ask(behaviour, changes)
    local issuer = endpoint:url(behaviour)
    local flow = tokencache.flow.client_credentials {
      provider = { issuer = issuer }, client_id = "an-id", client_secret = "a secret", proxy = "",
      cache = tokencache.cache.memory {}, timeout = changes and changes.timeout,
    }
    local token, err = flow:get_access_token()
    assert.is_nil(token)
    return err, issuer
  end

  for behaviour, expected in pairs {
    ["status/404"] = { "config", "answered with status 404" },
    ["status/503"] = { "transient", "answered with status 503; try again later" },
    html = { "protocol", "answered with something other than a JSON object" },
    array = { "protocol", "answered with something other than a JSON object" },
    empty = { "protocol", "answered with something other than a JSON object" },
    redirect = { "config", "redirects (status 302), which is not followed" },
    large = { "protocol", "larger than 1048576 bytes" },
    ["large-chunked"] = { "protocol", "larger than 1048576 bytes" },
    token = { "config", "names no issuer" },
    ["reset-unanswered"] = { "transient", "could not be had: " },
  } do
    it("names the document and what is wrong: " .. behaviour, function()
      local err, issuer = ask(behaviour)
      assert.equal(expected[1], err.kind, err.message)
      assert.matches(expected[2], err.message, 1, true)
      assert.matches(issuer .. "/.well-known/openid-configuration", err.message, 1, true)
      local says_what_to_do = err.message:find(
        "; check issuer, or give the endpoints in provider, such as token_url", 1, true) ~= nil
      assert.equal(err.kind ~= "transient", says_what_to_do)
    end)
  end

  it("comes when the call's time is over, where nobody answers", function()
    enough(0.3, function(seconds)
      local err = ask("silent", { timeout = seconds })
      assert.equal("timeout", err.kind)
      return err.message:find("/silent/.well-known/openid-configuration", 1, true)
    end)
  end)

  it("names both places where it may be", function()
    local err = ask "status/404"
    assert.matches("/.well-known/oauth-authorization-server/status/404 answered", err.message, 1,
      true)
  end)
end)

describe("an issuer", function()
  for issuer, problem in pairs {
    ["http://login.example"] = "provider: issuer must be https, or http on a loopback address: "
      .. "secrets travel to it (RFC 6749 §3.2); or allow_insecure_http = true in provider",
    ["login.example"] = "provider: issuer: ",
    ["https://login.example/?tenant=1"] = "provider: issuer must not have a query",
    ["https://login.example/#a"] = "a fragment",
    ["https://login.example/.well-known/openid-configuration"] = "provider: issuer is the address "
      .. "of a document; give what that names as its issuer",
  } do
    it("is refused when the flow is made: " .. issuer, function()
      local made, err = pcall(tokencache.flow.client_credentials, { provider = { issuer = issuer },
        client_id = "an-id", client_secret = "a secret", cache = tokencache.cache.memory {} })
      assert.is_false(made)
      assert.matches(problem, err, 1, true)
    end)
  end
end)
