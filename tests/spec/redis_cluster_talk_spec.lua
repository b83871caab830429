-- The conversation with a Redis Cluster by itself: the spec is the network, and the clock.

local merged = require "support.merged"
local redis = require "tokencache._redis"

local GET = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n" -- its slot is 7629
local SLOTS = "*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n"
local ASKING = "*1\r\n$6\r\nASKING\r\n"

local function known(options)
  return redis.known(merged({ place = "my", cluster = {
    { host = "one", port = 1 }, { host = "two", port = 2 } } }, options))
end

local function bulk(text)
  return ("$%d\r\n%s\r\n"):format(#text, text)
end

--- A reply to CLUSTER SLOTS: lists of first, last, and then nodes as "host:port".
local function slots_of(ranges)
  local texts = { ("*%d\r\n"):format(#ranges) }
  for _, range in ipairs(ranges) do
    texts[#texts + 1] = ("*%d\r\n:%d\r\n:%d\r\n"):format(#range, range[1], range[2])
    for i = 3, #range do
      local host, port = range[i]:match "^(.*):(%d+)$"
      texts[#texts + 1] = ("*4\r\n%s:%s\r\n%s*0\r\n"):format(host == "nil" and "$-1\r\n"
        or bulk(host), port, bulk(("f"):rep(40)))
    end
  end
  return table.concat(texts)
end

local function slots(...)
  return slots_of { ... }
end

local WHOLE = slots({ 0, 8000, "a:10", "r:20" }, { 8001, 16383, "b:11" })

local function expect_use(host, port, action, seconds, at, to, is_sentinel, generation)
  assert.same({ "use", host, port, false }, { action, at, to, is_sentinel })
  return seconds, generation
end

--- What is sent on a connection that is new, or kept.
local function expect_send(bytes, action, _, sent)
  assert.same({ "send", bytes }, { action, sent })
end

local function failure(action, may_keep, reply, err)
  assert.same({ "done", "nil", "table" }, { action, type(reply), type(err) })
  return err, may_keep
end

--- A conversation that was told the slots, and has sent its command to the node at port 10.
local function sent(server)
  local talk = server:talk()
  expect_use("one", 1, talk:begin(0, "GET", "k"))
  expect_send(SLOTS, talk:go_on(0, true))
  expect_use("a", 10, talk:go_on(0, WHOLE))
  expect_send(GET, talk:go_on(0, true))
  return talk
end

describe("a conversation with a cluster", function()
  it("asks a node for the slots, and goes to the key's from then on", function()
    local server = known { password = "p" }
    local talk = server:talk()
    assert.same({ "use", 5 / 3, "one", 1, false, 0 }, { talk:begin(0, "GET", "k") })
    expect_send("*2\r\n$4\r\nAUTH\r\n$1\r\np\r\n", talk:go_on(0, true))
    expect_send(SLOTS, talk:go_on(0, "+OK\r\n"))
    for byte in WHOLE:sub(1, -2):gmatch "." do
      assert.equal("receive", (talk:go_on(0, byte)))
    end
    assert.same({ "use", 2.5, "a", 10, false, 1, true }, { talk:go_on(0, "\n") })
    expect_send("*2\r\n$4\r\nAUTH\r\n$1\r\np\r\n", talk:go_on(0, true))
    expect_send(GET, talk:go_on(0, "+OK\r\n"))
    assert.same({ "done", true, "v" }, { talk:go_on(0, "+v\r\n") })
    expect_use("b", 11, server:talk():begin(100, "GET", "foo")) -- slot 12182
    expect_use("a", 10, talk:begin(100, "EVAL", "script", "2", "k", "{k}"))
    talk:begin(100, "SET", "k", "v")
    expect_send("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n", talk:go_on(100, false))
  end)

  it("has each slot as Redis has it", function()
    local talk = sent(known())
    talk:go_on(0, "+v\r\n")
    local function goes_to(key)
      return (select(4, talk:begin(0, "GET", key)))
    end
    for key, port in pairs { foo = 11, bar = 10, [""] = 10, ["123456789"] = 11, ["{bar}foo"] = 10,
      ["foo{bar"] = 11, ["x{foo}{bar}"] = 11 } do
      assert.equal(port, goes_to(key), key)
    end
  end)

  it("asks the next node where one fails, each in its part of the time", function()
    local talk = known({ connect_timeout = 6 }):talk()
    assert.equal(2, (expect_use("one", 1, talk:begin(0, "GET", "k"))))
    assert.equal(2, (expect_use("two", 2, talk:failed("TIMEOUT", "no connection", nil, 2))))
    talk:go_on(2, true)
    local err = failure(talk:go_on(2, "-ERR This instance has cluster support disabled\r\n"))
    assert.equal("my (node two:2): Redis answered ERR This instance has cluster support disabled; "
      .. "where there is no cluster, name the server, host= and port=", tostring(err))
  end)

  it("takes no list of slots that makes no sense", function()
    for _, reply in ipairs { "*0\r\n", "+OK\r\n", ":1\r\n", "*1\r\n:1\r\n", "*-1\r\n",
      slots({ 5, 4, "a:10" }), slots({ 0, 16384, "a:10" }), slots({ -1, 3, "a:10" }),
      slots({ 0, 1 }), slots({ 0, 1, "a:0" }), slots({ 0, 1, "a:65536" }), slots({ 0, 1, "?:1" }),
      slots({ 0, 1, ("h"):rep(256) .. ":1" }), slots({ 0, 1, "a\0b:1" }), "*16385\r\n",
      "*1\r\n*3\r\n:0\r\n:1\r\n*16385\r\n" } do
      local server = known()
      local talk = server:talk()
      talk:begin(0, "GET", "k")
      talk:go_on(0, true)
      expect_use("two", 2, talk:go_on(0, reply))
      talk:go_on(0, true)
      local err = failure(talk:go_on(0, reply))
      assert.same({ "cache", "PROTOCOL" }, { err.kind, err.code }, reply)
    end
  end)

  it("takes a host that is not told for that of who was asked", function()
    for _, host in ipairs { "", "nil" } do
      local talk = known():talk()
      talk:begin(0, "GET", "k")
      talk:go_on(0, true)
      expect_use("one", 77, talk:go_on(0, slots({ 0, 16383, host .. ":77", "?:1" })))
      talk:go_on(0, true)
      expect_use("one", 78, talk:go_on(0, "-MOVED 7629 :78\r\n"))
    end
  end)

  it("reads 10,000 slots in fragments", function()
    local ranges = {}
    for i = 0, 9999 do
      ranges[i + 1] = { i, i, "10.0.0." .. i % 2 .. ":1000", "10.0.0.3:1000", "10.0.0.4:1000" }
    end
    local talk = known():talk()
    talk:begin(0, "GET", "k")
    talk:go_on(0, true)
    expect_use("10.0.0.1", 1000, talk:go_on(0, slots_of(ranges)))
  end)

  it("gives up a list of slots that is too long", function()
    local talk, count = known():talk(), 0
    talk:begin(0, "GET", "k")
    talk:go_on(0, true)
    local action = talk:go_on(0, "*16384\r\n$2147483647\r\n")
    while action == "receive" and count < 20 do
      action, count = talk:go_on(0, ("x"):rep(1e6)), count + 1
    end
    assert.same({ "use", 9 }, { action, count })
  end)

  it("says that nobody has a slot, once it has asked until its time was over", function()
    local talk, now = known({ connect_timeout = 2 }):talk(), 0
    talk:begin(now, "GET", "k")
    while true do
      talk:go_on(now, true)
      local action, seconds, _, err = talk:go_on(now, slots({ 0, 100, "a:10" }))
      if action == "done" then
        assert.equal("CLUSTERDOWN", err.code)
        assert.equal("my: Redis: no node serves the slot of this key; try again later, or see "
          .. "CLUSTER INFO", tostring(err))
        break
      end
      assert.equal("sleep", action)
      now = now + seconds
      assert.equal("use", (talk:go_on(now)))
    end
    assert.is_true(now > 1.4 and now <= 2)
  end)

  it("follows MOVED, and remembers it", function()
    local server = known()
    local talk = sent(server)
    expect_use("::1", 99, talk:go_on(0, "-MOVED 7629 ::1:99\r\n"))
    expect_send(GET, talk:go_on(0, true))
    assert.same({ "done", true, "v" }, { talk:go_on(0, "+v\r\n") })
    expect_use("::1", 99, server:talk():begin(0, "GET", "k"))
    expect_use("a", 10, server:talk():begin(0, "GET", "bar")) -- another slot
  end)

  it("follows ASK this once, by two commands on one connection", function()
    local server = known()
    for _, is_new in ipairs { true, false } do
      local talk = server:talk()
      if is_new then
        talk = sent(server)
      else
        talk:begin(0, "GET", "k")
        talk:go_on(0, false)
      end
      expect_use("c", 12, talk:go_on(0, "-ASK 7629 c:12\r\n"))
      expect_send(ASKING, talk:go_on(0, is_new))
      expect_send(GET, talk:go_on(0, "+OK\r\n"))
      assert.same({ "done", true, "v" }, { talk:go_on(0, "+v\r\n") })
      expect_use("a", 10, talk:begin(0, "GET", "k"))
    end
  end)

  it("waits a moment and comes again where the keys are on their way", function()
    local talk = sent(known())
    expect_use("c", 12, talk:go_on(0, "-ASK 7629 c:12\r\n"))
    talk:go_on(0, true)
    talk:go_on(0, "+OK\r\n")
    local action, pause = talk:go_on(1, "-TRYAGAIN Multiple keys request during rehashing\r\n")
    assert.equal("sleep", action)
    assert.is_true(pause > 0 and pause < 0.1)
    expect_use("r", 20, talk:go_on(2)) -- who may know better
    expect_send(SLOTS, talk:go_on(2, true))
    expect_use("a", 10, talk:go_on(2, WHOLE))
    local _, seconds = talk:go_on(2, false)
    assert.equal(4, seconds)
    assert.same({ "done", true, "v" }, { talk:go_on(2.5, "+v\r\n") })
  end)

  it("ends where nodes send it round, or are down, to its deadline", function()
    for said, code in pairs { ["-MOVED 7629 a:10\r\n"] = "MOVED", ["-ASK 7629 a:10\r\n"] = "ASK",
      ["-MOVED 7629 ?:1\r\n"] = "MOVED", ["-MOVED x\r\n"] = "MOVED",
      ["-TRYAGAIN x\r\n"] = "TRYAGAIN", ["-CLUSTERDOWN x\r\n"] = "CLUSTERDOWN" } do
      local talk, now, steps = sent(known { connect_timeout = 2, timeout = 5 }), 0, 0
      local action, seconds, last, err = talk:go_on(now, said)
      while action ~= "done" do
        steps = steps + 1
        assert.is_true(steps < 100)
        if action == "sleep" then
          now = now + seconds
          action, seconds, last, err = talk:go_on(now)
        elseif action == "use" then
          action, seconds, last, err = talk:go_on(now, false)
        else
          action, seconds, last, err = talk:go_on(now, last == SLOTS and WHOLE
            or last == ASKING and "+OK\r\n" or said)
        end
      end
      assert.equal(code, err.code)
      assert.is_true(now > 1.4 and now <= 2)
      if code == "MOVED" then
        assert.truthy(tostring(err):find("the nodes send each other round", 1, true))
      end
    end
  end)

  it("gives a command no more time for having been sent elsewhere", function()
    local talk = sent(known())
    talk:go_on(4.9, "-MOVED 7629 c:12\r\n")
    local action, seconds = talk:go_on(5, true)
    assert.equal("send", action)
    assert.is_true(math.abs(seconds - 0.1) < 1e-6)
  end)

  it("sends a command again where the connection broke, and asks who has taken over", function()
    local server = known()
    local talk = sent(server)
    local _, generation = expect_use("a", 10, talk:failed("CLOSED", "it broke", nil, 0))
    assert.is_true(generation > 1)
    assert.equal("sleep", (talk:failed("CONNECT", "refused", nil, 0)))
    local seconds = expect_use("r", 20, talk:go_on(0.05)) -- not "a" again
    assert.is_true(seconds < 2)
    talk:go_on(0.05, true)
    expect_use("r", 20, talk:go_on(0.05, slots({ 0, 16383, "r:20" })))
    expect_send(GET, talk:go_on(0.05, false))
    assert.same({ "done", true, "v", "repeated" }, { talk:go_on(0.05, "+v\r\n") })
  end)

  it("sends it again to a node that dies and takes connections still, until its time is over",
    function()
      local talk = sent(known { connect_timeout = 2 })
      local now, times = 0, 0
      local action, seconds, last, err = talk:failed("CLOSED", "it broke", nil, now)
      while action ~= "done" do
        if action == "sleep" then
          now = now + seconds
          action, seconds, last, err = talk:go_on(now)
        elseif action == "use" then
          action, seconds, last, err = talk:go_on(now, true)
        elseif last == SLOTS then
          action, seconds, last, err = talk:go_on(now, WHOLE)
        else
          times = times + 1
          action, seconds, last, err = talk:failed("CLOSED", "it broke", nil, now)
        end
      end
      assert.equal("CLOSED", err.code)
      assert.is_true(times > 3 and now > 1.4 and now <= 2)
    end)

  it("leaves connections to a node that failed, and keeps those to others", function()
    local server = known()
    local talk = sent(server)
    talk:go_on(0, "+v\r\n")
    local _, of_a = expect_use("a", 10, talk:begin(0, "GET", "k"))
    local _, of_b = expect_use("b", 11, talk:begin(0, "GET", "foo"))
    talk:begin(0, "GET", "k")
    talk:go_on(0, false)
    assert.equal("TIMEOUT", failure(talk:failed("TIMEOUT", "no answer", nil, 5)).code)
    assert.equal("use", (talk:begin(5, "GET", "k")))
    talk:go_on(5, true)
    assert.is_true(select(2, expect_use("a", 10, talk:go_on(5, WHOLE))) > of_a)
    assert.equal(of_b, (select(2, expect_use("b", 11, talk:begin(5, "GET", "foo")))))
  end)

  it("replies to CLUSTER SLOTS by the names of the masters, anew each time", function()
    local talk = known():talk()
    for _, reply in ipairs { WHOLE, slots({ 0, 16383, "c:12" }) } do
      talk:begin(0, "CLUSTER", "SLOTS")
      expect_send(SLOTS, talk:go_on(0, true))
      assert.same({ "done", true, reply == WHOLE and "a:10 b:11 " or "c:12 " },
        { talk:go_on(0, reply) })
    end
  end)

  it("sends a command without a key to the node that its last word names", function()
    local talk = sent(known())
    talk:go_on(0, "+v\r\n")
    expect_use("b", 11, talk:begin(0, "EVAL", "script", "0", "b:11"))
    local err = failure(talk:begin(0, "EVAL", "script", "0", "c:12"))
    assert.equal("CLUSTERDOWN", err.code)
  end)

  it("asks for the password on a node as on any server", function()
    local talk = known({ asks_password = true }):talk()
    talk:begin(0, "GET", "k")
    assert.equal("password", (talk:go_on(0, true)))
    expect_send("*2\r\n$4\r\nAUTH\r\n$1\r\np\r\n", talk:go_on(0, "p"))
    local action, _, is_refused = talk:go_on(0, "-WRONGPASS no\r\n")
    assert.same({ "password", true }, { action, is_refused })
    talk:go_on(0, "q")
    assert.equal("WRONGPASS", failure(talk:go_on(0, "-WRONGPASS no\r\n")).code)
  end)

  it("waits for replicas on the node that wrote", function()
    local talk = known({ replicas = 1 }):talk()
    talk:begin(0, "SET", "k", "v")
    talk:go_on(0, true)
    talk:go_on(0, WHOLE)
    talk:go_on(0, true)
    expect_use("c", 12, talk:go_on(0, "-MOVED 7629 c:12\r\n"))
    talk:go_on(0, true)
    expect_send("*3\r\n$4\r\nWAIT\r\n$1\r\n1\r\n$4\r\n1000\r\n", talk:go_on(0, "+OK\r\n"))
    assert.same({ "done", true, "OK" }, { talk:go_on(0, ":1\r\n") })
  end)
end)
