-- The logger, and what is said again and again.

local keep_log = require "support.keep_log"
local log = require "tokencache.log"
local process = require "support.process"
local tokencache = require "tokencache"

describe("set_logger", function()
  after_each(function()
    tokencache.set_logger(nil)
  end)

  it("takes a function, which gets level and message", function()
    local lines = {}
    tokencache.set_logger(function(level, message) lines[#lines + 1] = { level, message } end)
    log.warning("a ", 1, true)
    log.debug("b")
    assert.same({ { "warning", "a 1true" }, { "debug", "b" } }, lines)
  end)

  local function stderr_of(line)
    local status, output = process.run(process.lua(line .. [[

      local log = require "tokencache.log"
      for _, level in ipairs { "debug", "info", "warning", "error" } do
        log[level]("a line of ", level)
      end]]))
    assert.equal(0, status, output)
    return output
  end

  it("without a logger warnings and errors go to stderr", function()
    local both = "tokencache: warning: a line of warning\ntokencache: error: a line of error\n"
    assert.equal(both, stderr_of "")
    assert.equal(both, stderr_of [[
      require("tokencache").set_logger(false)
      require("tokencache").set_logger(nil)]])
  end)

  it("lets no logger that raises take the place of what was asked for", function()
    local failed = "tokencache: warning: the logger failed: %s\n"
    local both = "tokencache: warning: a line of warning\ntokencache: error: a line of error\n"
    local set = [[require("tokencache").set_logger(function() error(%s, 0) end)]]
    assert.equal(failed:format("no room") .. both, stderr_of(set:format [["no room"]]))
    assert.equal(failed:format("it raised a table") .. both, stderr_of(set:format
      [[setmetatable({}, { __tostring = function() error "no" end })]]))
  end)

  it("takes false for silence", function()
    assert.equal("", stderr_of [[require("tokencache").set_logger(false)]])
  end)
end)

describe("log.repeated", function()
  local monotonic, logged, now = log.monotonic

  before_each(function()
    logged, now = keep_log(), 5000
    log.monotonic = function() return now end
  end)

  after_each(function()
    log.monotonic = monotonic
    log.set_logger(nil)
  end)

  local function say(id)
    log.repeated("warning", id or "id", "it ", function() return "broke" end)
  end

  it("writes a message at first and then once a minute, with the number of times", function()
    for _ = 1, 240 do -- 30 s, 60 s, 90 s ...
      say()
      now = now + 0.5
    end
    assert.same({ "warning it broke", "warning it broke (120 times since)" }, logged)
    say()
    assert.equal("warning it broke (120 times since)", logged[3])
  end)

  it("writes no number where nothing was left out", function()
    for _ = 1, 3 do
      say()
      now = now + 60
    end
    assert.same({ "warning it broke", "warning it broke", "warning it broke" }, logged)
  end)

  it("takes for new what has not come for ten minutes", function()
    say()
    say()
    now = now + 599
    say()
    say()
    now = now + 600
    say()
    assert.same({ "warning it broke", "warning it broke (2 times since)", "warning it broke" },
      logged)
  end)

  it("does not take for new what keeps coming, however long", function()
    for _ = 0, 700 do
      say()
      now = now + 1
    end
    assert.equal(12, #logged)
    for i = 2, 12 do
      assert.equal("warning it broke (60 times since)", logged[i])
    end
  end)

  it("tells ids apart, whatever is said", function()
    say "a"
    say "b"
    log.repeated("error", "a", "something else")
    assert.same({ "warning it broke", "warning it broke" }, logged)
  end)

  it("forgets beyond a thousand ids the one that has not come for the longest time", function()
    for i = 1, 1000 do
      say("id " .. i)
    end
    say "id 1"
    say "id 1001"
    assert.equal(1001, #logged)
    say "id 1"
    assert.equal(1001, #logged)
    say "id 2"
    assert.equal(1002, #logged)
  end)

  it("makes nothing of a message that is not written", function()
    local made = 0
    local function make()
      made = made + 1
      return "made"
    end
    for _ = 1, 10 do
      log.repeated("warning", "id", make)
    end
    assert.equal(1, made)
    log.set_logger(false)
    log.repeated("warning", "id", make)
    log.warning(make)
    log.set_logger(nil)
    log.repeated("debug", "id", make) -- nobody hears it on stderr
    assert.equal(1, made)
  end)

  it("counts as new all that a new logger has not heard", function()
    say()
    logged = keep_log()
    say()
    assert.same({ "warning it broke" }, logged)
  end)

  it("goes by the system's clock where no test has put another", function()
    log.monotonic = monotonic
    say()
    say()
    assert.same({ "warning it broke" }, logged)
    local status, output = process.run(process.lua [[
      local log = require "tokencache.log"
      for _ = 1, 3 do log.repeated("warning", "id", "once") end]])
    assert.equal(0, status)
    assert.equal("tokencache: warning: once\n", output)
  end)
end)
