--- OpenID Connect where the provider errs, or is away.

local core = require "tokencache._core"
local id_tokens = require "support.id_tokens"
local json = require "tokencache.json"
local log = require "tokencache.log"
local stages = require "support.stage"
local tokencache = require "tokencache"

local NOW = 1760000000
local ISSUER = "https://login.example"

local USUAL = { iss = ISSUER, sub = "alice", aud = stages.CLIENT_ID, exp = NOW + 3600, iat = NOW,
  auth_time = NOW - 10, nonce = core.base64url_encode(("n"):rep(32)) }

--- Of renewals: refused, and why.
local REFUSED = {
  ["of another user"] =
    { claims = { sub = "mallory" }, problem = "its sub is not that of the login" },
  ["of another time of login"] =
    { claims = { auth_time = NOW }, problem = "its auth_time is not that of the login" },
  ["with another nonce"] =
    { claims = { nonce = "m" }, problem = "its nonce is not that of the login" },
  ["for another client"] =
    { claims = { aud = "other" }, problem = "it is for other clients (aud)" },
  ["of another issuer"] =
    { claims = { iss = "https://evil.example" }, problem = "its iss is not " .. ISSUER },
  ["that nobody signed"] =
    { header = { alg = "none" }, problem = "its alg is none, which proves nothing" },
  ["signed by another key"] = { key = "rs2", header = { kid = "rs" },
    problem = "its signature is wrong" },
}

