-- Answers as providers really give them, and what becomes of each.

local json = require "tokencache.json"
local logins = require "support.logins"
local merged = require "support.merged"
local stages = require "support.stage"
local tokencache = require "tokencache"

local stage

before_each(function() stage = stages.new() end)

--- The answers in turn; the last one stays.
local function answer(...)
  local answers = { ... }
  stage.on.request = function()
    local first = #answers > 1 and table.remove(answers, 1) or answers[1]
    return first.status and first or stages.answer(first)
  end
end

describe("tokens that live no longer than the leeway", function()
  it("are used for half of that, and one warning says so", function()
    answer { access_token = "short", expires_in = 60 }
    local flow = stage:flow()
    for _, call in ipairs { { 0, 1 }, { 30, 1 }, { 31, 2 }, { 61, 2 }, { 62, 3 } } do
      stage.now = 1000 + call[1]
      assert.equal("short", flow:get_access_token())
      assert.equal(call[2], #stage.requests)
    end
    assert.same({ "warning the provider's tokens live for 60 seconds, no longer than the leeway "
      .. "of 60, which takes half of that now; lower it" }, stage.logged)
  end)
end)

--- What becomes of an answer that has these fields beside a token: the end of that, as seconds from
--- its receipt; nil: none.
local function end_after(fields, provider)
  fields.access_token = "new"
  answer(fields)
  provider = merged({ token_url = "https://login.example/token" }, provider)
  local info = assert(stage:flow({ provider = provider }):get_token_info { check_cache = false })
  assert.equal("new", info.access_token)
  assert.equal(info.expires_at, stage.stored.expires_at)
  return info.expires_at and info.expires_at - 1000
end

describe("the end of a token", function()
  for _, name in ipairs { "expires_at", "expires_on", "expiry", "expiry_date" } do
    for _, form in ipairs { 8200, 8200.5, "8200", "1970-01-01T02:16:40Z",
      "1970-01-01T03:16:40.9+01:00" } do
      it("is read from " .. name .. ": " .. form, function()
        assert.equal(7200, end_after { [name] = form })
      end)
    end
  end

  it("is read from milliseconds", function()
    stage.now = 1764475200
    assert.equal(3600, end_after { expires_at = 1764478800123 } - 1764474200)
  end)

  it("follows from expires_in where that can be read", function()
    assert.equal(60, end_after { expires_in = 60, expires_at = 8200 })
    assert.equal(3599, end_after { expires_in = "3599", expires_on = "8200" })
    assert.equal(7200, end_after { expires_in = "3600s", expires_at = 8200 })
    assert.equal(7200, end_after { expires_in = -1, expires_on = "8200" })
  end)

  it("is none where nothing is said", function()
    assert.is_nil(end_after {})
    assert.is_nil(end_after { expires_at = 0 })
    assert.is_nil(end_after { expires_at = "soon" })
    assert.is_nil(end_after { expiry = "0001-01-01T00:00:00Z" })
  end)

  it("is the provider's default where nothing else can be read", function()
    local provider = { default_expires_in = 900 }
    assert.equal(900, end_after({}, provider))
    assert.equal(900, end_after({ expires_in = "3600s" }, provider))
    assert.equal(900, end_after({ expires_in = -1 }, provider))
    assert.equal(60, end_after({ expires_in = 60 }, provider))
    assert.equal(7200, end_after({ expires_at = 8200 }, provider))
  end)

  for _, odd in ipairs { -1, "3600s", "one hour", {}, false } do
    it("is over where the lifetime makes no sense: " .. tostring(odd), function()
      answer({ access_token = "a", expires_in = odd }, { access_token = "b", expires_in = odd })
      local flow = stage:flow()
      assert.equal("a", flow:get_access_token())
      assert.equal("b", flow:get_access_token())
      assert.equal(2, #stage.requests)
      assert.equal(1, #stage.logged)
      assert.matches("no lifetime that can be read", stage.logged[1], 1, true)
    end)
  end

  it("is not that of the token before", function()
    stage.stored = { access_token = "theirs", refresh_token = "r", expiry = "1970-01-01T00:16:40Z" }
    answer { access_token = "ours" }
    local flow = stage:user_flow()
    assert.equal("ours", flow:get_access_token())
    assert.is_nil(flow:get_token_info().expiry)
    assert.equal("ours", flow:get_access_token())
    assert.equal(1, #stage.requests)
  end)
end)

--- What comes of one answer.
local function info_of(fields, provider, options)
  fields.access_token = fields.access_token or "new"
  answer(fields)
  provider = merged({ token_url = "https://login.example/token" }, provider)
  return stage:flow(merged({ provider = provider }, options)):get_token_info { check_cache = false }
end

describe("a list of scopes", function()
  it("is what was granted", function()
    local info = info_of({ scope = { "b", "a" } }, nil, { scope = "a c" })
    assert.equal("b a", info.scope)
    assert.equal("a c", info.requested_scope)
    assert.is_nil(info_of({ scope = json.decode "[]" }).scope)
  end)

  it("with something else in it is none", function()
    assert.equal("a c", info_of({ scope = { "b", 1 } }, nil, { scope = "a c" }).scope)
    assert.equal("a c", info_of({ scope = { b = "b" } }, nil, { scope = "a c" }).scope)
  end)
end)

describe("a token_type", function()
  it("that is empty is none", function()
    for _, empty in ipairs { "", " ", json.null } do
      local info = assert(info_of { token_type = empty })
      assert.equal("new", info.access_token)
      assert.is_nil(info.token_type)
    end
  end)

  it("that the provider names is another word for Bearer", function()
    local provider = { token_types = { "Application Access Token", "bot" } }
    for _, name in ipairs { "Application Access Token", "BOT", "Bearer" } do
      assert.equal("Bearer", info_of({ token_type = name }, provider).token_type)
    end
    for _, other in ipairs { "DPoP", "mac", "N_A" } do
      local info, err = info_of({ token_type = other }, provider)
      assert.is_nil(info)
      assert.equal("protocol", err.kind)
    end
  end)

  it("that needs a key cannot be named so", function()
    for _, name in ipairs { "DPoP", "MAC" } do
      assert.has_error(function() info_of({}, { token_types = { "bot", name } }) end,
        "flow.client_credentials: provider: token_types must not name " .. name
          .. ": such a token is of no use without a key")
    end
  end)
end)

--- What comes of a login whose renewal is answered so, or with status 400 and that error.
local function renewal(refusal, provider)
  if type(refusal) == "string" then
    refusal = stages.answer({ error = refusal }, 400)
  end
  stage.stored = logins.LOGIN
  answer(refusal)
  local flow = stage:user_flow { provider = merged({ token_url = "https://login.example/token",
    authorize_url = "https://login.example/authorize" }, provider) }
  local token, err = flow:get_access_token()
  assert.is_nil(token)
  return err
end

local function expect_dead(err)
  assert.equal("reauthorize", err.kind)
  assert.matches("the user must log in again", tostring(err), 1, true)
  assert.is_nil(stage.stored)
end

local function expect_alive(kind, err)
  assert.equal(kind, err.kind)
  assert.same(logins.LOGIN, stage.stored)
end

describe("a login ends", function()
  for _, code in ipairs { "invalid_grant", "interaction_required", "login_required",
    "account_selection_required", "consent_required" } do
    it("by " .. code, function()
      local err = renewal(code)
      expect_dead(err)
      assert.equal(code, err.code)
    end)
  end

  for what, case in pairs {
    ["GitHub's 200"] = { { "bad_refresh_token" }, { { error = "bad_refresh_token" }, 200 } },
    ["Atlassian's 403"] = { { "unauthorized_client" }, { { error = "unauthorized_client",
      error_description = "refresh_token is invalid" }, 403 } },
    ["Twitch's 400"] = { function(a) return a.object.message == "Invalid refresh token" end,
      { { status = 400, message = "Invalid refresh token" }, 400 } },
    ["Strava's 400"] = { function(a) return a.object.errors[1].resource == "RefreshToken" end,
      { { message = "Bad Request", errors = { { resource = "RefreshToken", code = "invalid" } } },
        400 } },
    ["a status"] = { { "no", 400, 410 }, { { note = "gone" }, 410 } },
    ["a status of a server in trouble, where it is named"] = { { 500 }, { { note = "x" }, 500 } },
    ["words that are no JSON"] = { function(a) return a.body == "dead" and not a.object
      and a.status == 400 end, { "dead", 400 } },
    ["a callable table"] = { setmetatable({}, { __call = function() return true end }),
      { { note = "x" }, 400 } },
  } do
    it("where the provider says so: " .. what, function()
      local object, status = case[2][1], case[2][2]
      local err = renewal(type(object) == "table" and stages.answer(object, status)
        or { status = status, body = object }, { dead_refresh_token = case[1] })
      expect_dead(err)
      assert.equal(status, err.status)
    end)
  end

  it("and the next call asks the user", function()
    renewal("bad_refresh_token", { dead_refresh_token = { "bad_refresh_token" } })
    local asked = stage:user_flow { state = "s", authorize = function()
      return stages.REDIRECT_URI .. "?code=c&state=s"
    end }
    answer { access_token = "new" }
    assert.equal("new", asked:get_access_token())
  end)
end)

describe("a login does not end", function()
  it("by errors that the provider does not name", function()
    expect_alive("denied", renewal "bad_refresh_token")
    expect_alive("denied", renewal("other", { dead_refresh_token = { "bad_refresh_token", 401 } }))
    for _, status in ipairs { 429, 503 } do
      expect_alive("transient", renewal(stages.answer({ error = "bad_refresh_token" }, status),
        { dead_refresh_token = { "bad_refresh_token" } }))
    end
    expect_alive("config", renewal("unauthorized_client",
      { dead_refresh_token = function() return nil end }))
  end)

  it("by an answer that brings a token", function()
    stage.stored = logins.LOGIN
    answer { access_token = "new", refresh_token = "newer" }
    local flow = stage:user_flow { provider = { token_url = "https://login.example/token",
      authorize_url = "https://login.example/", dead_refresh_token = function() return true end } }
    assert.equal("new", flow:get_access_token())
  end)

  it("by a function that raises: that is named, and nothing of what it says", function()
    for _, problem in ipairs { "the SECRET", { "SECRET" }, false } do
      local err = renewal("x", { dead_refresh_token = function() error(problem) end })
      expect_alive("config", err)
      assert.matches("the provider's dead_refresh_token raised an error", tostring(err), 1, true)
      assert.equal(problem == "the SECRET",
        tostring(err):find("at tests/spec/provider_answers_spec.lua:%d+;") ~= nil)
      assert.is_nil(tostring(err):find("SECRET", 1, true))
    end
  end)

  it("by an answer to something else than its renewal", function()
    answer(stages.answer({ error = "odd" }, 400))
    local _, err = stage:flow { provider = { token_url = "https://login.example/token",
      dead_refresh_token = function() return true end } }:get_access_token()
    assert.equal("denied", err.kind)
  end)

  it("by what is no list of codes and statuses", function()
    for _, wrong in ipairs { { bad = true }, { true }, { "a", nil, "b" } } do
      assert.error_matches(function() renewal("x", { dead_refresh_token = wrong }) end,
        "provider: dead_refresh_token must be a list of error codes and statuses, or a function")
    end
  end)
end)

describe("the end of a refresh token", function()
  local function user_flow(provider)
    return stage:user_flow { provider = merged({ token_url = "https://login.example/token",
      authorize_url = "https://login.example/" }, provider) }
  end

  --- When a login ends that is renewed by such an answer, and what was stored before.
  local function due(fields, before, provider)
    stage.stored = merged(logins.LOGIN, before)
    answer(merged({ access_token = "new", expires_in = 300 }, fields))
    local flow = user_flow(provider)
    assert.equal("new", flow:get_access_token())
    local seconds = flow:reauthorization_due_in()
    assert.equal(seconds and stage.now + seconds, stage.saved_until)
    return seconds
  end

  for _, name in ipairs { "refresh_token_expires_in", "refresh_expires_in" } do
    it("follows from " .. name, function()
      assert.equal(1800, due { refresh_token = "next", [name] = 1800 })
      assert.equal(1000 + 1800, stage.stored.refresh_token_expires_at)
      assert.equal(1800, due { refresh_token = "next", [name] = "1800" })
      stage.now = 1600
      assert.equal(1200, user_flow():reauthorization_due_in())
    end)

    it("is none where " .. name .. " is zero or makes no sense", function()
      for _, nothing in ipairs { 0, "0", -1, "for ever", {}, json.null } do
        assert.is_nil(due({ refresh_token = "next", [name] = nothing },
          { refresh_token_expires_at = 5000 }))
      end
    end)
  end

  it("is that of a century where it is said to be never, by a number that is too large", function()
    for _, never in ipairs { "9223372036854775807", "1e300" } do
      assert.equal(3155760000,
        due { refresh_token = "next", refresh_expires_in = json.decode(never) })
    end
  end)

  it("stays where the refresh token does, and is not that of the next one", function()
    local before = { refresh_token_expires_at = 5000 }
    assert.equal(4000, due({}, before))
    assert.equal(4000, due({ refresh_token = logins.LOGIN.refresh_token }, before))
    assert.is_nil(due({ refresh_token = "next" }, before))
    assert.is_nil(due({ refresh_expires_in = 0 }, before))
  end)

  it("counts beside that of the login: whichever comes first", function()
    local provider = { refresh_token_lifetime = 5000 }
    assert.equal(800, due({ refresh_expires_in = 800 }, { authorized_at = 500 }, provider))
    assert.equal(4500, due({ refresh_expires_in = 8000 }, { authorized_at = 500 }, provider))
  end)

  it("is kept with a refresh token whose access token cannot be used", function()
    stage.stored = merged(logins.LOGIN, { refresh_token_expires_at = 5000 })
    answer { refresh_token = "next", token_type = "mac", access_token = "x",
      refresh_expires_in = 60 }
    user_flow():get_access_token()
    assert.equal("next", stage.stored.refresh_token)
    assert.equal(1060, stage.stored.refresh_token_expires_at)
  end)

  it("comes with a login too", function()
    answer { access_token = "new", refresh_token = "r", refresh_expires_in = 1800 }
    local flow = stage:user_flow { state = "s", authorize = function()
      return stages.REDIRECT_URI .. "?code=c&state=s"
    end }
    assert.equal("new", flow:get_access_token())
    assert.equal(1800, flow:reauthorization_due_in())
  end)

  it("is the time to live of an entry", function()
    local ttl
    local store = { get = function() end, set = function(_, _, _, seconds) ttl = seconds end }
    local cache = tokencache.cache.from_store(store, "k", { clock = function() return 1000 end })
    cache:save_token_to_cache { access_token = "a", refresh_token = "r", expires_at = 1300,
      refresh_token_expires_at = 2800 }
    assert.equal(1800, ttl)
  end)
end)

describe("a login without all scopes", function()
  --- What is logged of a login that asks for a scope and is answered another.
  local function log_in(asked, granted)
    stage = stages.new()
    answer { access_token = "new", refresh_token = "r", scope = granted, expires_in = 3600 }
    local user_flow = stage:user_flow { state = "s", scope = asked, authorize = function()
      return stages.REDIRECT_URI .. "?code=c&state=s"
    end }
    assert(user_flow:get_access_token())
    stage.now = stage.now + 3600
    assert(user_flow:get_access_token()) -- which says nothing once more
    return table.concat(stage.logged, "\n")
  end

  it("is told", function()
    for asked, granted in pairs { ["openid calendar.read"] = "openid", ["b a read"] = "read",
      ["a:x a:y a"] = "a:x", ["read b offline_access"] = { "read" }, ["c,d"] = "d,openid" } do
      assert.matches("^warning the provider did not grant the login all scopes; missing: [%w.: ]+$",
        log_in(asked, granted))
    end
    assert.matches("missing: a b$", log_in("b a read", "read"))
  end)

  it("is not seen in answers that name scopes otherwise, or not at all", function()
    for asked, granted in pairs {
      ["openid email"] = "openid https://www.googleapis.com/auth/userinfo.email", -- Google
      ["https://graph.microsoft.com/.default offline_access"] = "Mail.Read User.Read openid",
      ["user.read mail.read"] = "User.Read", ["user user:email repo"] = "repo,user", -- GitHub
      ["openid offline_access read"] = "read", ["read"] = "profile email", ["write"] = "",
      ["a b"] = { "b", "a" }, ["x"] = false } do
      assert.equal("", log_in(asked, granted or nil))
    end
  end)

  it("is none where nobody logs in", function()
    answer { access_token = "new", scope = "a" }
    assert(stage:flow({ scope = "a b" }):get_access_token())
    assert.same({}, stage.logged)
  end)
end)

describe("on_answer", function()
  local function user_flow(on_answer, more)
    return stage:user_flow { provider = merged({ token_url = "https://login.example/token",
      authorize_url = "https://login.example/", on_answer = on_answer }, more) }
  end

  before_each(function() stage.stored = logins.LOGIN end)

  it("reads a token from where the provider puts it", function()
    answer(stages.answer({ data = { access_token = "inner", refresh_token = "next" } }, 200,
      { ["x-lifetime"] = "100" }))
    local info = user_flow(function(a)
      a.object = a.object.data
      a.object.expires_in = a.headers["x-lifetime"]
    end):get_token_info()
    assert.equal("inner", info.access_token)
    assert.equal("next", info.refresh_token)
    assert.equal(1100, info.expires_at)
  end)

  it("makes of a body that is no JSON what it means, and of a status", function()
    answer { status = 299, body = "oauth_token=old style" }
    assert.equal("old style", user_flow(function(a)
      assert.is_nil(a.object)
      a.object = { access_token = a.body:match "=(.*)" }
    end):get_access_token())
    stage.stored = logins.LOGIN
    answer { status = 200, body = "login again" }
    local _, err = user_flow(function(a)
      a.status, a.object = 400, { error = "invalid_grant" }
    end):get_access_token()
    expect_dead(err)
  end)

  it("comes before dead_refresh_token", function()
    answer { status = 200, body = "gone" }
    local _, err = user_flow(function(a) a.status = 410 end,
      { dead_refresh_token = { 410 } }):get_access_token()
    expect_dead(err)
  end)

  for what, on_answer in pairs {
    ["raises"] = function(a)
      a.object.refresh_token = nil
      error("SECRET " .. a.body)
    end,
    ["leaves no status"] = function(a) a.status = "SECRET" end,
    ["leaves an object that is none"] = function(a) a.object = "SECRET" end,
  } do
    it("that " .. what .. " is an error, and costs no login", function()
      answer({ access_token = "SECRET-2", refresh_token = "refresh-2" }, { access_token = "good" })
      local token, err = user_flow(on_answer):get_access_token()
      assert.is_nil(token)
      assert.equal("config", err.kind)
      assert.matches("the provider's on_answer", tostring(err), 1, true)
      assert.is_nil(tostring(err):find("SECRET", 1, true))
      assert.equal("refresh-2", stage.stored.refresh_token)
      assert.equal("old", stage.stored.access_token)
      assert.equal("good", user_flow():get_access_token())
      assert.matches("refresh_token=refresh-2", stage.requests[2].body, 1, true)
    end)
  end
end)

describe("flows that share a key", function()
  local function expect_warning(one, other, ...)
    for _ = 1, 3 do
      one:get_access_token()
      other:get_access_token()
    end
    assert.equal(6, #stage.requests)
    assert.equal(1, #stage.logged)
    for _, part in ipairs { ... } do
      assert.matches(part, stage.logged[1], 1, true)
    end
  end

  it("and differ in scope are warned of once, with both", function()
    expect_warning(stage:flow { scope = "a b" }, stage:flow { scope = "c" },
      'a token for the client "an-id" and the scope "c" takes the place of one for the client '
        .. '"an-id" and the scope "a b" in the cache')
  end)

  it("and differ in the client are too", function()
    expect_warning(stage:flow {}, stage:flow { client_id = "other" },
      'the client "other" and the scope ""', 'the client "an-id" and the scope ""')
  end)

  it("are not where one asks for no more than the other, or the token has ended", function()
    stage:flow({ scope = "a b" }):get_access_token()
    stage:flow({ scope = "b" }):get_access_token()
    stage.now = 9000
    stage:flow({ scope = "c" }):get_access_token()
    assert.equal(2, #stage.requests)
    assert.same({}, stage.logged)
  end)
end)
