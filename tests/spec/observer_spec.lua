local keep_log = require "support.keep_log"
local log = require "tokencache.log"
local observer = require "tokencache.observer"
local process = require "support.process"
local threads = require "support.threads"
local tokencache = require "tokencache"

local SECRET = "s3cret-of-the-observer-spec"

local account = {
  key = "app:" .. SECRET,
  access_token = SECRET,
  flow = { name = "authorization_code", client_id = "an-id", client_secret = SECRET },
}

describe("set_observer", function()
  local events, logged

  before_each(function()
    events, logged = {}, keep_log()
  end)

  after_each(function()
    tokencache.set_observer(nil)
    log.set_logger(nil)
  end)

  local function note(event)
    events[#events + 1] = event
  end

  local function names()
    local all = {}
    for i, event in ipairs(events) do
      all[i] = event.event
    end
    return table.concat(all, " ")
  end

  it("takes a function, which gets flat tables of its own", function()
    tokencache.set_observer(note)
    observer.emit("save", account, { seconds = 0.25 })
    observer.emit("owed", account, { kind = "cache", count = 3 })
    observer.emit("miss", account, { left = -7 })
    observer.emit("log_out", account)
    local key = events[1].key
    assert.matches("^app:#%x%x%x%x%x%x%x%x$", key)
    local function event(name, fields)
      fields.event, fields.flow, fields.client_id, fields.key =
        name, "authorization_code", "an-id", key
      return fields
    end
    assert.same({ event("save", { seconds = 0.25 }), event("owed", { kind = "cache", count = 3 }),
      event("miss", { left = -7 }), event("log_out", {}) }, events)
  end)

  it("tells callers by `on` whether anybody observes", function()
    assert.is_nil(observer.on)
    tokencache.set_observer(note)
    assert.is_true(observer.on)
    observer.emit("hit", account)
    for _, nobody in ipairs { { nil }, { false } } do
      tokencache.set_observer(nobody[1])
      assert.is_nil(observer.on)
      observer.emit("miss", account)
      tokencache.set_observer(note)
    end
    assert.equal("hit", names())
  end)

  it("raises at what is no function, and keeps the observer", function()
    tokencache.set_observer(note)
    for _, wrong in ipairs { true, 1, "print", {} } do
      assert.has_error(function() tokencache.set_observer(wrong) end,
        "set_observer: a function expected, or nil or false for none; got " .. type(wrong))
    end
    observer.emit("hit", account)
    assert.equal("hit", names())
  end)

  it("passes on nothing but known fields of the right type, and no secret", function()
    tokencache.set_observer(note)
    observer.emit("failure", account, { seconds = SECRET, left = 1 / 0, count = 0 / 0,
      kind = { SECRET }, access_token = SECRET, event = SECRET, key = SECRET, [1] = SECRET })
    observer.emit("failure", { key = { SECRET }, flow = { name = 1, client_id = true } })
    observer.emit("failure", {})
    assert.same({ event = "failure", flow = "authorization_code", client_id = "an-id",
      key = events[1].key }, events[1])
    assert.same({ event = "failure" }, events[2])
    assert.same({ event = "failure" }, events[3])
    for _, value in pairs(events[1]) do
      assert.is_nil(value:find(SECRET, 1, true))
    end
  end)

  it("makes strings printable", function()
    tokencache.set_observer(note)
    observer.emit("hit", { key = "a\nb", flow = { name = "n\0\27[1m", client_id = "c\255\r\n" } },
      { kind = "k\n" })
    for name, value in pairs(events[1]) do
      assert.is_nil(value:find("[%c\255]"), name)
    end
    assert.matches("^a.?b$", events[1].key)
  end)

  it("knows the key of each account, also of more than it keeps in mind", function()
    tokencache.set_observer(note)
    for round = 1, 2 do
      for i = 1, 1001 do
        observer.emit("hit", { key = "app:" .. i })
        assert.equal(events[i].key, events[#events].key, round)
      end
    end
    assert.not_equal(events[1].key, events[2].key)
  end)

  it("raises where the code names an event that there is not", function()
    tokencache.set_observer(note)
    assert.has_error(function() observer.emit("hits", account) end,
      "observer.emit: there is no event hits")
  end)

  describe("with a function that raises", function()
    it("logs that, quietly, and goes on", function()
      local calls = 0
      tokencache.set_observer(function()
        calls = calls + 1
        error("not\ntoday", 0)
      end)
      for _ = 1, 10 do
        observer.emit("hit", account)
      end
      assert.equal(10, calls)
      assert.equal(1, #logged)
      assert.matches("^warning the observer failed: not.?today$", logged[1])
      tokencache.set_observer(note)
      observer.emit("hit", account)
      assert.equal("hit", names())
    end)

    it("also what is no string, or cannot become one", function()
      local value
      tokencache.set_observer(function() error(value, 0) end)
      for i, case in ipairs {
        { require("tokencache.error").new("cache", "the disk is full"), "the disk is full" },
        { setmetatable({}, { __tostring = function() error "no" end }), "it raised a table" },
        { {}, nil },
      } do
        value = case[1]
        observer.emit("hit", account)
        assert.equal(case[2] and "warning the observer failed: " .. case[2], logged[i])
      end
    end)
  end)

  describe("with a function that makes events itself", function()
    local function nested(wrap)
      tokencache.set_observer(function(event)
        note(event)
        if #events < 100 then
          wrap(function() observer.emit("save", account) end)
        end
      end)
      observer.emit("hit", account)
      observer.emit("miss", account)
      assert.equal("hit miss", names())
      events = {}
      threads.run(function() observer.emit("refresh", account) end)
      assert.equal("refresh", names())
      assert.same({}, logged)
    end

    it("is not told of them", function()
      nested(function(emit) emit() end)
    end)

    it("is not told of them in coroutines that it calls, either", function()
      nested(threads.run)
    end)

    it("hears again after it has failed", function()
      tokencache.set_observer(function(event)
        note(event)
        observer.emit("save", account)
        error "now"
      end)
      for _ = 1, 2 do
        observer.emit("hit", account)
        threads.run(function() observer.emit("miss", account) end)
      end
      assert.equal("hit miss hit miss", names())
    end)
  end)

  it("lets a function yield, although it should not, and tells it of the others' events", function()
    tokencache.set_observer(function(event)
      note(event)
      if event.event == "wait" then
        coroutine.yield "here"
        observer.emit("save", account)
      end
    end)
    local waiting = coroutine.create(function()
      observer.emit("wait", account)
      return "done"
    end)
    assert.same({ true, "here" }, { coroutine.resume(waiting) })
    observer.emit("hit", account)
    threads.run(function() observer.emit("miss", account) end)
    assert.same({ true, "done" }, { coroutine.resume(waiting) })
    local dropped = coroutine.create(function() observer.emit("wait", account) end)
    coroutine.resume(dropped)
    observer.emit("refresh", account)
    assert.equal("wait hit miss wait refresh", names())
    assert.same({}, logged)
  end)

  it("may be called by the observer", function()
    tokencache.set_observer(function(event)
      note(event)
      tokencache.set_observer(nil)
    end)
    observer.emit("hit", account)
    observer.emit("hit", account)
    assert.equal("hit", names())
  end)

  it("counts for Prometheus as docs/observing.md tells", function()
    local code
    for block in process.read_file("docs/observing.md"):gmatch("```lua\n(.-)```") do
      code = block:find("local function metrics", 1, true) and block or code
    end
    local compile = loadstring or load -- luacheck: ignore 113
    code = "local tokencache = ...\n" .. code .. "return metrics"
    local metrics = assert(compile(code))(tokencache)
    for _ = 1, 3 do
      observer.emit("hit", account, { left = 100 })
    end
    observer.emit("failure", {}, { kind = "cache", seconds = 0.25 })
    observer.emit("failure", {}, { kind = "cache", seconds = 0.5 })
    local lines = {}
    for line in metrics():gmatch("([^\n]*)\n") do
      lines[#lines + 1] = line
    end
    assert.equal("# TYPE tokencache_events_total counter", lines[1])
    assert.equal("# TYPE tokencache_seconds_total counter", lines[4])
    table.sort(lines)
    assert.same({
      "# TYPE tokencache_events_total counter",
      "# TYPE tokencache_seconds_total counter",
      'tokencache_events_total{event="failure",flow="",kind="cache"} 2',
      'tokencache_events_total{event="hit",flow="authorization_code",kind=""} 3',
      'tokencache_seconds_total{event="failure",flow="",kind="cache"} 0.750000',
      'tokencache_seconds_total{event="hit",flow="authorization_code",kind=""} 0.000000',
    }, lines)
  end)
end)
