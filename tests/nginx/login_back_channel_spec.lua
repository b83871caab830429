-- Users who leave at the provider, which tells the gateway by back-channel logout. Which tokens are
-- forged, and how that is noticed, is told in tests/spec/logout_token_spec.lua.

local id_tokens = require "support.id_tokens"
local json = require "tokencache.json"
local login_gateway = require "support.login_gateway"
local loopback = require "support.loopback"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"
local redis_server = require "support.redis_server"

local EVENT = "http://schemas.openid.net/event/backchannel-logout"
local ISSUER = "https://login.example"

--- Beside the gateway: keeps what the provider sends, counts what the gateway keeps, and is a
--- provider that has nothing but keys.
local BESIDE = [[
  lua_shared_dict forms 1m;
  server {
    listen 127.0.0.1:$BESIDE;
    location /kept { content_by_lua_block { ngx.print(ngx.shared.forms:get("last")) } }
    location /keep {
      content_by_lua_block {
        ngx.req.read_body()
        ngx.shared.forms:set("last", ngx.req.get_body_data())
      }
    }
    location /count {
      content_by_lua_block { ngx.print(#ngx.shared.tokencache:get_keys(0)) }
    }
    location /looks { content_by_lua_block { ngx.print(looks) } }
    location /lose { content_by_lua_block { lose() } }
    location /refuse { content_by_lua_block { refuses = true } }
    location /jwks { content_by_lua_block { ngx.print([==[$JWKS]==]) } }
  }
]]

--- Counts how often it is asked whether a user or a session was left. What else it has of that is
--- the last word: `lose` drops it, and `refuse` has none follow a mark.
local COUNTED = [[(function()
  local store = tokencache.store.shared_dict(ngx.shared.tokencache)
  local get, set, word = store.get, store.set, nil
  looks, refuses = 0, false
  function store:get(key)
    looks = looks + (key:find("^session%-left:") and 1 or 0)
    return get(self, key)
  end
  function store:set(key, text, ...)
    local is_left = key:find "^session%-left:"
    if is_left and tonumber(text) then
      refuses = refuses and "words"
    elseif is_left and refuses == "words" then
      return nil, "no room"
    elseif is_left then
      word = key
    end
    return set(self, key, text, ...)
  end
  function lose()
    store:delete(word)
    for _, name in ipairs(ngx.shared.tokencache:get_keys(0)) do
      if name:find "^login%-left:" then
        ngx.shared.tokencache:delete(name)
      end
    end
  end
  return store
end)()]]

describe("back-channel logout", function()
  local provider, redis, gateways, made

  local function start(options, jwks)
    local beside = tostring(loopback.free_port())
    options.provider = options.provider and options.provider:gsub("PORT", beside)
    local gateway = login_gateway.start(provider, options,
      { http = BESIDE, values = { BESIDE = beside, JWKS = json.encode(jwks or {}) } })
    gateway.beside = beside
    return gateway
  end

  setup(function()
    local now = os.time()
    made = id_tokens.make({ iss = ISSUER, sub = "alice", aud = "confidential", iat = now,
      exp = now + 1200, jti = "a", events = { [EVENT] = {} } },
      { good = {}, next = { claims = { jti = "b" } }, other = { claims = { aud = "other" } },
        old = { claims = { iat = now - 300, exp = now - 200 } },
        forged = { key = "rs2", header = { kid = "rs" } } })
    provider = oidc_provider.start()
    redis = redis_server.start()
    local in_redis = { store = ("tokencache.store.redis { port = %d }"):format(redis.port) }
    gateways = {
      one = start(in_redis),
      other = start(in_redis), -- another machine
      files = start {},
      dict = start { store = "tokencache.store.shared_dict(ngx.shared.tokencache)" },
      played = start({ clock = "ngx.now", issuer = "nil", provider = [[{
        issuer = "https://login.example",
        authorize_url = "https://login.example/auth", token_url = "https://login.example/token",
        jwks_url = "http://127.0.0.1:PORT/jwks" }]] }, made.jwks),
    }
  end)

  teardown(function()
    for _, gateway in pairs(gateways) do
      gateway:stop()
    end
    redis:stop()
    provider:stop()
  end)

  local function tell(gateway, by_sessions)
    provider:tell_logouts(gateway.url .. "/auth/backchannel", by_sessions)
  end

  local function is_in(browser)
    return browser:get("/").status == 200
  end

  local function log_in(gateway, user)
    local browser = gateway:new_browser()
    browser:log_in(user)
    return browser
  end

  it("ends all sessions of a user, on each machine within seconds, and nobody else's", function()
    tell(gateways.one)
    local first, second = log_in(gateways.one, "alice"), log_in(gateways.other, "alice")
    local there, bob = gateways.other:new_browser(), log_in(gateways.one, "bob")
    there.cookies = first.cookies
    for _, browser in ipairs { first, there, second, bob } do
      assert.is_true(is_in(browser))
    end
    for _, name in ipairs { "one", "other" } do -- and a worker remembers for one second more
      assert.is_true(gateways[name]:trusted_for() <= 4)
    end
    provider:log_out("alice")
    process.wait_until("the sessions to end", function()
      return not is_in(first) and not is_in(there) and not is_in(second)
    end)
    assert.is_true(is_in(bob))
  end)

  it("ends one session of a user, where the provider names it", function()
    tell(gateways.one, true)
    local stays, ends = log_in(gateways.one, "carol"), log_in(gateways.one, "carol")
    assert.is_true(is_in(stays))
    provider:log_out("carol")
    assert.is_false(is_in(ends))
    assert.is_true(is_in(stays))
  end)

  for _, name in ipairs { "files", "dict" } do
    it("ends sessions that are kept in " .. name .. ", and none that begins later", function()
      local gateway = gateways[name]
      tell(gateway)
      local alice, bob = log_in(gateway, "alice"), log_in(gateway, "bob")
      provider:log_out("alice")
      assert.is_false(is_in(alice))
      assert.is_true(is_in(bob))
      process.wait_until("a login of a later second", function()
        return is_in(log_in(gateway, "alice"))
      end)
    end)
  end

  it("costs a session no look into the store where nobody has left since the one before", function()
    local gateway = start { store = COUNTED }
    finally(function() gateway:stop() end)
    local function looks()
      return tonumber((select(2, gateway.server:get("/looks", { port = gateway.beside }))))
    end
    tell(gateway)
    local alice = log_in(gateway, "alice")
    assert.is_true(is_in(alice))
    local before = looks()
    gateway:advance(1) -- for which a worker remembers a session
    assert.is_true(is_in(alice))
    assert.is_true(looks() <= before + 1) -- for the last word, if it took seconds
    provider:log_out("alice")
    process.wait_until("the session to end", function() return not is_in(alice) end)
  end)

  local function post(gateway, body, method)
    local answer = {}
    answer.status, answer.body, answer.headers = gateway.server:get("/auth/backchannel",
      { method = method or "POST", body = body,
        headers = { ["Content-Type"] = "application/x-www-form-urlencoded" } })
    assert.equal("no-store", answer.headers["cache-control"])
    assert.equal("application/json", answer.headers["content-type"])
    return answer
  end

  local function check_refusal(answer, problem)
    assert.equal(400, answer.status)
    assert.same({ error = "invalid_request", error_description = problem },
      json.decode(answer.body))
  end

  --- What the provider has sent.
  local function form_of_log_out(gateway, user)
    provider:log_out(user)
    return select(2, gateway.server:get("/kept", { port = gateway.beside }))
  end

  --- A logout of Alice's, who has a session that was used and one that was not yet; these paths of
  --- the server beside are asked for before and after it.
  local function leave(before, status, after)
    local gateway = start { store = COUNTED }
    finally(function() gateway:stop() end)
    provider:tell_logouts(("http://127.0.0.1:%s/keep"):format(gateway.beside))
    local used, unused = log_in(gateway, "alice"), log_in(gateway, "alice")
    assert.is_true(is_in(used))
    local form = form_of_log_out(gateway, "alice")
    if before then
      gateway.server:get(before, { port = gateway.beside })
    end
    assert.equal(status, post(gateway, form).status)
    if after then
      gateway.server:get(after, { port = gateway.beside })
    end
    return used, unused
  end

  it("ends sessions also where the store has lost the last word of it", function()
    local _, unused = leave(nil, 200, "/lose")
    assert.is_false(is_in(unused))
  end)

  it("ends sessions also where only the word after the mark could not be kept", function()
    local used, unused = leave("/refuse", 400)
    assert.is_false(is_in(unused))
    process.wait_until("the session to end", function() return not is_in(used) end)
  end)

  it("that comes late ends what began before it, and only that", function()
    local gateway = gateways.one
    provider:tell_logouts(("http://127.0.0.1:%s/keep"):format(gateway.beside))
    local before = log_in(gateway, "dora")
    local form = form_of_log_out(gateway, "dora")
    local now = os.time()
    process.wait_until("the next second", function() return os.time() > now end)
    local after = log_in(gateway, "dora")
    assert.same({ 200, "{}" }, { post(gateway, form).status, post(gateways.other, form).body })
    assert.is_false(is_in(before))
    assert.is_true(is_in(after))
    check_refusal(post(gateway, form), "the logout_token has come before (jti)")
  end)

  it("is tried again where it could not be kept", function()
    local gateway = gateways.one
    log_in(gateway, "erin")
    local form = form_of_log_out(gateway, "erin")
    gateway.server:announce "connect%(%) failed"
    redis:kill()
    check_refusal(post(gateway, form), "cache")
    redis:restart()
    assert.equal(200, post(gateway, form).status)
  end)

  it("that is long over is in the log once, whatever its age at each try", function()
    local gateway = gateways.played
    for _ = 1, 3 do
      local answer = post(gateway, "logout_token=" .. made.tokens.old)
      assert.equal(400, answer.status)
      assert.matches("the logout_token has been over for %d+ seconds", answer.body)
      gateway:advance(1)
    end
    local _, count = gateway.server:log():gsub("logout was refused: the logout_token has been", "")
    assert.equal(1, count)
  end)

  it("is refused where it is forged, and leaves nothing behind", function()
    local gateway = gateways.played
    local function count()
      return select(2, gateway.server:get("/count", { port = gateway.beside }))
    end
    assert.equal(200, post(gateway, "logout_token=" .. made.tokens.good).status)
    local before = count()
    for token, problem in pairs { [made.tokens.forged] = "the logout_token's signature is wrong",
      [made.tokens.other] = "the logout_token is for other clients (aud)",
      ["x"] = "the logout_token is not three parts of base64url" } do
      for _ = 1, 3 do
        check_refusal(post(gateway, "logout_token=" .. token), problem)
      end
    end
    local NO_FORM = "a form with one logout_token is expected"
    local good = "logout_token=" .. made.tokens.next
    for _, body in ipairs { "", "logout_token", "token=" .. made.tokens.next, good .. "&" .. good,
      good .. ("x"):rep(100000) } do
      check_refusal(post(gateway, body), NO_FORM)
    end
    check_refusal(post(gateway, good, "PUT"), NO_FORM)
    check_refusal(post(gateway, nil, "GET"), NO_FORM)
    assert.equal(before, count())
    assert.equal(200, post(gateway, good).status)
  end)
end)
