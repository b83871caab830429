-- What providers want to be sent, otherwise than the RFCs say.

local fake_endpoint = require "support.fake_endpoint"
local logins = require "support.logins"
local merged = require "support.merged"
local stages = require "support.stage"
local tokencache = require "tokencache"

local stage

before_each(function() stage = stages.new() end)

local URLS = { token_url = "https://login.example/token",
  authorize_url = "https://login.example/authorize" }

local function names_of(fields)
  local names = {}
  for name in pairs(fields) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

--- The body of the request for a token, of a flow without users.
local function body_of(provider, options)
  options = merged({ provider = merged(URLS, provider) }, options)
  assert(stage:flow(options):get_access_token { check_cache = false })
  return stage.requests[#stage.requests].body
end

--- The body of the request that renews a login.
local function renewal_of(provider, options)
  stage.stored = merged(logins.LOGIN, { scope = "a b c" })
  assert(stage:user_flow(merged({ provider = merged(URLS, provider) }, options)):get_access_token())
  return stage.requests[#stage.requests].body
end

describe("headers", function()
  it("of the provider's are sent with each request, over ours", function()
    local provider = { headers = { ["User-Agent"] = "my program/1", Accept = "text/plain" },
      revocation_url = "https://login.example/revoke" }
    renewal_of(provider)
    local headers = stage.requests[1].headers
    assert.equal("my program/1", headers["User-Agent"])
    assert.equal("text/plain", headers.Accept)
    assert.equal("application/x-www-form-urlencoded", headers["Content-Type"])
    stage.on.request = function() return { status = 200 } end
    assert.is_true(stage:user_flow({ provider = merged(URLS, provider) }):log_out())
    assert.equal("my program/1", stage.requests[2].headers["User-Agent"])
  end)

  it("are sent where documents and users are asked about, too", function()
    local issuer = "https://login.example"
    stage.on.request = function(request)
      return stages.answer(request.url == issuer .. "/me" and { sub = "alice" }
        or { issuer = issuer, userinfo_endpoint = issuer .. "/me" })
    end
    stage.stored = { access_token = "a", client_id = stages.CLIENT_ID }
    assert.same({ sub = "alice" }, stage:user_flow { provider = { issuer = issuer,
      token_url = URLS.token_url, authorize_url = URLS.authorize_url,
      headers = { ["User-Agent"] = "my program/1" } } }:userinfo())
    assert.same({ "my program/1", "my program/1" }, { stage.requests[1].headers["User-Agent"],
      stage.requests[2].headers["User-Agent"] })
  end)

  it("arrive", function()
    local endpoint = fake_endpoint.start()
    assert(tokencache.flow.client_credentials { client_id = "c", client_secret = "s", proxy = "",
      cache = tokencache.cache.memory(), provider = { token_url = endpoint:url "token",
        headers = { ["User-Agent"] = "my program/1", ["X-More"] = "more" } } }:get_access_token())
    local headers = endpoint:requests()[1].headers
    endpoint:stop()
    assert.equal("my program/1", headers["user-agent"])
    assert.equal("more", headers["x-more"])
  end)

  it("that cannot be sent are refused", function()
    for problem, wrong in pairs {
      ['headers must not have "a b", which is no name of a header'] = { ["a b"] = "c" },
      ['headers must not have "Cookie", which is no name'] = { ["Cookie: SECRET"] = "c" },
      ["headers must map names to strings without control characters "] = { a = "b\r\nc: d" },
      ["headers must map names to strings without control characters  "] = { "a" },
      ["headers must not set authorization, which the flow sets itself"] = { authorization = "x" },
      ["headers must not set accept; write Accept"] = { accept = "x" },
    } do
      assert.error_matches(function() body_of { headers = wrong } end,
        "provider: " .. problem:match "^(.-) *$", 1, true)
    end
  end)
end)

describe("on_request", function()
  it("changes what is sent", function()
    stage.yields = true
    local thread = coroutine.wrap(function()
      return body_of { on_request = function(request)
        coroutine.yield "thinking"
        assert.same({ "body", "headers", "method", "url" }, names_of(request))
        request.url = request.url .. "?more=1"
        request.headers["Content-Type"] = "application/json"
        request.body = '{"' .. request.body .. '"}'
      end }
    end)
    local body
    repeat body = thread() until not ("load thinking request save"):find(body, 1, true)
    assert.equal('{"grant_type=client_credentials"}', body)
    assert.equal("https://login.example/token?more=1", stage.requests[1].url)
    assert.equal("application/json", stage.requests[1].headers["Content-Type"])
  end)

  for what, case in pairs {
    ["raises"] = { function(request) error("SECRET " .. request.body) end, "raised an error at "
      .. "tests/spec/provider_wishes_spec.lua:%d+; what it says is not shown" },
    ["leaves another method"] = { function(request) request.method = "SECRET" end,
      "method must be POST or GET" },
    ["leaves no url"] = { function(request) request.url = nil end, "url and body must be strings" },
    ["leaves a body of another type"] = { function(request) request.body = {} end,
      "url and body must be strings" },
    ["leads elsewhere without TLS"] = { function(request) request.url = "http://SECRET/" end,
      "url must be https, or http on a loopback address" },
    ["leaves no headers"] = { function(request) request.headers = nil end,
      "headers must map names to strings" },
    ["adds a header to a header"] = { function(request) request.headers.a = "b\nSECRET: c" end,
      "headers must map names to strings" },
  } do
    it("that " .. what .. " is an error, and nothing is sent", function()
      stage.stored = logins.LOGIN
      local token, err = stage:user_flow({ provider = merged(URLS, { on_request = case[1] }) })
        :get_access_token()
      assert.is_nil(token)
      assert.equal("config", err.kind)
      assert.matches("the provider's on_request", tostring(err), 1, true)
      assert.matches(case[2], tostring(err))
      assert.is_nil(tostring(err):find("SECRET", 1, true))
      assert.is_nil(tostring(err):find("refresh-1", 1, true))
      assert.equal(0, #stage.requests)
      assert.same(logins.LOGIN, stage.stored)
    end)
  end
end)

describe("scopes", function()
  it("are separated as the provider wants it", function()
    for separator, sent in pairs { [","] = "a%2Cb%2Cc", [", "] = "a%2C+b%2C+c", ["+"] = "a%2Bb%2Bc",
      [" "] = "a+b+c" } do
      local provider, scope = { scope_separator = separator }, { scope = "c b,a" }
      assert.matches("&scope=" .. sent, body_of(provider, scope), 1, true)
      local flow = stage:user_flow(merged({ provider = merged(URLS, provider) }, scope))
      assert.matches("&scope=" .. sent .. "&", flow:get_authorize_url(), 1, true)
    end
    assert.equal("a b c", stage.stored.scope)
    assert.error_matches(function() body_of { scope_separator = "" } end,
      "provider: scope_separator must be printable ASCII, and not empty", 1, true)
    assert.error_matches(function() body_of { scope_separator = "\n" } end,
      "provider: scope_separator must be printable ASCII, and not empty", 1, true)
  end)

  it("are sent with a refresh token where the provider wants that", function()
    local plain = "grant_type=refresh_token&refresh_token=refresh-1"
    assert.equal(plain, renewal_of({}, { scope = "a b" }))
    local sent = renewal_of({ scope_on_refresh = true, scope_separator = "," }, { scope = "b a" })
    assert.equal(plain .. "&scope=a%2Cb", sent)
    assert.equal(plain, renewal_of { scope_on_refresh = true })
  end)
end)

describe("the client's id and secret", function()
  it("are not encoded for Basic where the provider does not decode them", function()
    body_of({ basic_is_raw = true }, { client_id = "a client", client_secret = "s3cr3t/+%" })
    assert.equal("Basic YSBjbGllbnQ6czNjcjN0Lysl",
      stage.requests[1].headers.Authorization)
    body_of({}, { client_id = "a client", client_secret = "s3cr3t/+%" })
    assert.equal("Basic YStjbGllbnQ6czNjcjN0JTJGJTJCJTI1",
      stage.requests[2].headers.Authorization)
    assert.error_matches(function() body_of({ basic_is_raw = true }, { client_id = "a:b" }) end,
      "client_id holds a ':', which cannot be sent with basic_is_raw", 1, true)
  end)
end)

describe("plain http to another machine", function()
  local PLAIN = { token_url = "http://keycloak:8080/token", revocation_url = "http://keycloak/r",
    authorize_url = "http://keycloak:8080/authorize" }
  local NOT_SECURE = " must be https, or http on a loopback address: secrets travel to it"

  local function new(flow, provider)
    return tokencache.flow[flow] { provider = provider, client_id = "an-id", client_secret = "s",
      redirect_uri = flow ~= "client_credentials" and "https://app.example/" or nil,
      cache = stage.handler, http = stage.transport, io = stage.io }
  end

  for _, flow in ipairs { "client_credentials", "authorization_code", "pkce", "implicit" } do
    it("is refused by flow." .. flow, function()
      for name, url in pairs(PLAIN) do
        local ok, problem = pcall(new, flow, merged(URLS, { [name] = url }))
        assert.is_false(ok)
        assert.matches(name .. NOT_SECURE, problem, 1, true)
      end
    end)
  end

  for _, flow in ipairs { "client_credentials", "authorization_code", "pkce" } do
    it("will do for flow." .. flow .. " with allow_insecure_http", function()
      local made = new(flow, merged(PLAIN, { allow_insecure_http = true }))
      stage.stored = flow ~= "client_credentials" and logins.LOGIN or nil
      assert.equal("access-1", made:get_access_token())
      assert.equal(PLAIN.token_url, stage.requests[1].url)
    end)
  end

  it("will do for what is found by an issuer, which allow_insecure_http is about too", function()
    stage.on.request = function(request)
      if request.method == "GET" then
        return stages.answer { issuer = "http://keycloak:8080", token_endpoint = PLAIN.token_url }
      end
      return stages.answer { access_token = "found", expires_in = 60 }
    end
    local provider = { issuer = "http://keycloak:8080", allow_insecure_http = true }
    assert.equal("found", new("client_credentials", provider):get_access_token())
    provider.allow_insecure_http = nil
    assert.error_matches(function() new("client_credentials", provider) end, "issuer must be https")
  end)

  it("is refused by flow.implicit all the same", function()
    assert.error_matches(function()
      new("implicit", merged(PLAIN, { allow_insecure_http = true }))
    end, "authorize_url" .. NOT_SECURE, 1, true)
  end)
end)

describe("grants", function()
  it("have the provider's names", function()
    local provider = { grant_types = { client_credentials = "account_credentials",
      refresh_token = "renew it" }, token_params = { account_id = "7" } }
    assert.equal("grant_type=account_credentials&account_id=7", body_of(provider))
    assert.equal("grant_type=renew+it&refresh_token=refresh-1&account_id=7", renewal_of(provider))
  end)

  it("are those that there are", function()
    for _, wrong in ipairs { { password = "x" }, { refresh_token = "" }, { refresh_token = 1 },
      { "refresh_token" } } do
      assert.error_matches(function() body_of { grant_types = wrong } end,
        "provider: grant_types must map grants (authorization_code, client_credentials, "
          .. "refresh_token, urn:ietf:params:oauth:grant-type:device_code) to the provider's names "
          .. "for them; mend ", 1, true)
    end
  end)
end)

describe("parameters", function()
  it("may have several values, each sent in turn (RFC 8707)", function()
    local several = { resource = { "https://b.example/", "https://a.example/" }, audience = "x",
      none = {} }
    local sent = "grant_type=client_credentials&audience=x&resource=https%3A%2F%2Fb.example%2F"
      .. "&resource=https%3A%2F%2Fa.example%2F"
    assert.equal(sent, body_of({ token_params = several }))
    assert.equal(sent, body_of(nil, { token_params = several }))
    local flow = stage:user_flow { provider = merged(URLS, { authorize_params = several }) }
    assert.matches("&audience=x&resource=https%3A%2F%2Fb.example%2F"
      .. "&resource=https%3A%2F%2Fa.example%2F", flow:get_authorize_url(), 1, true)
  end)

  it("that are no lists of strings are refused", function()
    for _, wrong in ipairs { { a = 1 }, { 1 }, { "a", nil, "b" }, { { "a" } } } do
      assert.error_matches(function() body_of { token_params = { resource = wrong } } end,
        "token_params must map names to strings, or to lists of strings", 1, true)
    end
  end)
end)

describe("a client whose secret was read from a file", function()
  it("is told of the line feed, and where it is", function()
    for _, case in ipairs {
      { "client_secret", "hush-hush\n", "a line feed at its end (byte 10 of 10)" },
      { "client_id", "id\r\n", "a carriage return (byte 3 of 4)" },
      { "scope", "caf\195\169", "a byte that is not ASCII (byte 4 of 5)" } } do
      local ok, problem = pcall(body_of, nil, { [case[1]] = case[2] })
      assert.is_false(ok)
      assert.matches(case[1] .. " has " .. case[3] .. "; it may hold printable ASCII only",
        problem, 1, true)
      assert.is_nil(problem:find("hush", 1, true))
    end
  end)
end)
