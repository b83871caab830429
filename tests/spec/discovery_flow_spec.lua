-- What a flow makes of its provider's metadata: how it authenticates, what it is told when they
-- contradict each other, and that no document, whatever it says, makes it raise.

local discovery = require "tokencache.discovery"
local issuers = require "support.issuers"
local json = require "tokencache.json"
local log = require "tokencache.log"
local logins = require "support.logins"
local loopback = require "support.loopback"
local merged = require "support.merged"
local stages = require "support.stage"
local tokencache = require "tokencache"

local ISSUER = issuers.ISSUER

local new_provider, new_stage, options = issuers.new_provider, issuers.new_stage, issuers.options

after_each(function() log.set_logger(nil) end)

describe("a flow", function()
  --- What comes of asking for a token: "basic", "post" or "none", by how it was asked; or an error.
  local function method_of(offered, changes, kind)
    local provider = new_provider { token_endpoint_auth_methods_supported = offered or false }
    local stage = new_stage(provider)
    local all = options(changes)
    if all.client_secret == false then
      all.client_secret = ""
    end
    local _, err
    if kind == "client_credentials" then
      _, err = stage:flow(all):get_access_token()
    else
      all = merged({ client_id = stages.CLIENT_ID, client_secret = stages.CLIENT_SECRET,
        cache = stage.handler, http = stage.transport, io = stage.io,
        redirect_uri = stages.REDIRECT_URI,
        authorize = function(url)
          return stages.REDIRECT_URI .. "?code=c&" .. url:match("state=[^&]+")
        end }, all)
      _, err = tokencache.flow[kind](all):get_access_token()
    end
    local request = stage.requests[#stage.requests]
    if err then
      return err.message
    end
    return request.headers.Authorization and "basic"
      or request.body:find("client_secret=", 1, true) and "post" or "none"
  end

  local BASIC, POST, NONE, JWT =
    "client_secret_basic", "client_secret_post", "none", "private_key_jwt"
  local NOTHING = { client_secret = false }

  for _, case in ipairs {
    { "client_credentials", nil, {}, "basic" },
    { "client_credentials", json.array {}, {}, "basic" },
    { "client_credentials", { BASIC, POST }, {}, "basic" },
    { "client_credentials", { JWT, POST }, {}, "post" },
    { "authorization_code", { POST }, {}, "post" },
    { "authorization_code", { NONE }, {}, "none" },
    { "authorization_code", { BASIC, NONE }, NOTHING, "none" },
    { "authorization_code", { BASIC, POST }, NOTHING, "none" }, -- Keycloak does not list it
    { "pkce", { BASIC, NONE }, {}, "none" },
    { "pkce", { BASIC, POST }, {}, "basic" },
    { "pkce", nil, {}, "none" },
    { "pkce", { BASIC }, NOTHING, "none" },
    { "client_credentials", { BASIC, POST }, { token_endpoint_auth_method = POST }, "post" },
    { "pkce", { BASIC }, { token_endpoint_auth_method = NONE }, "none" },
  } do
    it(("of the kind %s, %s, offered %s, authenticates by %s"):format(case[1],
      case[3] == NOTHING and "without a secret" or case[3].token_endpoint_auth_method or "free",
      table.concat(case[2] or { "nothing" }, " "), case[4]), function()
      assert.equal(case[4], method_of(case[2], case[3], case[1]))
    end)
  end

  it("without a user needs a secret, which is said when it is made", function()
    local made, err = pcall(function() method_of(nil, NOTHING, "client_credentials") end)
    assert.is_false(made)
    assert.matches("client_secret is required", err, 1, true)
  end)

  it("says which method is missing", function()
    assert.matches("no client_secret_basic among its token_endpoint_auth_methods_supported "
      .. "(private_key_jwt), and nothing else", method_of({ JWT }, {}, "client_credentials"), 1,
      true)
    assert.matches("no client_secret_post among its .*, which token_endpoint_auth_method names",
      method_of({ BASIC }, { token_endpoint_auth_method = POST }, "pkce"))
  end)

  it("is told what its provider cannot do, before anybody logs in", function()
    for field, kind in pairs { grant_types_supported = "client_credentials",
      code_challenge_methods_supported = "pkce" } do
      local stage = new_stage(new_provider { [field] = { "implicit", "plain" } })
      local flow = kind == "pkce" and tokencache.flow.pkce(options { client_id = "a",
        cache = stage.handler, http = stage.transport, io = stage.io,
        redirect_uri = stages.REDIRECT_URI, authorize = function() error "asked" end })
        or stage:flow(options())
      local _, err = flow:get_access_token()
      assert.equal("config", err.kind)
      assert.matches("among its " .. field .. " (implicit plain)", err.message, 1, true)
    end
  end)

  it("of many tenants takes the document that names the issuer of their ID tokens", function()
    local template = ISSUER .. "/{tenantid}"
    for named, other in pairs { [template] = true, [ISSUER .. "/another"] = false } do
      local stage = new_stage(new_provider { issuer = named })
      local token, err = stage:flow { provider = { issuer = ISSUER, id_token_issuer = template } }
        :get_access_token()
      assert.equal(other, token ~= nil)
      assert.equal(other and "" or "config", err and err.kind or "")
    end
  end)

  it("sends nothing to an address that is not safe, or not there", function()
    for endpoint, problem in pairs { [ISSUER .. "/t#a"] = "a fragment",
      ["http://login.example/token"] = "must be https",
      ["/token"] = "the metadata's token_endpoint: ",
      [false] = "names no token_endpoint; give token_url in provider" } do
      local provider = new_provider { token_endpoint = endpoint }
      local _, err = new_stage(provider):flow(options()):get_access_token()
      assert.equal("config", err.kind)
      assert.matches(problem, err.message, 1, true)
      assert.matches(ISSUER, err.message, 1, true)
      assert.same({}, provider.sent)
    end
  end)

  it("sends nobody to a login page that is not safe", function()
    local provider = new_provider { authorization_endpoint = "http://login.example/authorize" }
    local url, err = new_stage(provider):user_flow(options()):get_authorize_url()
    assert.is_nil(url)
    assert.equal("config", err.kind)
    assert.matches("the metadata's authorization_endpoint must be https", err.message, 1, true)
  end)

  it("asks for no document where the program has said it all", function()
    local provider = new_provider()
    local stage = new_stage(provider, { lock = true, token_info = logins.LOGIN })
    local flow = stage:user_flow { provider = { issuer = ISSUER, token_url = ISSUER .. "/mine",
      authorize_url = ISSUER .. "/login", revocation_url = ISSUER .. "/revoke" } }
    assert(flow:get_access_token())
    assert.matches("^" .. ISSUER .. "/login", (flow:get_authorize_url()))
    assert(flow:log_out())
    assert.same({}, provider.asked)
    assert.same({ ISSUER .. "/mine", ISSUER .. "/revoke", ISSUER .. "/revoke" }, provider.sent)
  end)

  it("believes the program more than the document", function()
    local provider = new_provider { revocation_endpoint = ISSUER .. "/theirs" }
    local stage = new_stage(provider, { lock = true, token_info = logins.LOGIN })
    local flow = stage:user_flow { provider = { issuer = ISSUER, revocation_url = ISSUER .. "/r" } }
    assert(flow:log_out())
    assert.same({ ISSUER .. "/r", ISSUER .. "/r" }, provider.sent)
    assert.matches("^Basic ", stage.requests[#stage.requests].headers.Authorization)
  end)

  local PROMISED = { authorization_response_iss_parameter_supported = true }

  for name, case in pairs {
    ["that promises iss"] = { PROMISED, {}, false },
    ["that does not"] = { {}, {}, true },
    ["of which the program says that it does"] = { {}, PROMISED, false },
  } do
    it("takes an answer without iss, or not, from a provider " .. name, function()
      local stage = new_stage(new_provider(case[1]))
      local flow = stage:user_flow { provider = merged({ issuer = ISSUER }, case[2]) }
      local url, pending = flow:get_authorize_url()
      local response = stages.REDIRECT_URI .. "?code=c&" .. url:match("state=[^&]+")
      local _, err = flow:exchange(response .. "&iss=https%3A%2F%2Fother.example", pending)
      assert.equal("state", err.kind)
      local info
      info, err = flow:exchange(response, pending)
      assert.equal(case[3], info ~= nil)
      assert.equal(not case[3] and "state" or nil, err and err.kind)
    end)
  end

  it("with the implicit grant needs no more than the login page", function()
    local provider = new_provider { token_endpoint = false }
    local stage = new_stage(provider)
    local flow = tokencache.flow.implicit(options { client_id = "a", cache = stage.handler,
      http = stage.transport, io = stage.io, redirect_uri = stages.REDIRECT_URI,
      authorize = function(url)
        return stages.REDIRECT_URI .. "#access_token=t&token_type=Bearer&expires_in=60&"
          .. url:match("state=[^&]+")
      end })
    assert.equal("t", flow:get_access_token())
  end)
end)

describe("a login whose provider is away", function()
  for _, way in ipairs { "browser", "device", "paste" } do
    it("says so where it would take place by " .. way, function()
      local flow = tokencache.flow.pkce { client_id = "a", cache = tokencache.cache.memory(),
        provider = { issuer = "http://127.0.0.1:" .. loopback.refusing_port() }, proxy = "",
        io = { sleep = function() end }, login = { way },
        redirect_uri = "http://127.0.0.1/callback" }
      local token, err = flow:get_access_token()
      assert.is_nil(token)
      assert.equal("transient", err.kind)
      assert.matches("check that the server runs", err.message, 1, true)
    end)
  end
end)

describe("any document", function()
  local function mutate(text)
    local way, i = math.random(5), math.random(#text)
    if way == 1 then
      return text:sub(1, i)
    elseif way == 2 then
      return text:sub(1, i - 1) .. string.char(math.random(0, 255)) .. text:sub(i + 1)
    elseif way == 3 then
      return text:sub(1, i) .. text:sub(math.random(#text))
    end
    local values = { "null", "[]", "{}", "0", "true", '""', '"a b"', "1e999", '[1,null,"S256"]',
      '"https://login.example/x"', '"http://login.example"', '"\\ud800"', "[[[]]]" }
    local value = values[math.random(#values)]:gsub("%%", "%%%%")
    return (text:gsub('":("?[^,"]*"?)', function(old)
      return '":' .. (math.random(6) == 1 and value or old)
    end))
  end

  it("makes a token or an error, and never raises", function()
    math.randomseed(7)
    local whole = json.encode { issuer = ISSUER, token_endpoint = ISSUER .. "/token",
      authorization_endpoint = ISSUER .. "/authorize", jwks_uri = ISSUER .. "/keys",
      grant_types_supported = { "client_credentials" },
      token_endpoint_auth_methods_supported = { "client_secret_basic" },
      code_challenge_methods_supported = { "S256" },
      authorization_response_iss_parameter_supported = true,
      keys = { { kty = "RSA", kid = "a" } } }
    local outcomes = {}
    for _ = 1, 2000 do
      local provider = new_provider()
      local text = mutate(whole)
      provider.on = function() return { status = 200, headers = {}, body = text } end
      local stage = new_stage(provider)
      local flow = stage:flow(options())
      local token, err = flow:get_access_token()
      outcomes[token and "token" or err.kind] = true
      discovery.keys(flow, stage.monotonic + 1)
      for _, url in ipairs(provider.sent) do
        assert.matches("^https://", url)
      end
    end
    assert.same({ token = true, config = true, protocol = true }, outcomes)
  end)
end)
