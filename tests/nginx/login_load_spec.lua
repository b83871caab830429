-- The login gateway under load: sessions that expire at the same time, reloads, the death of a
-- worker in mid-refresh, a provider that is away. `make soak` does it for longer: LOAD_SECONDS.

local core = require "tokencache._core"
local flood = require "support.flood"
local loaded_login = require "support.loaded_login"
local loads = require "support.loads"
local process = require "support.process"

local SECONDS = tonumber(os.getenv("LOAD_SECONDS") or 0) -- at least, beside what is awaited
local MOST = SECONDS + 60   -- seconds of a load
local SHORT, LONG = 5, 3600 -- seconds that tokens live, and
local LEEWAY = 2            -- of a short one: its last second may be over before it is, to a
                            -- provider that counts whole seconds from before the answer came
local SOME, MANY = 5, 20    -- users
local CROWD = 300           -- requests that find no token

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

  --- Ends a load, which may have lasted long enough.
  local function finish(load, began)
    core.sleep(math.max(0, began + SECONDS - core.monotonic()))
    load:interrupt()
    return load:finish()
  end

  local function check_report(report)
    assert.same({ refused = 0, broken = 0, late = 0 },
      { refused = report.refused, broken = report.broken, late = report.late }, report.text)
    assert.is_true(report.requests > MANY, report.text)
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
    local began, load = core.monotonic(), scene:begin_load_of(users, "/", MOST)
    process.wait_until("all tokens to be renewed", function()
      return scene:renewals(LONG) >= MANY
    end)
    check_report(finish(load, began))
    check(users)
    local _, renewals = scene:renewals(LONG)
    for i = 1, MANY do
      assert.equal(1, renewals["user" .. i], "user" .. i)
    end
  end)

  it("fails no request over a reload every second", function()
    start { leeway = LEEWAY }
    local users = log_in(SOME, SHORT)
    -- a connection that is kept an old worker may close just when it is used again
    local began, load = core.monotonic(),
      scene:begin_load_of(users, "/", MOST, "-H", "Connection: close")
    local before = scene:renewals()
    repeat
      core.sleep(1)
      scene.server:reload()
    until core.monotonic() > began + SECONDS and scene:renewals() >= before + SOME
    check_report(finish(load, began))
    check(users)
  end)

  it("fails no request but those of a worker that is killed in mid-refresh", function()
    start { leeway = LEEWAY, timeout = 20 } -- longer than a lock lives
    local users = log_in(SOME, LONG)
    users[#users + 1] = log_in(1, SHORT)[1]
    local began, load = core.monotonic(), scene:begin_load_of(users, "/", MOST)
    local pid = loads.freeze_renewing_worker(scene.provider)
    local connections, before = loads.kill_worker(scene.server, pid), scene:renewals()
    if SECONDS == 0 then -- as if it were ten seconds later
      for lock in scene.redis:cli("KEYS", "tokencache-lock:*"):gmatch "%S+" do
        scene.redis:cli("PEXPIRE", lock, "500")
      end
    end
    process.wait_until("another worker to renew the token", function()
      return scene:renewals() > before
    end)
    local report = finish(load, began)
    assert.same({ 0, 0 }, { report.refused, report.late }, report.text)
    assert.is_true(report.broken <= connections, report.text)
    check(users)
  end)

  it("tells nobody but those whose tokens are over that the provider is away", function()
    start { leeway = LEEWAY, timeout = 3 }
    local lasting, ending = log_in(SOME, LONG), log_in(SOME, SHORT)
    scene.provider:be_silent(true)
    local began, load = core.monotonic(), scene:begin_load_of(lasting, "/any_token", MOST)
    local answer
    process.wait_until("a token to be over", function()
      answer = ending[1]:get("/any_token")
      return answer.status ~= 200
    end)
    assert.equal(503, answer.status)
    assert.is_true(tonumber(answer.headers["retry-after"]) >= 1)
    local statuses = flood(scene.server.port, CROWD, function()
      return "/any_token", { Cookie = ending[1]:cookie_header() }
    end)
    assert.same({ [503] = CROWD }, statuses) -- that none waits, login_time_spec shows
    scene.server:announce("login: t")
    check_report(finish(load, began))
    scene.provider:be_silent(false)
    for _, user in ipairs(ending) do
      process.wait_until("the user to be served again", function()
        return user:get("/any_token").status == 200
      end)
    end
    check(lasting)
  end)
end)
