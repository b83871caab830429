-- Tokens that are bound to a key (RFC 9449), at a real authorization server.

local crypto = require "tokencache.crypto"
local core = require "tokencache._core"
local id_token = require "tokencache.id_token"
local jose_keys = require "support.jose_keys"
local json = require "tokencache.json"
local merged = require "support.merged"
local oidc_provider = require "support.oidc_provider"
local process = require "tokencache.account.process"
local tokencache = require "tokencache"

local REDIRECT = "http://127.0.0.1:8080/callback"

describe("a token that is bound to a key #once", function()
  local server, requests

  setup(function()
    server = oidc_provider.start { device_interval = 1 }
    server:change_client({ token_endpoint_auth_method = "none",
      dpop_bound_access_tokens = true, grant_types = { "authorization_code", "refresh_token",
        "urn:ietf:params:oauth:grant-type:device_code" }, response_types = { "code" },
      application_type = "native", redirect_uris = { REDIRECT }, scope = "openid read" }, "bound")
    server:change_client({ dpop_bound_access_tokens = true, client_secret = "machine-1",
      token_endpoint_auth_method = "client_secret_basic" }, "machine")
  end)

  teardown(function() server:stop() end)

  before_each(function()
    requests = {}
    process.own.dpop_nonces = nil
    server:control("dpop_nonce", { on = 0 }, "")
  end)

  --- A transport that keeps what is sent.
  local function http()
    local real = require("tokencache.io.blocking").transport {}
    return { request = function(_, request)
      requests[#requests + 1] = request
      return real:request(request)
    end }
  end

  local function flow_of(kind, client_id, options)
    return tokencache.flow[kind](merged({ provider = server.provider, client_id = client_id,
      cache = tokencache.cache.memory {}, http = http(), dpop = true }, options or {}))
  end

  local function machine(options)
    return flow_of("client_credentials", "machine", merged({ client_secret = "machine-1" },
      options or {}))
  end

  local function person(options)
    return flow_of("pkce", "bound", merged({ redirect_uri = REDIRECT, scope = "openid read",
      authorize = false }, options or {}))
  end

  local function log_in(flow)
    local url, pending = flow:get_authorize_url()
    return assert(flow:exchange(server:login(url), pending))
  end

  it("comes with proofs that jose accepts, for token requests and for the API", function()
    local flow = machine()
    local info = assert(flow:get_token_info())
    assert.equal("DPoP", info.token_type)
    local jws = id_token.read(requests[1].headers.DPoP)
    local key = jws.header.jwk
    assert.same({ kty = "EC", crv = "P-256", x = info.dpop_key.x, y = info.dpop_key.y }, key)
    local seen = jose_keys.verify(requests[1].headers.DPoP, key, "ES256")
    assert.equal("dpop+jwt POST " .. server.token_url, ("%s %s %s"):format(seen.header.typ,
      seen.claims.htm, seen.claims.htu))

    local proof, token = flow:dpop_proof("GET", "https://api.example/things?page=2#top")
    assert.equal(info.access_token, token)
    seen = jose_keys.verify(proof, key, "ES256")
    assert.equal("GET https://api.example/things", seen.claims.htm .. " " .. seen.claims.htu)
    assert.equal(core.base64url_encode(crypto.sha256(token)), seen.claims.ath)
    assert.is_nil(seen.claims.nonce)
    assert.not_equal(proof, flow:dpop_proof("GET", "https://api.example/things"))
    assert.equal("token DPoP", server:introspect(token).active and "token "
      .. server:introspect(token).token_type)
  end)

  it("is renewed with the key that it is bound to, by another process too", function()
    local flow = person()
    local info = log_in(flow)
    local renewed = assert(flow:refresh_access_token())
    assert.not_equal(info.access_token, renewed.access_token)
    assert.same(info.dpop_key, renewed.dpop_key)
    local other = person()
    assert(other.cache:save_token_to_cache(renewed))
    assert.same(info.dpop_key, assert(other:refresh_access_token()).dpop_key)
    assert.not_equal(info.dpop_key.x, log_in(person()).dpop_key.x) -- another login, another key
  end)

  for _, is_pushed in ipairs { false, true } do
    it("is promised to its key before the login" .. (is_pushed and ", in a pushed request" or ""),
      function()
        server:control("require_par", { on = is_pushed and 1 or 0 }, "")
        finally(function() server:control("require_par", { on = 0 }, "") end)
        process.own.documents = nil
        local provider = { issuer = server.url }
        local flow = person { provider = provider }
        local url, pending = flow:get_authorize_url()
        local jkt = (is_pushed and requests[#requests].body or url):match "dpop_jkt=([%w_-]+)"
        assert.equal(43, #jkt)
        assert.equal(not is_pushed, url:find("dpop_jkt", 1, true) ~= nil)
        local answer = server:login(url)
        local _, err = person({ provider = provider }):exchange(answer,
          (pending:gsub("&dpop_key=[^&]+", "&dpop_key="))) -- by another key
        assert.equal("invalid_grant", err.code)
        url, pending = flow:get_authorize_url()
        local info = assert(person({ provider = provider }):exchange(server:login(url), pending))
        assert.is_truthy(pending:find(core.form_encode { "dpop_key", json.encode(info.dpop_key) },
          1, true))
      end)
  end

  it("goes with the nonce that the server wants, at once", function()
    server:control("dpop_nonce", { on = 1 }, "")
    local flow = machine()
    assert(flow:get_access_token())
    assert.equal(2, #requests)
    assert.is_nil(id_token.read(requests[1].headers.DPoP).claims.nonce)
    assert.equal("string", type(id_token.read(requests[2].headers.DPoP).claims.nonce))
    assert(flow:get_token_info { check_cache = false })
    assert.equal(3, #requests)

    process.own.dpop_nonces = nil
    local login = person()
    log_in(login)
    assert(login:refresh_access_token())
    assert.equal(login:id_token_claims().sub, assert(login:userinfo()).sub)
  end)

  it("is had by a nonce though the clock is off; where there is none, that is said", function()
    local flow = machine { clock = function() return os.time() - 600 end }
    assert(flow:get_access_token())
    assert.equal(2, #requests)
    flow.transport = { request = function()
      return { status = 400, headers = { date = os.date("!%a, %d %b %Y %H:%M:%S GMT") },
        body = '{"error":"invalid_dpop_proof"}' }
    end }
    local _, err = flow:get_access_token { check_cache = false }
    assert.equal("config invalid_dpop_proof", err.kind .. " " .. err.code)
    assert.matches("this machine's clock is %d+ seconds behind the provider's", err.message)
    local object = { error = "invalid_scope", error_description = "there is no scope blue" }
    flow.transport = { request = function()
      return { status = 400, headers = { date = os.date("!%a, %d %b %Y %H:%M:%S GMT") },
        body = json.encode(object) }
    end }
    _, err = flow:get_access_token { check_cache = false }
    assert.matches("clock is %d+ seconds behind.*; there is no scope blue; check scope$",
      err.message)
  end)

  it("takes the API's nonce from the program, for that API alone", function()
    local flow = machine()
    local function nonce_in(...)
      return id_token.read((assert(flow:dpop_proof(...)))).claims.nonce
    end
    assert.equal("n-1", nonce_in("GET", "https://api.example/a", { nonce = "n-1" }))
    assert.equal("n-1", nonce_in("GET", "https://api.example/b"))
    assert.is_nil(nonce_in("GET", "https://api.example:8443/b"))
  end)

  it("does without a nonce that is none, and names any path in ASCII", function()
    local flow = machine()
    assert(flow:get_access_token())
    for _, nonce in ipairs { "\255", "two words", ("n"):rep(5000) } do
      local proof = assert(flow:dpop_proof("GET", "https://api.example/", { nonce = nonce }))
      assert.is_nil(id_token.read(proof).claims.nonce)
    end
    local proof = assert(flow:dpop_proof("GET", "https://api.example/\255 \"?\255"))
    assert.equal("https://api.example/%FF%20\"", id_token.read(proof).claims.htu)
  end)

  it("is had by a transport that hands over no headers", function()
    local flow = machine()
    flow.transport = { request = function()
      return { status = 200, headers = "none", body = '{"access_token":"a","token_type":"DPoP"}' }
    end }
    assert.equal("a", flow:get_access_token())
  end)

  it("is not renewed by a flow without dpop, at which the provider would end the login", function()
    local info = log_in(person())
    local other = person { dpop = false }
    assert(other.cache:save_token_to_cache(info))
    local _, err = other:refresh_access_token()
    assert.equal("config: the token is bound to a key: give dpop = true, or log in again",
      err.kind .. ": " .. err.message)
    assert.equal(info.refresh_token, other.cache:get_cached_token().refresh_token)
    local again = person()
    assert(again.cache:save_token_to_cache(info))
    assert(again:refresh_access_token())
  end)

  it("is proven to the provider's own API, where it is of no use without", function()
    local login = person()
    local info = log_in(login)
    assert.equal(login:id_token_claims().sub, assert(login:userinfo()).sub)
    assert.matches("^DPoP ", requests[#requests].headers.Authorization)
    local thief = person()
    info.token_type, info.dpop_key = "Bearer", nil
    assert(thief.cache:save_token_to_cache(info))
    assert.is_nil((thief:userinfo()))
  end)

  it("is none where a program has put in a token_type that is no text", function()
    local flow = person { dpop = false, scope = "read" }
    assert(flow.cache:save_token_to_cache { access_token = "a", token_type = 5, scope = "read",
      expires_at = os.time() + 900 })
    assert.is_nil((flow:userinfo()))
    assert.equal("Bearer a", requests[#requests].headers.Authorization)
  end)

  it("may come from a login by another device", function()
    local flow = flow_of("device", "bound", { scope = "openid read" })
    server:control("dpop_nonce", { on = 1 }, "")
    local prompt, pending = assert(flow:begin())
    server:login(prompt.verification_uri_complete)
    local info, err
    repeat
      core.sleep(0.1)
      info, err = flow:poll(pending)
    until info or not err.retry_after
    assert(info, err)
    assert.equal("DPoP", info.token_type)
    assert.same(info.dpop_key, assert(flow:refresh_access_token()).dpop_key)
  end)

  it("is refused where none was wanted, and its key may be missing or wrong", function()
    local _, err = machine({ dpop = false }):get_access_token()
    assert.equal("config invalid_grant", err.kind .. " " .. tostring(err.code))
    local flow = machine()
    assert(flow.cache:save_token_to_cache { access_token = "a", expires_at = os.time() + 900 })
    _, err = flow:dpop_proof("GET", "https://api.example/")
    assert.equal("cache: the key that the token is bound to is not there, as it was got without "
      .. "dpop; remove it", err.kind .. ": " .. err.message)
    assert(flow.cache:save_token_to_cache { access_token = "a", expires_at = os.time() + 900,
      dpop_key = { kty = "EC", crv = "P-256", x = "secret", y = "b", d = "c" } })
    _, err = flow:dpop_proof("GET", "https://api.example/")
    assert.equal("cache", err.kind)
    assert.is_nil(err.message:find("secret", 1, true))
    local ok, message = pcall(tokencache.flow.implicit, { provider = server.provider,
      client_id = "a", redirect_uri = REDIRECT, dpop = true })
    assert.is_false(ok)
    assert.matches("flow.implicit: dpop is not for this flow: there is no token", message, 1, true)
    ok, message = pcall(function()
      machine({ dpop = false }):dpop_proof("GET", "https://api.example/")
    end)
    assert.is_false(ok)
    assert.matches("dpop_proof: this flow binds no tokens to a key", message, 1, true)
    for _, url in ipairs { "", "/things", "api.example/things", "https:///things" } do
      local _, misuse = pcall(function() machine():dpop_proof("GET", url) end)
      assert.matches("dpop_proof: url must be that of the request, with its scheme and host$",
        misuse)
    end
  end)
end)
