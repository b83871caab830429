--- OpenID Connect with real providers.

local core = require "tokencache._core"
local django_provider = require "support.django_provider"
local glewlwyd = require "support.glewlwyd"
local http = require "socket.http"
local keep_log = require "support.keep_log"
local log = require "tokencache.log"
local ltn12 = require "ltn12"
local merged = require "support.merged"
local oidc_provider = require "support.oidc_provider"
local process = require "tokencache.account.process"
local query = require "support.query"
local tokencache = require "tokencache"

local REDIRECT = "http://127.0.0.1:8080/callback"

describe("OpenID Connect", function()
  local server
  local ahead, later -- seconds, of our clock; and since the keys were asked for

  setup(function() server = oidc_provider.start() end)
  teardown(function() server:stop() end)
  before_each(function() ahead, later = 0, 0 end)
  after_each(function() log.set_logger(nil) end)

  --- Of a process of its own, which knows no keys yet.
  local function options(client, ...)
    return server:options(client, {
      redirect_uri = REDIRECT, scope = "openid read", authorize = false,
      clock = function() return core.now() + ahead end,
      io = {
        process = process.new(),
        now = function() return core.now() + later end,
        monotonic = function() return core.monotonic() + later end,
        sleep = function(seconds) later = later + seconds end,
      },
    }, ...)
  end

  local function new_flow(client, ...)
    local constructor = server.clients[client].client_secret and "authorization_code" or "pkce"
    return tokencache.flow[constructor](options(client, ...))
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
      assert.not_equal(info.id_token, renewed.id_token)
      assert.same(renewed, flow.cache:get_cached_token())
      assert.equal("bob", flow:id_token_claims().sub)
    end)
  end

  it("does so for a login by another device", function()
    local all = options "public"
    all.redirect_uri = nil
    local flow = tokencache.flow.device(all)
    local function poll()
      local prompt, pending = flow:begin()
      server:login(prompt.verification_uri_complete, { user = "carol" })
      later = later + prompt.interval
      return flow:poll(pending)
    end
    assert(poll())
    assert.equal("carol", flow:id_token_claims().sub)
    ahead = 86400
    local info, err = poll()
    assert.is_nil(info)
    assert.matches("id_token was refused, and the login with it: it has been over for", err.message)
  end)

  it("refuses a code that was put in place of the user's", function()
    local flow = new_flow "confidential"
    local url, pending = flow:get_authorize_url()
    local code = query.read(server:login((flow:get_authorize_url()), { user = "mallory" })).code
    local response_url = server:login(url, { user = "alice" }):gsub("code=[^&]+", "code=" .. code)
    local info, err = flow:exchange(response_url, pending)
    assert.is_nil(info)
    assert.equal("protocol: the id_token was refused, and the login with it: its nonce is not that "
      .. "of this login", err.kind .. ": " .. err.message)
    assert.is_nil(flow.cache:get_cached_token())
  end)

  it("checks the nonce where the program brings the code alone", function()
    local flow = new_flow "confidential"
    local code = query.read(server:login((flow:get_authorize_url()))).code
    flow:get_authorize_url()
    local token, err = flow:get_access_token { code = code }
    assert.is_nil(token)
    assert.matches("its nonce is not that of this login", err.message, 1, true)
    code = query.read(server:login((flow:get_authorize_url()))).code
    assert(flow:get_access_token { code = code })
  end)

  it("finishes a login that was begun before there were nonces", function()
    local flow = new_flow "public"
    local url, pending = flow:get_authorize_url()
    local response_url = server:login((url:gsub("&nonce=[^&]+", "")))
    assert(flow:exchange(response_url, (pending:gsub("&nonce=[^&]*", ""))))
  end)

  it("takes new keys of the provider's, at a login and at a renewal", function()
    local flow = new_flow "public"
    assert(log_in(flow))
    server:control("new_keys", nil, "")
    local info = assert(log_in(flow, "bob")) -- it has waited for them
    assert.equal("bob", flow:id_token_claims().sub)
    assert.is_true(later > 0)
    server:control("new_keys", nil, "")
    later = 122
    local logged = keep_log()
    local renewed = assert(flow:refresh_access_token()) -- it has not waited for the keys
    assert.equal(info.id_token, renewed.id_token)
    assert.same({ "warning the id_token of a renewal was refused, the one before stays: the "
      .. "provider has no key that it could be signed with (alg, kid)" }, logged)
    renewed = assert(flow:refresh_access_token())
    assert.not_equal(info.id_token, renewed.id_token)
  end)

  it("does without the provider's keys for a while, once it has them", function()
    local flow = new_flow "public"
    server:control("keys_away", { ["for"] = 100 }, "")
    local url, pending = flow:get_authorize_url()
    local response_url = server:login(url)
    local info, err = flow:exchange(response_url, pending)
    assert.is_nil(info)
    assert.equal("transient", err.kind)
    server:control("keys_away", { ["for"] = 0 }, "")
    assert(flow:exchange(response_url, pending)) -- the code was not sent
    server:control("keys_away", { ["for"] = 100 }, "")
    later = 2 * 86400
    local logged = keep_log()
    assert(log_in(flow))
    assert.matches("what was known of the provider before goes on to serve: .*status 503",
      logged[1])
    server:control("keys_away", { ["for"] = 0 }, "")
  end)

  it("asks for what it wants of a login, and checks when that was", function()
    local flow = new_flow("public", { max_age = 600, acr_values = { "urn:one", "urn:two" },
      authorize_params = { prompt = "login", login_hint = "bob" } })
    local url = flow:get_authorize_url()
    local params = query.read(url)
    assert.same({ "600", "urn:one urn:two", "login", "bob" },
      { params.max_age, params.acr_values, params.prompt, params.login_hint })
    flow = new_flow("public", { max_age = 600 })
    assert(log_in(flow))
    assert.is_number(flow:id_token_claims().auth_time)
  end)

  it("tells about the user, with a token that the provider takes", function()
    local flow = new_flow "confidential"
    local info = assert(log_in(flow, "bob"))
    assert.equal("bob", assert(flow:userinfo()).sub)
    assert.equal(info.access_token, flow:get_access_token())
    assert(flow:revoke(info.access_token))
    ahead = 10
    assert.equal("bob", assert(flow:userinfo()).sub)
    assert.not_equal(info.access_token, flow:get_access_token())
  end)

  it("sends the browser to the end of the session", function()
    local flow = new_flow "public"
    local info = assert(log_in(flow))
    local url = assert(flow:end_session_url {
      post_logout_redirect_uri = "http://127.0.0.1/left", state = "s 1" })
    local params = query.read(url)
    assert.same({ info.id_token, "public", "s 1" },
      { params.id_token_hint, params.client_id, params.state })
    local page, status, headers = http.request(url)
    assert.equal(200, status)
    local confirm, xsrf = page:match 'action="([^"]+)".-name="xsrf" value="(%x+)"'
    local form = "logout=yes&xsrf=" .. xsrf
    headers = select(3, http.request { url = confirm, method = "POST", redirect = false,
      source = ltn12.source.string(form),
      headers = { cookie = headers["set-cookie"]:gsub(",[^,]-(_session)", "; %1"),
        ["content-type"] = "application/x-www-form-urlencoded",
        ["content-length"] = #form } })
    assert.equal("http://127.0.0.1/left?state=s+1", headers.location)
    url = assert(flow:get_end_session_url { post_logout_redirect_uri = "https://evil.example/" })
    assert.equal(400, (select(2, http.request(url))))
    assert(flow:remove())
    assert.is_nil(query.read(flow:end_session_url()).id_token_hint)
  end)

  it("is a matter for flows with many accounts", function()
    local all = options("public", { store = tokencache.store.memory {} })
    all.cache = nil
    local flow = tokencache.flow.pkce(all)
    for _, user in ipairs { "alice", "bob" } do
      local url, pending = flow:get_authorize_url()
      assert(flow:exchange(server:login(url, { user = user }), pending, function(info)
        assert.is_string(info.id_token)
        return user
      end))
    end
    assert.equal("alice", flow:account("alice"):id_token_claims().sub)
    assert.equal("bob", flow:account("bob"):userinfo().sub)
    local claims, err = flow:account("carol"):id_token_claims()
    assert.is_nil(claims)
    assert.is_nil(err)
  end)

  it("cannot be checked where the issuer is not known", function()
    local provider = { authorize_url = server.provider.authorize_url, token_url = server.token_url }
    local flow = new_flow("public", { provider = provider })
    assert.is_nil(query.read((flow:get_authorize_url())).nonce)
    assert.is_string(assert(log_in(flow)).id_token)
    local claims, err = flow:id_token_claims()
    assert.is_nil(claims)
    assert.equal("config", err.kind)
    assert.has_error(function() new_flow("public", { provider = provider, max_age = 1 }) end,
      "flow.pkce: max_age and acr_values need the scope openid, and the provider's issuer")
  end)
end)

describe("OpenID Connect by the issuer alone #once", function()
  local function log_in(server, flow_name, options)
    local flow = tokencache.flow[flow_name](merged({
      provider = { issuer = server.issuer }, scope = "openid", authorize = false,
      cache = tokencache.cache.memory {}, io = { process = process.new() },
    }, options))
    local url, pending = flow:get_authorize_url()
    assert(flow:exchange(server:login(url), pending))
    local claims = assert(flow:id_token_claims())
    assert.equal(server.issuer, claims.iss)
    assert.equal(claims.sub, assert(flow:userinfo()).sub)
    return flow
  end

  it("works with django-oauth-toolkit, which introspects and revokes too", function()
    local server = django_provider.start()
    finally(function() server:stop() end)
    local flow = log_in(server, "authorization_code", {
      provider = { -- its metadata names neither
        issuer = server.issuer, introspection_url = server.issuer .. "/introspect/",
        revocation_url = server.issuer .. "/revoke_token/",
      },
      client_id = "web", client_secret = "web-secret", pkce = true,
      redirect_uri = django_provider.REDIRECT_URI,
    })
    local token = flow:get_access_token()
    local about = assert(flow:introspect(token))
    assert.same({ true, "web" }, { about.active, about.client_id })
    assert.is_true(flow:revoke(token))
    assert.same({ false }, { flow:introspect(token).active })
  end)

  it("works with glewlwyd", function()
    if not glewlwyd.is_installed() then return pending(glewlwyd.NEED) end
    local redirect_uri = "http://127.0.0.1:4711/callback"
    local server = glewlwyd.start { redirect_uri = redirect_uri }
    finally(function() server:stop() end)
    local flow = log_in(server, "pkce", { client_id = "app", redirect_uri = redirect_uri })
    assert(flow:refresh_access_token())
  end)
end)
