-- Both halves of a login at a real server: get_authorize_url, and in another process if need be
-- exchange, or get_access_token with what came back. What is forged is in hostile_spec.

local core = require "tokencache._core"
local loopback = require "support.loopback"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"
local query = require "support.query"
local tokencache = require "tokencache"

local REDIRECT_URI = "http://127.0.0.1:8123/callback"
local KEY = "0123456789abcdef0123456789abcdef"

describe("both halves of a login", function()
  local server, cache, requests

  setup(function()
    server = oidc_provider.start()
  end)

  teardown(function()
    server:stop()
  end)

  before_each(function()
    cache = tokencache.cache.memory {}
    requests = server:token_requests()
  end)

  --- The provider with another issuer, or none.
  local function with_issuer(issuer, iss_is_sent)
    return {
      authorize_url = server.provider.authorize_url, token_url = server.token_url,
      jwks_url = server.provider.jwks_url, issuer = issuer,
      authorization_response_iss_parameter_supported = iss_is_sent,
    }
  end

  local function options(client, changes)
    return server:options(client, { redirect_uri = REDIRECT_URI, scope = "openid read",
      cache = cache }, changes or {})
  end

  local function pkce(changes)
    return tokencache.flow.pkce(options("public", changes))
  end

  local function code(changes)
    return tokencache.flow.authorization_code(options("confidential", changes))
  end

  --- Nobody was asked for a token, and none was kept.
  local function assert_refused(kind, message, info, err)
    assert.is_nil(info)
    assert.equal(kind, err.kind, tostring(err))
    assert.matches(message, tostring(err), 1, true)
    assert.equal(requests, server:token_requests())
    assert.is_nil((cache:get_cached_token()))
  end

  for name, new in pairs { pkce = pkce, authorization_code = code,
    ["authorization_code with a proof key"] = function() return code { pkce = true } end } do
    it("bring a token, by " .. name, function()
      local flow = new()
      local url, pending = flow:get_authorize_url()
      local before = math.floor(core.now())
      local info = assert(flow:exchange(server:login(url), pending))
      assert.equal("openid read", info.scope)
      assert.equal("Bearer", info.token_type)
      assert.equal(flow.client_id, info.client_id)
      assert.is_true(info.authorized_at >= before and info.authorized_at <= core.now())
      assert.same(info, cache:get_cached_token())
      assert.equal(info.access_token, flow:get_access_token())
      assert.equal(requests + 1, server:token_requests())
    end)
  end

  it("may be in different processes; the server refuses a second exchange", function()
    local script = [[
      local server, redirect_uri, response_url, pending = ...
      local tokencache = require "tokencache"
      local flow = tokencache.flow.pkce {
        provider = { authorize_url = server .. "/auth", token_url = server .. "/token",
          jwks_url = server .. "/jwks", issuer = server },
        client_id = "public", redirect_uri = redirect_uri, scope = "openid read",
        cache = tokencache.cache.memory {},
      }
      if not response_url then
        print(table.concat({ flow:get_authorize_url() }, " "))
      else
        local info, err = flow:exchange(response_url, pending)
        print(info and info.scope or err.kind .. " " .. err.code)
      end
    ]]
    local function run(...)
      local exit, output = process.run(process.lua(script, server.url, REDIRECT_URI, ...))
      assert.equal(0, exit, output)
      return (output:gsub("\n$", ""))
    end

    local url, pending = run():match("^(%S+) (%S+)$")
    local response_url = server:login(url)
    assert.equal("openid read", run(response_url, pending))
    assert.equal("reauthorize invalid_grant", run(response_url, pending))
  end)

  it("are over after the first exchange", function()
    local flow = pkce()
    local url, pending = flow:get_authorize_url()
    local response_url = server:login(url)
    assert(flow:exchange(response_url, pending))
    cache:remove_cached_token()
    requests = requests + 1
    assert_refused("state", "finished before", flow:exchange(response_url, pending))
    assert_refused("state", "finished before", pkce():exchange(response_url, pending))
  end)

  it("tell that the user said no", function()
    local flow = pkce()
    local url, pending = flow:get_authorize_url()
    local response_url = server:login(url, { deny = true })
    local info, err = flow:exchange(response_url, pending)
    assert_refused("denied", "End-User aborted interaction", info, err)
    assert.equal("access_denied", err.code)
  end)

  it("are at most ten minutes apart", function()
    local now = os.time()
    local flow = pkce { clock = function() return now end }
    local url, pending = flow:get_authorize_url()
    local response_url = server:login(url)
    now = now + 601
    assert_refused("state", "longer than 600 seconds", flow:exchange(response_url, pending))
    now = now - 1
    assert(flow:exchange(response_url, pending))
  end)

  it("allow the clocks of two machines a minute of difference", function()
    local now = os.time()
    local flow = pkce { scope = "read", clock = function() return now end } -- no id_token, no iat
    local url, pending = flow:get_authorize_url()
    local response_url = server:login(url)
    now = now - 61
    assert_refused("state", "start it again", flow:exchange(response_url, pending))
    now = now + 1
    assert(flow:exchange(response_url, pending))
  end)

  describe("of which the first names an issuer (RFC 9207)", function()
    local function without_iss(url)
      return (url:gsub("&iss=[^&]*", ""))
    end

    it("refuse a response that names none, or another", function()
      local flow = pkce()
      local url, pending = flow:get_authorize_url()
      local response_url = server:login(url)
      assert.equal(server.url, query.read(response_url).iss)
      assert_refused("state", "names no issuer", flow:exchange(without_iss(response_url), pending))
      assert_refused("state", "another issuer",
        flow:exchange(without_iss(response_url) .. "&iss=https%3A%2F%2Fevil.example", pending))
      assert_refused("state", "another issuer (RFC 9207), " .. server.url .. "/; check",
        flow:exchange(response_url .. "%2F", pending))
      assert_refused("protocol", "twice", flow:exchange(response_url .. "&iss=x", pending))
      assert(flow:exchange(response_url, pending))
    end)

    it("know the address of the login page, pasted in place of a response", function()
      local flow = pkce()
      local url, pending = flow:get_authorize_url()
      assert_refused("protocol", "the response holds no code", flow:exchange(url, pending))
      assert(flow:exchange(server:login(url), pending))
    end)

    it("let a response without one pass where the server never sends it", function()
      local flow = pkce { provider = with_issuer(server.url, false) }
      local url, pending = flow:get_authorize_url()
      local response_url = without_iss(server:login(url))
      assert_refused("state", "another issuer",
        flow:exchange(response_url .. "&iss=https%3A%2F%2Fevil.example", pending))
      assert(flow:exchange(response_url, pending))
    end)

    it("are not those of a flow that names another, or none", function()
      local url, pending = pkce():get_authorize_url()
      local response_url = server:login(url)
      for _, provider in ipairs { with_issuer("https://evil.example"), with_issuer(nil) } do
        local other = pkce { provider = provider }
        assert_refused("state", "of another issuer", other:exchange(response_url, pending))
      end
    end)
  end)

  it("ask for no issuer where the provider has none", function()
    local flow = pkce { provider = with_issuer(nil) }
    local url, pending = flow:get_authorize_url()
    assert(flow:exchange(server:login(url):gsub("&iss=.*", ""), pending))
  end)

  describe("with a pending_key", function()
    it("bring a token", function()
      local flow = pkce { pending_key = KEY }
      local url, pending = flow:get_authorize_url()
      assert(pkce { pending_key = KEY }:exchange(server:login(url), pending))
    end)

    it("keep what is pending from who carries it", function()
      local url, open = pkce():get_authorize_url()
      assert.is_truthy(open:find(query.read(url).state, 1, true)) -- what the next lines look for
      local sealed
      url, sealed = pkce { pending_key = KEY }:get_authorize_url()
      assert.matches("^s[%w_-]+$", sealed) -- fit for a cookie
      for _, text in ipairs { sealed, core.base64url_decode(sealed:sub(2)) } do
        assert.is_nil(text:find(query.read(url).state, 1, true))
        assert.is_nil(text:find("code_verifier", 1, true))
      end
    end)

    it("refuse what was altered", function()
      local flow = pkce { pending_key = KEY }
      local url, pending = flow:get_authorize_url()
      local response_url = server:login(url)
      for i = 1, #pending do
        local other = pending:byte(i) == 65 and "B" or "A"
        local altered = pending:sub(1, i - 1) .. other .. pending:sub(i + 1)
        local info, err = flow:exchange(response_url, altered)
        assert.is_nil(info)
        assert.equal("state", err.kind)
      end
      assert_refused("state", "was altered", flow:exchange(response_url, pending .. "A"))
      assert_refused("state", "was altered", flow:exchange(response_url, pending:sub(1, -2)))
      assert_refused("state", "was altered", flow:exchange(response_url, ""))
      assert(flow:exchange(response_url, pending))
    end)

    it("refuse what another key sealed, or none", function()
      local url, pending = pkce { pending_key = KEY }:get_authorize_url()
      local response_url = server:login(url)
      assert_refused("state", "another pending_key",
        pkce { pending_key = KEY:reverse() }:exchange(response_url, pending))
      assert_refused("state", "malformed", pkce():exchange(response_url, pending))
      url, pending = pkce():get_authorize_url()
      assert_refused("state", "was altered",
        pkce { pending_key = KEY }:exchange(server:login(url), pending))
    end)

    it("refuse what was sealed for another client", function()
      local url, pending = pkce { pending_key = KEY }:get_authorize_url()
      assert_refused("state", "another client_id",
        code { pending_key = KEY }:exchange(server:login(url), pending))
    end)
  end)

  describe("skip the cache", function()
    local function log_in_as(user)
      local flow = pkce()
      local url, pending = flow:get_authorize_url()
      return assert(flow:exchange(server:login(url, { user = user }), pending))
    end

    local function assert_is_new(old, info)
      assert.not_equal(old.access_token, info.access_token)
      assert.equal(info.access_token, cache:get_cached_token().access_token)
    end

    it("by exchange", function()
      local old = log_in_as("bob")
      assert_is_new(old, log_in_as("alice"))
    end)

    it("by get_access_token and get_token_info with response_url", function()
      for _, method in ipairs { "get_access_token", "get_token_info" } do
        local old = log_in_as("bob")
        local flow = pkce()
        local response_url = server:login((flow:get_authorize_url()))
        local result = assert(flow[method](flow, { response_url = response_url }))
        assert_is_new(old, type(result) == "table" and result or { access_token = result })
        requests = server:token_requests()
        local again, err = flow[method](flow, { response_url = response_url })
        assert.is_nil(again)
        assert.equal("state", err.kind)
        assert.equal(requests, server:token_requests())
      end
    end)

    it("by get_access_token with the bare code", function()
      for _, new in ipairs { pkce, code } do
        local old = log_in_as("bob")
        local flow = new()
        local response_url = server:login((flow:get_authorize_url()))
        local token = assert(flow:get_access_token { code = query.read(response_url).code })
        assert_is_new(old, { access_token = token })
      end
    end)
  end)

  it("need one flow object for a code with a proof key, but none without", function()
    local url = pkce():get_authorize_url()
    local params = query.read(server:login(url))
    assert_refused("state", "get_authorize_url", pkce():get_access_token { code = params.code })

    url = code():get_authorize_url()
    params = query.read(server:login(url))
    assert(code():get_access_token { code = params.code })
  end)

  it("are those of the last get_authorize_url where none is passed", function()
    local flow = pkce()
    assert_refused("state", "has begun no login",
      flow:get_access_token { response_url = "?code=x" })
    local old = server:login((flow:get_authorize_url()))
    local url = flow:get_authorize_url()
    assert_refused("state", "of another login", flow:get_access_token { response_url = old })
    assert(flow:get_access_token { response_url = server:login(url) })
  end)

  it("are told apart by options that exclude each other", function()
    tokencache.set_logger(false)
    finally(function() tokencache.set_logger(nil) end)
    local implicit = tokencache.flow.implicit(options("public"))
    for message, try in pairs {
      ["get_access_token: pass code or response_url, not both"] = function()
        pkce():get_access_token { code = "x", response_url = "?code=x" }
      end,
      ["get_token_info: code must be a string, not a number"] = function()
        pkce():get_token_info { code = 7 }
      end,
      ["get_access_token: this flow has no code; pass response_url"] = function()
        implicit:get_access_token { code = "x" }
      end,
    } do
      local _, problem = pcall(try)
      assert.equal(message, problem:match("exchange_spec%.lua:%d+: (.*)$"))
    end
  end)

  describe("whose code the server cannot have seen", function()
    local flow, pending, response_url

    before_each(function()
      local url
      flow = pkce()
      url, pending = flow:get_authorize_url()
      response_url = server:login(url)
      requests = server:token_requests()
    end)

    local function assert_away(info, err)
      assert.is_nil(info)
      assert.equal("transient", err.kind, tostring(err))
    end

    --- Later than the flow waits: there is one attempt.
    local function refuse(status)
      server:next_token { status = status, retry_after = 3600 }
    end

    for _, status in ipairs { 503, 429 } do
      it("may be brought again after status " .. status, function()
        for _ = 1, 2 do
          refuse(status)
          assert_away(flow:exchange(response_url, pending))
        end
        assert(flow:exchange(response_url, pending))
      end)
    end

    it("may be brought again where there was no connection", function()
      local provider = with_issuer(server.url)
      provider.token_url = "http://127.0.0.1:" .. loopback.refusing_port() .. "/token"
      local away = pkce { provider = provider }
      assert_away(away:exchange(response_url, pending))
      assert.equal(requests, server:token_requests())
      assert(flow:exchange(response_url, pending))
      requests = server:token_requests()
      local info, err = flow:exchange(response_url, pending)
      assert.is_nil(info)
      assert.matches("finished before", tostring(err))
    end)

    it("may be brought again to get_access_token", function()
      refuse(503)
      assert_away(flow:get_access_token { response_url = response_url })
      assert(flow:get_access_token { response_url = response_url })
    end)
  end)

  for what, fault in pairs {
    ["no answer came"] = { lost = true }, ["status 500 came"] = { status = 500 },
  } do
    it("are over where the server may have seen the code, and " .. what, function()
      local flow = pkce()
      local url, pending = flow:get_authorize_url()
      local response_url = server:login(url)
      requests = server:token_requests()
      server:next_token(fault)
      local info, err = flow:exchange(response_url, pending)
      assert.is_nil(info)
      assert.equal("transient", err.kind)
      assert.equal(requests + 1, server:token_requests()) -- it may have been processed: not again
      requests = requests + 1
      assert_refused("state", "finished before", flow:exchange(response_url, pending))
    end)
  end
end)
