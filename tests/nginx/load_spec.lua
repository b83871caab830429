-- Tokens that expire under load, over reloads, and over the death of a worker in mid-refresh.
-- `make soak` runs the same for longer: LOAD_SECONDS.

local core = require "tokencache._core"
local loaded_gateway = require "support.loaded_gateway"
local process = require "support.process"

local SECONDS = tonumber(os.getenv("LOAD_SECONDS") or 12)
local MOST = SECONDS + 60 -- seconds of a load that ends when enough has happened
local LIFETIME, LEEWAY = 5, 3

describe("under load in nginx", function()
  local gateway

  before_each(function()
    gateway = loaded_gateway.start { token_lifetime = LIFETIME, leeway = LEEWAY }
  end)

  after_each(function()
    gateway:stop()
  end)

  --- All that were asked for were used but so many; the load may have ended just before the last.
  local function check_use(unused)
    process.wait_until("the tokens to be used", function()
      gateway.server:get("/")
      return #gateway:tokens() + unused == gateway.provider:token_requests()
    end)
  end

  --- No token was asked for before the last one had expired, and each was used.
  local function check_tokens()
    check_use(0)
    local tokens, refused = gateway:tokens()
    assert.equal(0, refused)
    for i = 2, #tokens do
      local age = tokens[i].issued - tokens[i - 1].issued
      assert.is_true(age >= LIFETIME - LEEWAY, "a new token after " .. age .. " s")
    end
    assert.is_true(#tokens >= math.floor(SECONDS / LIFETIME), #tokens .. " tokens")
  end

  local function check_report(report)
    assert.same({ refused = 0, broken = 0, late = 0 },
      { refused = report.refused, broken = report.broken, late = report.late }, report.text)
    assert.is_true(report.requests > 100, report.text)
  end

  it("each expiry makes one token request, and no request fails", function()
    check_report(gateway:begin_load("/", SECONDS):finish())
    check_tokens()
  end)

  it("a reload every second fails no request, and asks for no token", function()
    -- a connection that is kept an old worker may close just when it is used again
    local began, load = core.monotonic(),
      gateway:begin_load("/", MOST, { "-H", "Connection: close" })
    local reloads = 0
    repeat
      core.sleep(1)
      gateway.server:reload()
      reloads = reloads + 1
    until reloads >= SECONDS / 3 and core.monotonic() >= began + SECONDS
    load:interrupt()
    check_report(load:finish())
    check_tokens()
  end)

  it("a worker killed in mid-refresh fails no request but its own, and its lock ends", function()
    local load = gateway:begin_load("/", MOST)
    process.wait_until("a token", function()
      return gateway.provider:token_requests() > 0
    end)
    local connections, left = gateway:kill_renewing_worker()
    assert.is_true(left > 0 and left <= 10000, left .. " ms")
    process.wait_until("three tokens to be used", function() return #gateway:tokens() >= 3 end)
    load:interrupt()
    local report = load:finish()
    assert.same({ 0, 0 }, { report.refused, report.late }, report.text)
    assert.is_true(report.broken <= connections, report.text)
    assert.equal(0, (select(2, gateway:tokens())))
    check_use(1) -- that of the dead
    process.wait_until("the lock to be released", function()
      return gateway.redis:cli("EXISTS", loaded_gateway.LOCK) == "0"
    end)
  end)
end)
