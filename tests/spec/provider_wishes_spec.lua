-- What providers want to be sent, otherwise than the RFCs say.

local logins = require "support.logins"
local merged = require "support.merged"
local stages = require "support.stage"
local tokencache = require "tokencache"

local stage

before_each(function() stage = stages.new() end)

local URLS = { token_url = "https://login.example/token",
  authorize_url = "https://login.example/authorize" }

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
        if name ~= "authorize_url" or flow ~= "client_credentials" then
          local used = name ~= "token_url" or flow ~= "implicit"
          local ok, problem = pcall(new, flow, merged(URLS, { [name] = url }))
          assert.equal(not used, ok)
          assert.is_true(ok or problem:find(name .. NOT_SECURE, 1, true) ~= nil)
        end
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
          .. "refresh_token) to the provider's names for them; mend ", 1, true)
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
