-- Login by another device, with server and clock played: how often the provider is asked, and what
-- its answers come to. At a real one: device_login_spec.

local core = require "tokencache._core"
local json = require "tokencache.json"
local log = require "tokencache.log"
local merged = require "support.merged"
local query = require "support.query"
local stages = require "support.stage"
local threads = require "support.threads"
local tokencache = require "tokencache"

local DEVICE_CODE = "GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS" -- RFC 8628 §3.2
local PROMPT = {
  user_code = "WDJB-MJHT", verification_uri = "https://example.com/device", expires_in = 1800,
  verification_uri_complete = "https://example.com/device?user_code=WDJB-MJHT", interval = 5,
}
local CODES = merged(PROMPT, { device_code = DEVICE_CODE })
local TOKEN = { access_token = "access-1", refresh_token = "refresh-1", expires_in = 3600 }

local PROVIDER = {
  token_url = "https://login.example/token",
  device_authorization_url = "https://login.example/device_authorization",
}

local function refused(code, status)
  return stages.answer({ error = code }, status or 400)
end

--- A stage whose server answers with the codes, and then with these answers or what these
--- functions return, the last one again and again. `asked` are the moments of the token requests.
local function new_stage(...)
  local stage = stages.new()
  local answers = { ... }
  stage.asked, stage.codes = {}, CODES
  stage.on.request = function(request)
    if request.url == PROVIDER.device_authorization_url then
      return stages.answer(stage.codes)
    end
    stage.asked[#stage.asked + 1] = stage.monotonic - 50
    local answer = #answers > 1 and table.remove(answers, 1) or answers[1]
    if type(answer) == "function" then
      return answer()
    end
    return answer
  end
  return stage
end

local function flow_of(stage, changes)
  stage.shown = {}
  local all = merged({
    provider = PROVIDER, client_id = stages.CLIENT_ID, scope = "b a", cache = stage.handler,
    http = stage.transport, io = stage.io,
    show = function(prompt) stage.shown[#stage.shown + 1] = prompt end,
  }, changes)
  if all.store then
    all.cache = nil
  end
  return tokencache.flow.device(all)
end

local PENDING = refused "authorization_pending"
local GRANTED = stages.answer(TOKEN)

local function assert_fails(kind, code, token, err)
  assert.is_nil(token)
  assert.same({ kind, code }, { err.kind, err.code })
  assert.is_nil(err.retry_after)
  assert.is_nil(tostring(err):find(DEVICE_CODE, 1, true))
  return tostring(err)
end

after_each(function()
  log.set_logger(nil)
end)

describe("a login by another device", function()
  it("is asked for as the provider wants it", function()
    local stage = new_stage(stages.answer { data = TOKEN })
    local provider = merged(PROVIDER, {
      headers = { ["User-Agent"] = "me" },
      grant_types = { ["urn:ietf:params:oauth:grant-type:device_code"] = "device" },
      on_request = function(sent) sent.headers.More = "more" end,
      on_answer = function(answer) answer.object = answer.object.data end,
    })
    assert.equal("access-1", flow_of(stage, { provider = provider }):get_access_token())
    local request = stage.requests[2]
    assert.equal("me", stage.requests[1].headers["User-Agent"])
    assert.equal("me", request.headers["User-Agent"])
    assert.same({ nil, "more" }, { stage.requests[1].headers.More, request.headers.More })
    assert.equal("device", query.read("?" .. request.body).grant_type)
  end)

  it("shows the code and asks until the user has entered it", function()
    local stage = new_stage(PENDING, PENDING, GRANTED)
    assert.equal("access-1", flow_of(stage):get_access_token())
    assert.same({ PROMPT }, stage.shown)
    assert.same({ 5, 10, 15 }, stage.asked)
    assert.same({ client_id = stages.CLIENT_ID, scope = "a b" },
      (query.read("?" .. stage.requests[1].body)))
    assert.same({ grant_type = "urn:ietf:params:oauth:grant-type:device_code",
      device_code = DEVICE_CODE, client_id = stages.CLIENT_ID },
      (query.read("?" .. stage.requests[4].body)))
    assert.same({ access_token = "access-1", refresh_token = "refresh-1", expires_in = 3600,
      expires_at = 4615, scope = "a b", authorized_at = 1015, client_id = stages.CLIENT_ID },
      stage.stored)
  end)

  it("is one of the client's, with what goes with its requests", function()
    local stage = new_stage(GRANTED)
    local flow = flow_of(stage, { client_secret = stages.CLIENT_SECRET,
      token_params = { audience = "us" }, authorize_params = { tenant = "them" } })
    assert.equal("access-1", flow:get_access_token())
    for i, more in ipairs { { scope = "a b", tenant = "them" }, { audience = "us",
      grant_type = "urn:ietf:params:oauth:grant-type:device_code", device_code = DEVICE_CODE } } do
      assert.matches("^Basic ", stage.requests[i].headers.Authorization)
      assert.same(more, (query.read("?" .. stage.requests[i].body)))
    end
  end)

  it("is renewed as any other", function()
    local stage = new_stage(GRANTED)
    local flow = flow_of(stage)
    flow:get_access_token()
    stage.now = stage.now + 4000
    stage.acts(stage)
    assert.equal("access-1", flow:get_access_token())
    assert.equal("load request save", stage:acts())
    assert.equal(1, #stage.shown)
  end)

  it("takes place under no lock, and is saved under it", function()
    local stage = stages.new { lock = true }
    local played = new_stage(PENDING, GRANTED)
    stage.on.request, played.monotonic = played.on.request, 50
    flow_of(stage):get_access_token()
    assert.equal("load request sleep request sleep request try_lock save unlock", stage:acts())
  end)

  it("asks less often each time it is told to slow down", function()
    local slower = refused "slow_down"
    local stage = new_stage(slower, slower, PENDING, slower, slower, slower, PENDING, GRANTED)
    assert.equal("access-1", flow_of(stage):get_access_token())
    assert.same({ 5, 15, 30, 45, 65, 90, 120, 150 }, stage.asked)
  end)

  it("goes on where an answer has status 200, as GitHub's, or 429", function()
    local stage = new_stage(refused("authorization_pending", 200), refused("slow_down", 429),
      stages.answer({}, 429, { ["Retry-After"] = "40" }), stages.answer({}, 503), GRANTED)
    assert.equal("access-1", flow_of(stage):get_access_token())
    assert.same({ 5, 10, 20, 60, 70 }, stage.asked)
  end)

  it("asks less and less often while the provider is away", function()
    local away, late = stages.refuse, function() return nil, { kind = "timeout", message = "" } end
    local stage = new_stage(PENDING, away, late, away, away, away, PENDING, away, GRANTED)
    assert.equal("access-1", flow_of(stage):get_access_token())
    assert.same({ 5, 10, 20, 40, 80, 140, 200, 205, 215 }, stage.asked)
  end)

  for what, codes in pairs {
    ["none is said"] = merged(CODES, { interval = json.null }),
    ["none can be read"] = merged(CODES, { interval = "soon" }),
    ["none is meant"] = merged(CODES, { interval = 0 }),
  } do
    it("asks every five seconds where " .. what, function()
      local stage = new_stage(PENDING, GRANTED)
      stage.codes = codes
      flow_of(stage):get_access_token()
      assert.same({ 5, 10 }, stage.asked)
      assert.equal(5, stage.shown[1].interval)
    end)
  end

  it("asks as often as the provider wants", function()
    local stage = new_stage(PENDING, GRANTED)
    stage.codes = merged(CODES, { interval = "2" })
    flow_of(stage):get_access_token()
    assert.same({ 2, 4 }, stage.asked)
  end)

  it("may be refused", function()
    local stage = new_stage(PENDING, refused "access_denied")
    assert_fails("denied", "access_denied", flow_of(stage):get_access_token())
    assert.same({ 5, 10 }, stage.asked)
    assert.is_nil(stage.stored)
  end)

  it("has an end that the provider tells", function()
    local message = assert_fails("timeout", "expired_token",
      flow_of(new_stage(PENDING, refused "expired_token")):get_access_token())
    assert.matches("took too long; start the login again", message)
  end)

  it("has an end that the program knows", function()
    local stage = new_stage(PENDING)
    stage.codes = merged(CODES, { expires_in = 12 })
    local message = assert_fails("timeout", "expired_token", flow_of(stage):get_access_token())
    assert.matches("the code has expired", message)
    assert.same({ 5, 10 }, stage.asked)
  end)

  it("ends with its code, however late the provider wants to be asked", function()
    for _, answer in ipairs { stages.answer({}, 503, { ["Retry-After"] = "1e300" }),
      stages.answer({}, 429, { ["Retry-After"] = "inf" }) } do
      local stage = new_stage(answer)
      stage.codes = merged(CODES, { expires_in = 100, interval = "60" })
      assert_fails("timeout", "expired_token", flow_of(stage):get_access_token())
      assert.equal(1100, stage.now)
    end
    for _, never in ipairs { "1e300", "9223372036854775807" } do
      local stage = new_stage()
      stage.codes = merged(CODES, { interval = tonumber(never) })
      assert_fails("timeout", "expired_token", flow_of(stage):get_access_token())
      assert.same({}, stage.asked)
      stage = new_stage(refused "slow_down", GRANTED)
      stage.codes = merged(CODES, { expires_in = tonumber(never) })
      assert.equal("access-1", flow_of(stage):get_access_token())
      assert.same({ 5, 15 }, stage.asked)
    end
  end)

  it("has an end that the program sets", function()
    for seconds, count in pairs { [60] = 12, [58] = 11, [3] = 0 } do
      local stage = new_stage(PENDING)
      local message = assert_fails("timeout", nil,
        flow_of(stage, { login_timeout = seconds }):get_access_token())
      assert.equal("nobody logged in within " .. seconds .. " seconds", message)
      assert.equal(count, #stage.asked)
      assert.equal(1000 + seconds, stage.now)
    end
  end)

  it("ends with an answer that makes no sense, and repeats no secret of it", function()
    for kind, answer in pairs {
      protocol = { status = 200, headers = {}, body = "<html>" },
      denied = stages.answer({ error = DEVICE_CODE, error_description = DEVICE_CODE }, 400),
      config = stages.answer({ error = "invalid_client",
        error_description = stages.CLIENT_SECRET .. " and " .. DEVICE_CODE }, 401),
    } do
      local token, err = flow_of(new_stage(answer),
        { client_secret = stages.CLIENT_SECRET }):get_access_token()
      assert.is_nil(token)
      assert.equal(kind, err.kind)
      for _, field in pairs { tostring(err), err.code or "", err.description or "" } do
        assert.is_nil(field:find("GmRhm", 1, true))
        assert.is_nil(field:find(stages.CLIENT_SECRET, 1, true))
      end
    end
  end)

  it("ends where the transport must be mended", function()
    local stage = new_stage(function()
      return nil, { kind = "config", message = "not trusted; sent " .. DEVICE_CODE }
    end)
    assert.matches("^not trusted; sent %*+$",
      assert_fails("config", nil, flow_of(stage):get_access_token()))
  end)

  it("does not begin where the provider gives no code", function()
    for _, case in ipairs {
      { stages.answer({ error = "unauthorized_client" }, 400), "config",
        "device_authorization answered unauthorized_client; allow the device grant" },
      { stages.answer({ error = "invalid_scope", error_description = "no \27[1m a" }, 400),
        "config", "answered invalid_scope %- no .*; check scope" },
      { stages.answer({ error = "odd" }, 200), "config", "answered odd; check device_auth" },
      { stages.answer({}, 404), "config", "answered with status 404; check device_authorization_" },
      { stages.answer({ error = "access_denied" }, 403), "denied", "answered access_denied" },
      { stages.answer({}, 429), "transient", "answered with status 429; try again later" },
      { stages.answer({ error = stages.CLIENT_SECRET }, 503), "transient", "answered %*+; try" },
      { stages.answer(merged(CODES, { device_code = json.null })), "protocol", "without" },
      { stages.answer(merged(CODES, { user_code = 5 })), "protocol", "without a device_code" },
      { stages.answer(merged(CODES, { user_code = " " })), "protocol", "without a device_code" },
      { stages.answer(merged(CODES, { verification_uri = "https://example.com/\226\128\174" })),
        "protocol", "verification_uri that can be used" },
      { stages.answer({ error = ("e"):rep(5000), error_description = ("d"):rep(5000) }, 400),
        "config", "answered " .. ("e"):rep(200) .. " %- " .. ("d"):rep(200) .. "; check" },
      { stages.answer(merged(CODES, { verification_uri = "javascript:alert(1)" })), "protocol",
        "verification_uri that can be used" },
      { { status = 200, headers = {}, body = "[]" }, "protocol", "without a device_code" },
      { nil, "transient", "no connection" },
    } do
      local stage = new_stage()
      stage.on.request = function()
        if not case[1] then return stages.refuse() end
        return case[1]
      end
      local token, err = flow_of(stage, { client_secret = stages.CLIENT_SECRET,
        token_endpoint_auth_method = "client_secret_post" }):get_access_token()
      assert.is_nil(token)
      assert.equal(case[2], err.kind)
      assert.matches(case[3], tostring(err))
      assert.same({}, stage.shown)
    end
  end)

  it("takes Google's name of the address, and shows nothing that a terminal would obey", function()
    local stage = new_stage(GRANTED)
    stage.codes = merged(CODES, { verification_url = "https://example.com/g",
      user_code = "A\27[2J", verification_uri_complete = "https://example.com/\27]0;x\7" })
    stage.codes.verification_uri = nil
    flow_of(stage):get_access_token()
    assert.equal("https://example.com/g", stage.shown[1].verification_uri)
    assert.equal("A?[2J", (stage.shown[1].user_code:gsub("[^%w%[?]", "?")))
    assert.is_nil(stage.shown[1].verification_uri_complete)
  end)

  it("may be given up by the program that shows it", function()
    local stage = new_stage(PENDING)
    assert_fails("denied", nil, flow_of(stage, { show = function()
      return nil, "nobody is there"
    end }):get_access_token())
    assert_fails("denied", nil, flow_of(stage, { show = function()
      return false
    end }):get_access_token())
    assert.same({}, stage.asked)
  end)

  it("does not take place where the program forbids it", function()
    local stage = new_stage(GRANTED)
    assert_fails("reauthorize", nil, flow_of(stage, { authorize = false }):get_access_token())
    assert.equal("load", stage:acts())
  end)

  it("ends where one may not wait", function()
    local stage = new_stage(GRANTED)
    stage.on.sleep = function() return nil, "not in this phase" end
    assert_fails("config", nil, flow_of(stage):get_access_token())
  end)

  it("looks after Ctrl-C while it waits", function()
    local stage, slices = new_stage(GRANTED), 0
    local sleep = core.sleep
    core.sleep = function(seconds) -- luacheck: ignore 122
      slices = slices + 1
      return stage.io.sleep(seconds)
    end
    finally(function() core.sleep = sleep end) -- luacheck: ignore 122
    flow_of(stage, { io = merged(stage.io, { sleep = core.sleep }) }):get_access_token()
    assert.is_true(slices >= 25)
  end)

  it("is asked about by one of those who poll at once", function()
    local stage = new_stage(function()
      coroutine.yield()
      return PENDING
    end)
    stage.codes = merged(CODES, { device_code = "of two" })
    local flow = flow_of(stage)
    local _, pending = flow:begin()
    stage.now, stage.monotonic = stage.now + 5, stage.monotonic + 5
    local first = coroutine.create(function() return flow:poll(pending) end)
    assert(coroutine.resume(first))
    local info, err = flow:poll(pending)
    assert.is_nil(info)
    assert.same({ "authorization_pending", 15 }, { err.code, err.retry_after })
    assert(coroutine.resume(first))
    assert.equal(1, #stage.asked)
  end)

  it("goes on beside another one", function()
    local stage = stages.new()
    local given, asked = 0, {}
    stage.on.request = function(request)
      if request.url == PROVIDER.device_authorization_url then
        given = given + 1
        return stages.answer(merged(CODES, { device_code = "device-" .. given }))
      end
      local code = query.read("?" .. request.body).device_code
      asked[#asked + 1] = code
      return #asked > 4 and stages.answer(merged(TOKEN, { access_token = "of " .. code }))
        or PENDING
    end
    stage.on.sleep = function() coroutine.yield() end
    local found = {}
    local function log_in()
      local token = flow_of(stage, { cache = tokencache.cache.memory {} }):get_access_token()
      found[#found + 1] = token
    end
    local turn = 0
    threads.interleave({ coroutine.create(log_in), coroutine.create(log_in) }, function(count)
      turn = turn + 1
      return turn % count + 1
    end)
    table.sort(found)
    assert.same({ "of device-1", "of device-2" }, found)
    assert.is_true(#asked > 4)
  end)
end)
