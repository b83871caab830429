-- Authorization requests that are pushed (RFC 9126), to a real authorization server.

local merged = require "support.merged"
local oidc_provider = require "support.oidc_provider"
local process = require "tokencache.account.process"
local tokencache = require "tokencache"

local REDIRECT = "http://127.0.0.1:8080/callback"

describe("a login #once", function()
  local server, pushed

  setup(function() server = oidc_provider.start() end)
  teardown(function() server:stop() end)
  before_each(function()
    pushed = {}
    process.own.documents = nil -- as in a new process
  end)

  local function require_pushed(is_on)
    server:control("require_par", { on = is_on and 1 or 0 }, "")
  end

  --- Provider, by its issuer alone unless `endpoints` says more.
  local function flow_of(name, kind, endpoints, options)
    local real = require("tokencache.io.blocking").transport {}
    return tokencache.flow[kind](server:options(name, merged({
      provider = merged({ issuer = server.url }, endpoints or {}), authorize = false,
      redirect_uri = REDIRECT, scope = "openid read", http = { request = function(_, request)
        pushed[#pushed + 1] = request.url:find("/request$") and request or nil
        return real:request(request)
      end },
    }, options or {})))
  end

  local function log_in(flow)
    local url, pending = flow:get_authorize_url()
    assert(url, pending)
    return url, assert(flow:exchange(server:login(url), pending))
  end

  it("does not push its request where the provider does not require it", function()
    local url = assert(flow_of("public", "pkce"):get_authorize_url())
    assert.equal(0, #pushed)
    assert.matches("&state=", url)
  end)

  for _, case in ipairs { { "public", "pkce" }, { "confidential", "authorization_code" } } do
    it("pushes its request where the provider requires it: flow." .. case[2], function()
      require_pushed(true)
      local url, info = log_in(flow_of(case[1], case[2]))
      assert.equal(1, #pushed)
      assert.matches("^" .. server.url:gsub("%p", "%%%0") .. "/auth%?client_id=" .. case[1]
        .. "&request_uri=urn[^&]+$", url)
      assert.equal("openid read", info.scope)
      assert.is_nil(url:find("state", 1, true))
    end)
  end

  it("does, or does not, as its provider's table says", function()
    require_pushed(false)
    local endpoints = merged(server.provider,
      { pushed_authorization_request_url = server.url .. "/request" })
    log_in(flow_of("public", "pkce", endpoints))
    assert.equal(1, #pushed)
    log_in(flow_of("public", "pkce", { require_pushed_authorization_requests = true }))
    assert.equal(2, #pushed)
    endpoints.require_pushed_authorization_requests = false
    log_in(flow_of("public", "pkce", endpoints))
    assert.equal(2, #pushed)
  end)

  it("that is refused says why, and repeats no secret", function()
    require_pushed(true)
    local url, err = flow_of("confidential", "authorization_code", nil,
      { redirect_uri = "https://elsewhere.example/" }):get_authorize_url()
    assert.is_nil(url)
    assert.equal("config invalid_request", err.kind .. " " .. err.code)
    assert.matches("/request answered invalid_request - .*redirect_uri.*; check redirect_uri",
      err.message)
    url, err = flow_of("confidential", "authorization_code", nil,
      { client_secret = "wrong-4711" }):get_authorize_url()
    assert.is_nil(url)
    assert.equal("config invalid_client", err.kind .. " " .. err.code)
    assert.is_nil(err.message:find("4711", 1, true))
  end)

  it("that is refused may be told so in the words that it was asked in", function()
    local _, err = flow_of("public", "pkce", merged(server.provider,
      { pushed_authorization_request_url = server.url .. "/request" }), {
      http = { request = function() return { status = 400, body = '{"error":"invalid_request",'
        .. '"error_description":"no code by S256 for response_type code"}' } end },
    }):get_authorize_url()
    assert.equal("no code by S256 for response_type code", err.description)
  end)

  it("that gets no reference is a protocol error", function()
    local url, err = flow_of("public", "pkce", merged(server.provider,
      { pushed_authorization_request_url = server.url .. "/request" }), {
      http = { request = function() return { status = 201, body = "{}" } end },
    }):get_authorize_url()
    assert.is_nil(url)
    assert.equal("protocol: " .. server.url .. "/request answered without a request_uri (RFC 9126 "
      .. "§2.2); check pushed_authorization_request_url", err.kind .. ": " .. err.message)
  end)
end)
