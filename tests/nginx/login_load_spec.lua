-- The login gateway under load: sessions that expire at the same time, reloads, the death of a
-- worker in mid-refresh, a provider that is away. `make soak` does it for longer: LOAD_SECONDS.

local core = require "tokencache._core"
local loaded_login = require "support.loaded_login"
local loads = require "support.loads"
local process = require "support.process"

local SECONDS = tonumber(os.getenv("LOAD_SECONDS") or 4)
local SHORT, LONG = 5, 3600 -- seconds that tokens live
local SOME, MANY = 5, 20    -- users

describe("the login gateway under load", function()
  local scene, users_made

  local function start(options)
    scene, users_made = loaded_login.start { token_lifetime = LONG, options = options }, 0
  end

  after_each(function()
    scene:stop()
  end)

  --- Logs users in whose tokens live for these seconds.
  local function log_in(count, lifetime)
    local names = {}
    for i = 1, count do
      users_made = users_made + 1
      names[i] = "user" .. users_made
    end
    scene.provider:set_token_lifetime(lifetime)
    return scene:log_in(names)
  end

  local function check_report(report)
    assert.same({ refused = 0, broken = 0, late = 0 },
      { refused = report.refused, broken = report.broken, late = report.late }, report.text)
    assert.is_true(report.requests > 1000, report.text)
  end

  --- They are still logged in, and nobody's request went on with another one's token, or with one
  --- that has ended.
  local function check(users)
    for _, user in ipairs(users) do
      assert.equal(200, user:get("/").status)
    end
    assert.equal(0, select(2, scene:tokens()))
    scene.server:check()
  end

  it("renews each session once where many expire at the same time", function()
    start()
    local users = log_in(MANY, SHORT)
    scene.provider:set_token_lifetime(LONG)
    local load = scene:begin_load(users, "/", SECONDS)
    check_report(load:finish())
    check(users)
    local _, renewals = scene:renewals(LONG)
    for i = 1, MANY do
      assert.equal(1, renewals["user" .. i], "user" .. i)
    end
  end)

  it("fails no request over a reload every second", function()
    start { leeway = 1 }
    local users = log_in(SOME, SHORT)
    -- a connection that is kept an old worker may close just when it is used again
    local load = scene:begin_load(users, "/", SECONDS, "-H", "Connection: close")
    while load:is_running() do
      core.sleep(1)
      scene.server:reload()
    end
    check_report(load:finish())
    check(users)
  end)

  it("fails no request but those of a worker that is killed in mid-refresh", function()
    start { leeway = 1, timeout = 20 } -- longer than a lock lives
    local users = log_in(SOME, LONG)
    users[#users + 1] = log_in(1, SHORT)[1]
    local load = scene:begin_load(users, "/", SECONDS + 60)
    local pid = loads.freeze_renewing_worker(scene.provider)
    local connections, before = loads.kill_worker(scene.server, pid), scene:renewals()
    process.wait_until("another worker to renew the token", function()
      return scene:renewals() > before
    end)
    load:interrupt()
    local report = load:finish()
    assert.same({ 0, 0 }, { report.refused, report.late }, report.text)
    assert.is_true(report.broken <= connections, report.text)
    check(users)
  end)

  it("tells nobody but those whose tokens are over that the provider is away", function()
    start { leeway = 1, timeout = 3 }
    local lasting, ending = log_in(SOME, LONG), log_in(SOME, SHORT)
    scene.provider:be_silent(true)
    local load = scene:begin_load(lasting, "/any_token", SECONDS + 6)
    local answer
    process.wait_until("a token to be over", function()
      answer = ending[1]:get("/any_token")
      return answer.status ~= 200
    end)
    assert.equal(503, answer.status)
    assert.is_true(tonumber(answer.headers["retry-after"]) >= 1)
    local beside = scene:begin_load(ending, "/any_token", 2, "-c10"):finish()
    assert.equal(beside.requests, beside.refused, beside.text)
    -- of those who wait for 3 s there would be ten
    assert.is_true(beside.requests > 100, beside.text)
    scene.server:announce("login: t")
    check_report(load:finish())
    scene.provider:be_silent(false)
    for _, user in ipairs(ending) do
      process.wait_until("the user to be served again", function()
        return user:get("/any_token").status == 200
      end)
    end
    check(lasting)
  end)
end)