describe("OpenID Connect with a provider that errs", function()
  local made, stage, flow, answers, keys

  setup(function()
    local wanted = { login = {}, device = { claims = { nonce = json.null } },
      renewed = { claims = { nonce = json.null, more = 1 } },
      new = { key = "rs2", claims = { more = 2 } } }
    for name, entry in pairs(REFUSED) do
      wanted[name] = { claims = entry.claims, header = entry.header, key = entry.key }
    end
    made = id_tokens.make(USUAL, wanted)
  end)

  --- `answers` are those to the next requests that are none for the keys.
  before_each(function()
    stage = stages.new { lock = true }
    stage.now, answers, keys = NOW, {}, made.jwks
    stage.io.random = function(count) return ("n"):rep(count) end
    stage.on.request = function(request)
      stage.monotonic = stage.monotonic + 0.125
      if request.url == ISSUER .. "/jwks" then
        return keys and stages.answer(keys) or { status = 503 }
      end
      local answer = assert(table.remove(answers, 1), "one request too many")
      return type(answer) == "function" and answer(request) or answer
    end
    flow = stage:user_flow { scope = "openid", provider = { issuer = ISSUER,
      token_url = ISSUER .. "/token", authorize_url = ISSUER .. "/authorize",
      jwks_url = ISSUER .. "/jwks", userinfo_url = ISSUER .. "/me" } }
  end)

  after_each(function() log.set_logger(nil) end)

  --- The login is there, and due.
  local function log_in()
    stage.stored = { access_token = "access-0", refresh_token = "refresh-0", scope = "openid",
      client_id = stages.CLIENT_ID, expires_at = NOW - 1, id_token = made.tokens.login }
  end

  local function renewal(id_token)
    return stages.answer { access_token = "access-1", refresh_token = "refresh-1",
      expires_in = 3600, id_token = id_token }
  end

  local function urls()
    local list = {}
    for i, request in ipairs(stage.requests) do
      list[i] = request.url:sub(#ISSUER + 2)
    end
    stage.requests = {}
    return table.concat(list, " ")
  end

  local function renew(id_token)
    answers[1] = renewal(id_token)
    assert.equal("access-1", flow:get_access_token { check_cache = false })
    assert.equal("refresh-1", stage.stored.refresh_token)
    return stage.stored.id_token
  end

  it("keeps the ID token of a renewal, for which the keys were there before", function()
    log_in()
    assert.equal(made.tokens.renewed, renew(made.tokens.renewed))
    assert.equal("jwks token", urls())
    assert.equal(1, flow:id_token_claims().more)
    assert.same({}, stage.logged)
    assert.equal(made.tokens.renewed, renew(nil))
    assert.equal(made.tokens.renewed, renew(json.null))
    assert.equal("token token", urls())
    assert.same({}, stage.logged)
  end)

  it("takes a renewal of a login that is older than max_age", function()
    log_in()
    flow.max_age, stage.now = 60, NOW + 600
    assert.equal(made.tokens.renewed, renew(made.tokens.renewed))
  end)

  for name, entry in pairs(REFUSED) do
    it("loses no login over a renewal's ID token " .. name, function()
      log_in()
      assert.equal(made.tokens.login, renew(made.tokens[name]))
      assert.same({ "warning the id_token of a renewal was refused, the one before stays: "
        .. entry.problem }, stage.logged)
      assert.equal("alice", flow:id_token_claims().sub)
    end)
  end

  it("is told of once where a renewal's ID token is over, whatever its age at each try", function()
    log_in()
    stage.now = NOW + 7200
    for _ = 1, 3 do
      assert.equal(made.tokens.login, renew(made.tokens.renewed))
      stage.now = stage.now + 1
    end
    assert.equal(1, #stage.logged)
    assert.matches("it has been over for %d+ seconds", stage.logged[1])
  end)

  it("loses no login while the keys cannot be had", function()
    log_in()
    keys = nil
    assert.equal(made.tokens.login, renew(made.tokens.renewed))
    assert.matches("^warning the id_token of a renewal was refused, the one before stays: .*503",
      stage.logged[1])
  end)

  it("asks for the keys anew before the next renewal, where one is not known", function()
    log_in()
    assert.equal(made.tokens.login, renew(made.tokens.new))
    keys = made.next_jwks
    stage.monotonic = stage.monotonic + 61
    stage.requests = {}
    assert.equal(made.tokens.new, renew(made.tokens.new))
    assert.equal("jwks token", urls())
  end)

  describe("with a login signed by a key that is not known", function()
    local logins = 0

    local function exchange(timeout)
      stage.requests, answers[1], stage.slept = {}, renewal(made.tokens.new), {}
      flow.timeout = timeout or flow.timeout
      logins = logins + 1
      local state = "unknown-key-" .. logins
      local _, pending = flow:get_authorize_url { state = state }
      return flow:exchange(stages.REDIRECT_URI .. "?code=c&iss=" .. ISSUER .. "&state=" .. state,
        pending)
    end

    it("asks for the keys anew, though it did so a moment ago", function()
      stage.on.sleep = function() keys = made.next_jwks end
      assert(exchange())
      assert.equal("jwks token jwks", urls())
      assert.same({ 9.875 }, stage.slept)
      assert.equal(made.tokens.new, stage.stored.id_token)
    end)

    it("asks for them anew at once where that is a while ago", function()
      assert.is_nil(exchange())
      assert.equal("jwks token jwks", urls())
      stage.monotonic, stage.now = stage.monotonic + 11, stage.now + 11
      assert.is_nil(exchange())
      assert.equal("token jwks", urls())
      assert.same({}, stage.slept)
    end)

    it("waits for keys that are away", function()
      stage.on.sleep = function()
        keys = #stage.slept == 2 and made.next_jwks or nil
      end
      assert(exchange())
      assert.equal("jwks token jwks jwks", urls())
      assert.same({ 9.875, 10 }, stage.slept)
    end)

    it("takes no longer than its call may, and says why", function()
      for _, case in ipairs { { 5, "the provider has no key that it could be", "jwks token" },
        { 25, ISSUER .. "/jwks answered with status 503", "token jwks jwks jwks" } } do
        local info, err = exchange(case[1])
        assert.is_nil(info)
        assert.matches("the id_token was refused, and the login with it: " .. case[2], err.message,
          1, true)
        assert.equal(case[3], urls())
        stage.monotonic, stage.now, keys = stage.monotonic + 11, stage.now + 11, nil
      end
    end)

    it("is refused where one may not wait", function()
      stage.on.sleep = function() return nil, "not here" end
      local info, err = exchange()
      assert.is_nil(info)
      assert.equal("config", err.kind)
    end)
  end)

  it("asks for the token of a login by device when the keys are there", function()
    local device = tokencache.flow.device { client_id = stages.CLIENT_ID, scope = "openid",
      client_secret = stages.CLIENT_SECRET, cache = stage.handler, http = stage.transport,
      io = stage.io, provider = { issuer = ISSUER, token_url = ISSUER .. "/token",
        device_authorization_url = ISSUER .. "/device", jwks_url = ISSUER .. "/jwks" } }
    answers, keys = { stages.answer { device_code = "d", user_code = "u", interval = 1,
      verification_uri = ISSUER .. "/code" } }, nil
    local _, pending = device:begin()
    for _ = 1, 2 do
      stage.monotonic, stage.now = stage.monotonic + 61, stage.now + 61
      local info, err = device:poll(pending)
      assert.is_nil(info)
      assert.equal("transient", err.kind)
      assert.is_number(err.retry_after)
    end
    assert.equal("device jwks jwks", urls())
    stage.monotonic, stage.now = stage.monotonic + 61, stage.now + 61
    keys, answers[1] = made.jwks, renewal(made.tokens.device)
    assert.equal("access-1", assert(device:poll(pending)).access_token)
    assert.equal("jwks token", urls())
  end)

  describe("asked about a user", function()
    before_each(function()
      log_in()
      stage.stored.expires_at = NOW + 3600
    end)

    it("sends the token to the right place, and no other sub passes", function()
      answers = { stages.answer { sub = "alice", email = "a@example.com", name = json.null },
        stages.answer { sub = "mallory" }, stages.answer { email = "a@example.com" } }
      assert.same({ sub = "alice", email = "a@example.com" }, flow:userinfo { timeout = 3 })
      local request = stage.requests[1]
      assert.same({ "GET", ISSUER .. "/me", "Bearer access-0", 3 },
        { request.method, request.url, request.headers.Authorization, request.timeout })
      for _ = 1, 2 do
        local info, err = flow:userinfo()
        assert.is_nil(info)
        assert.equal("protocol: " .. ISSUER .. "/me answered about another user than the login's "
          .. "(sub)", err.kind .. ": " .. err.message)
      end
    end)

    it("believes nothing where it cannot tell whose the login is", function()
      stage.stored.id_token = "e30.e30"
      answers = { stages.answer { sub = "mallory" } }
      local info, err = flow:userinfo()
      assert.is_nil(info)
      assert.matches("the id_token in the cache is damaged", err.message, 1, true)
    end)

    it("renews a token that is refused once", function()
      answers = { { status = 401 }, renewal(), stages.answer { sub = "alice" } }
      assert.equal("alice", flow:userinfo().sub)
      assert.equal("me jwks token me", urls())
      stage.now, stage.monotonic = NOW + 10, stage.monotonic + 10
      answers = { { status = 401 }, renewal(), { status = 401 } }
      answers[2].body = answers[2].body:gsub("access%-1", "access-2")
      local info, err = flow:userinfo()
      assert.is_nil(info)
      assert.same({ "denied", 401 }, { err.kind, err.status })
    end)

    it("says what is wrong", function()
      for wanted, answer in pairs {
        ["transient: the provider did not tell about the user: status 503"] = { status = 503 },
        ["denied: the provider did not tell about the user: status 403"] = { status = 403 },
        ["protocol: " .. ISSUER .. "/me answered with something other than a JSON object; signed "
          .. "and encrypted answers are not supported"] = { status = 200, body = "e30.e30.AAAA" },
      } do
        answers = { answer }
        local info, err = flow:userinfo()
        assert.is_nil(info)
        assert.equal(wanted, err.kind .. ": " .. err.message)
      end
    end)

    it("asks the user to log in where there is no login", function()
      stage.stored = nil
      local info, err = flow:userinfo()
      assert.is_nil(info)
      assert.equal("reauthorize", err.kind)
    end)
  end)

  it("tells the claims of its own logins only", function()
    log_in()
    assert.equal("alice", flow:id_token_claims().sub) -- the token has expired
    stage.stored.client_id = "another"
    assert.is_nil(flow:id_token_claims())
    log_in()
    stage.stored.id_token = "e30.e30"
    local claims, err = flow:id_token_claims()
    assert.is_nil(claims)
    assert.equal("cache", err.kind)
    stage.stored.id_token = nil
    assert.same({ nil }, { flow:id_token_claims() })
    stage.on.load = function() return nil, "the disk is gone" end
    assert.equal("cache", select(2, flow:id_token_claims()).kind)
    assert.equal("cache", select(2, flow:end_session_url()).kind)
  end)
end)
