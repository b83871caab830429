-- The conversation with Redis by itself: the spec is the network, and the clock.

local merged = require "support.merged"
local redis = require "tokencache._redis"

local unpack = table.unpack or unpack -- luacheck: ignore 143 113

local OPTIONS = { place = "host:1", host = "host", port = 1 }

local function new_talk(options)
  return redis.known(merged(OPTIONS, options)):talk()
end

--- A conversation that has sent a command on a new connection; and the bytes.
local function sent(options, ...)
  local talk = new_talk(options)
  assert.equal("use", (talk:begin(0, ...)))
  local action, seconds, bytes = talk:go_on(0, true)
  assert.same({ "send", 5 }, { action, seconds })
  return talk, bytes
end

--- What is returned to the command GET k for these bytes, which come in pieces of `size`.
local function reply_to(bytes, size)
  local talk = sent({}, "GET", "k")
  for from = 1, #bytes - size, size do
    assert.same({ "receive", 5 }, { talk:go_on(0, bytes:sub(from, from + size - 1)) })
  end
  local last = #bytes - (#bytes - 1) % size
  return select(3, talk:go_on(0, bytes:sub(last)))
end

local function failure(action, may_keep, reply, err)
  assert.same({ "done", "nil", "table" }, { action, type(reply), type(err) })
  return err, may_keep
end

local function expect_garbage(bytes)
  local talk = sent({}, "GET", "k")
  local err, may_keep = failure(talk:go_on(0, bytes))
  assert.same({ "cache", "PROTOCOL", false }, { err.kind, err.code, may_keep })
  assert.error_matches(function() talk:go_on(0, bytes) end, "waits for nothing")
  return tostring(err)
end

describe("a command to Redis", function()
  local function bytes_of(...)
    return select(2, sent({}, ...))
  end

  it("is written as the protocol has it", function()
    assert.equal("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\0\r\n\r\n", bytes_of("SET", "k", "a\0\r\n"))
    assert.equal("*1\r\n$0\r\n\r\n", bytes_of "")
  end)

  it("may have large words", function()
    local word = ("x"):rep(1e6)
    assert.equal("*2\r\n$3\r\nGET\r\n$1000000\r\n" .. word .. "\r\n", bytes_of("GET", word))
  end)

  it("is one to sixteen strings", function()
    local talk = new_talk()
    assert.error_matches(function() talk:begin(0) end, "a command expected")
    assert.error_matches(function() talk:begin(0, "GET", 1) end, "string expected")
    assert.error_matches(function() talk:begin(0, "GET", {}) end, "string expected")
    assert.error_matches(function()
      talk:begin(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17)
    end, "at most 16 words")
  end)
end)

describe("a reply of Redis", function()
  local REPLIES = {
    ["+OK\r\n"] = "OK", [":42\r\n"] = 42, ["$5\r\na\0\r\nb\r\n"] = "a\0\r\nb", ["$-1\r\n"] = false,
    ["$0\r\n\r\n"] = "", ["*-1\r\n"] = false, [":-9007199254740991\r\n"] = -9007199254740991,
  }

  it("is read in pieces of every size, and no sooner than it has come whole", function()
    for bytes, reply in pairs(REPLIES) do
      for size = 1, #bytes do
        assert.same({ reply }, { reply_to(bytes, size) })
      end
    end
    for size = 1, 9 do
      local _, err = reply_to("-ERR no\r\n", size)
      assert.same({ "ERR", "ERR no" }, { err.code, err.description })
    end
  end)

  it("may be an integer beyond 32 bits, and beyond what a double counts", function()
    for _, digits in ipairs { "4294967297", "9007199254740993", "-9223372036854775808" } do
      assert.equal(digits, tostring(reply_to(":" .. digits .. "\r\n", 99)))
    end
  end)

  it("is the only one that is waited for", function()
    local talk = sent({}, "GET", "k")
    for _ = 1, 3 do
      assert.equal("receive", (talk:go_on(0, "$3\r\nab")))
      assert.same({ "done", true, "abc" }, { talk:go_on(0, "c\r\n") })
      talk:begin(0, "GET", "k")
      talk:go_on(0, false)
      local err, may_keep = failure(talk:go_on(0, "-ERR no\r\n"))
      assert.same({ "ERR", true }, { err.code, may_keep })
      talk:begin(0, "GET", "k")
      talk:go_on(0, false)
    end
    local err, may_keep = failure(talk:go_on(0, "+OK\r\n+"))
    assert.equal("host:1: Redis: more came than was asked for; check that it is a Redis server",
      tostring(err))
    assert.same({ "PROTOCOL", false }, { err.code, may_keep })
  end)

  it("may have megabytes", function()
    local text = ("0123456789"):rep(1e6)
    assert.equal(text, (reply_to("$10000000\r\n" .. text .. "\r\n", 65536)))
  end)

  it("is refused where it is none", function()
    for _, bytes in ipairs { "HTTP/1.1 400 Bad Request\r\n", "\r\n", "\0\0\0\0", "%1\r\n", "$x\r\n",
      "$-2\r\n", "$99999999999999999999\r\n", ":1x\r\n", ":\r\n", "OK\r\n" } do
      expect_garbage(bytes)
    end
  end)

  it("is refused where it is an array, of which size ever, without making room for it", function()
    for _, bytes in ipairs { "*2147483647\r\n", "*1\r\n$1\r\na\r\n", "*0\r\n", "*4294967296\r\n",
      "*-2\r\n" } do
      expect_garbage(bytes)
    end
  end)

  --- What is said once so many bytes have come.
  local function fed(start, piece, most)
    local talk, count = sent({}, "GET", "k"), 0
    local function outcome(action, ...)
      count = count + #piece
      return action == "done" and failure(action, ...) or nil
    end
    local err = outcome(talk:go_on(0, start))
    while not err and count < most do
      err = outcome(talk:go_on(0, piece))
    end
    return tostring(err)
  end

  it("that announces a huge length is waited for, and given up at 16 MiB", function()
    assert.equal("host:1: Redis: a reply larger than 16 MiB; check that it is a Redis server",
      fed("$2147483647\r\n", ("x"):rep(1e6), 20e6))
  end)

  it("that is a line without an end is given up at 16 MiB", function()
    assert.equal("host:1: Redis: a reply larger than 16 MiB; check that it is a Redis server",
      fed("+", ("+"):rep(4e6), 24e6))
  end)
end)

describe("an error of Redis", function()
  local function said(text, ...)
    return (failure((sent({}, ...)):go_on(0, "-" .. text .. "\r\n")))
  end

  local function said_at_login(text, password)
    local talk = new_talk { username = "u", password = password }
    talk:begin(0, "GET", "k")
    talk:go_on(0, true)
    return (failure(talk:go_on(0, "-" .. text .. "\r\n")))
  end

  it("has its code from the server's words, and shows the way out", function()
    local err = said_at_login("WRONGPASS invalid username-password pair", "secret")
    assert.same({ "cache", "WRONGPASS", "WRONGPASS invalid username-password pair" },
      { err.kind, err.code, err.description })
    assert.equal("host:1: Redis answered WRONGPASS invalid username-password pair; check username= "
      .. "and password=", tostring(err))
    assert.is_nil(said("odd words", "GET", "k").code)
    assert.equal("ERR", said("ERR", "GET", "k").code)
    assert.is_nil(said("", "GET", "k").code)
  end)

  it("shows nothing of the command but its name and key", function()
    for _, text in ipairs {
      "ERR unknown command 'SET', with args beginning with: 'k' '{\\\"access_token\\\":\\\"BQC-1' ",
      "ERR value BQC-1 is bad", "ERR BQC-1", "ERR " .. ("x"):rep(245) .. " BQC-1",
    } do
      local err = said(text, "SET", "k", "BQC-1")
      for _, shown in ipairs { tostring(err), err.description } do
        assert.is_nil(shown:find("BQC", 1, true), shown)
      end
    end
    assert.equal("ERR word ********", said_at_login("ERR word hunter22", "hunter22").description)
  end)

  it("makes control characters harmless", function()
    assert.equal("ERR a?[31mb", said("ERR a\27[31mb", "GET", "k").description)
  end)
end)

describe("a conversation with Redis", function()
  it("begins with a login and a database, on new connections alone", function()
    local talk = new_talk { username = "u", password = "p", db = 3 }
    assert.same({ "use", 5, "host", 1, false, 0 }, { talk:begin(10, "GET", "k") })
    assert.same({ "send", 4, "*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n" },
      { talk:go_on(11, true) })
    assert.same({ "send", 3, "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n" },
      { talk:go_on(12, "+OK\r\n") })
    assert.same({ "send", 5, "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n" }, { talk:go_on(13, "+OK\r\n") })
    assert.same({ "receive", 1 }, { talk:go_on(17, "$") })
    assert.same({ "done", true, "v" }, { talk:go_on(17, "1\r\nv\r\n") })
    talk:begin(20, "GET", "k")
    assert.same({ "send", 5, "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n" }, { talk:go_on(20, false) })
  end)

  it("names a Unix socket by its path", function()
    local talk = redis.known({ place = "/s", path = "/s" }):talk()
    assert.same({ "use", 5, "/s", nil, false, 0 }, { talk:begin(0, "GET", "k") })
  end)

  local COMMAND = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"

  it("sends a command once more where the connection broke, in the time that is left", function()
    local talk = sent({}, "GET", "k")
    assert.same({ "use", 5, "host", 1, false, 1 }, { talk:failed("CLOSED", "it broke", nil, 2) })
    assert.same({ "send", 3, COMMAND }, { talk:go_on(4, true) })
    assert.same({ "done", true, "v", "repeated" }, { talk:go_on(5, "+v\r\n") })
    talk:begin(10, "GET", "k")
    talk:go_on(10, false)
    talk:failed("CLOSED", "it broke", nil, 10)
    talk:go_on(10, true)
    local err, may_keep = failure(talk:failed("CLOSED", "it broke", nil, 10))
    assert.same({ "CLOSED", "host:1: Redis: it broke; try again later", false },
      { err.code, tostring(err), may_keep })
  end)

  it("sends nothing again after a timeout, nor to whom it could not log in", function()
    local err = failure(sent({}, "GET", "k"):failed("TIMEOUT", "no answer", nil, 5))
    assert.equal("host:1: Redis: no answer; try again later, or raise the timeout", tostring(err))
    local talk = new_talk { password = "p" }
    talk:begin(0, "GET", "k")
    talk:go_on(0, true)
    assert.equal("CLOSED", failure(talk:failed("CLOSED", "it broke", nil, 0)).code)
  end)

  it("says the way out that it is given", function()
    local talk = new_talk()
    talk:begin(0, "GET", "k")
    local err = failure(talk:failed("CONNECT", "no connection", "say please", 0))
    assert.same({ "CONNECT", "host:1: Redis: no connection; say please" },
      { err.code, tostring(err) })
  end)

  it("leaves a replica, and all connections to it", function()
    local known = redis.known(OPTIONS)
    local talk, other = known:talk(), known:talk()
    for _, one in ipairs { talk, other } do
      one:begin(0, "SET", "k", "v")
      one:go_on(0, true)
    end
    for _, one in ipairs { talk, other } do
      local err, may_keep = failure(one:go_on(0, "-READONLY no\r\n"))
      assert.same({ "READONLY", false }, { err.code, may_keep })
      assert.equal(1, (select(6, talk:begin(0, "SET", "k", "v"))))
    end
  end)

  it("logs in again, once, where the server has forgotten who this is", function()
    local talk = sent({}, "GET", "k")
    assert.equal("NOAUTH", failure(talk:go_on(0, "-NOAUTH no\r\n")).code)
    talk = new_talk { password = "p" }
    talk:begin(0, "GET", "k")
    talk:go_on(0, false)
    assert.equal("use", (talk:go_on(0, "-NOAUTH no\r\n")))
    assert.equal("*2\r\n$4\r\nAUTH\r\n$1\r\np\r\n", (select(3, talk:go_on(0, true))))
    assert.equal(COMMAND, (select(3, talk:go_on(0, "+OK\r\n"))))
    assert.equal("NOAUTH", failure(talk:go_on(0, "-NOAUTH no\r\n")).code)
  end)

  it("takes nothing that it does not wait for", function()
    local talk = new_talk()
    assert.error_matches(function() talk:go_on(0, "+OK\r\n") end, "waits for nothing")
    assert.error_matches(function() talk:failed("CLOSED", "", nil, 0) end, "waits for nothing")
    talk:begin(0, "GET", "k")
    talk:go_on(0, true)
    assert.error_matches(function() talk:go_on(0, {}) end, "string expected")
  end)
end)

describe("a conversation by sentinels", function()
  local GET = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
  local ASK = "*3\r\n$8\r\nSENTINEL\r\n$23\r\nGET-MASTER-ADDR-BY-NAME\r\n$2\r\nmy\r\n"
  local ROLE = "*1\r\n$4\r\nROLE\r\n"
  local MASTER, REPLICA = "*2\r\n$6\r\nmaster\r\n:1\r\n", "*2\r\n$5\r\nslave\r\n:1\r\n"

  local function address(host, port)
    return ("*2\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n"):format(#host, host, #tostring(port), port)
  end

  local function known(options)
    return redis.known(merged({ place = "my", master = "my", sentinels = {
      { host = "one", port = 1 }, { host = "two", port = 2 } } }, options))
  end

  --- Leads a conversation that wants a sentinel to the master at this port.
  local function lead(talk, port, now)
    assert.equal(ASK, (select(3, talk:go_on(now, true))))
    local action, _, host, at, is_sentinel, generation = talk:go_on(now, address("host", port))
    assert.same({ "use", "host", port, false }, { action, host, at, is_sentinel })
    return generation
  end

  --- One that has sent its command to the master at port 10.
  local function sent_to_master(server)
    local talk = server:talk()
    talk:begin(0, "GET", "k")
    lead(talk, 10, 0)
    assert.equal(ROLE, (select(3, talk:go_on(0, true))))
    assert.same({ "send", 5, GET }, { talk:go_on(0, MASTER) })
    return talk
  end

  local function expect_sentinel(port, action, _, _, at, is_sentinel)
    assert.same({ "use", port, true }, { action, at, is_sentinel })
  end

  it("asks one where the master is, and the master for its role", function()
    local talk = known({ username = "u", password = "p", sentinel_password = "s", db = 1 }):talk()
    expect_sentinel(1, talk:begin(0, "GET", "k"))
    assert.equal("*2\r\n$4\r\nAUTH\r\n$1\r\ns\r\n", (select(3, talk:go_on(0, true))))
    assert.equal(ASK, (select(3, talk:go_on(0, "+OK\r\n"))))
    assert.same({ "use", 2.5, "host", 10, false, 0 }, { talk:go_on(0, address("host", 10)) })
    assert.equal("*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n",
      (select(3, talk:go_on(0, true))))
    assert.equal(ROLE, (select(3, talk:go_on(0, "+OK\r\n"))))
    assert.equal("*2\r\n$6\r\nSELECT\r\n$1\r\n1\r\n", (select(3, talk:go_on(0, MASTER))))
    assert.equal(GET, (select(3, talk:go_on(0, "+OK\r\n"))))
    assert.same({ "done", true, "v" }, { talk:go_on(0, "+v\r\n") })
  end)

  it("asks the next one where one fails or knows nothing, each in its part of the time", function()
    local talk = known({ connect_timeout = 6 }):talk()
    assert.same({ "use", 2, "one", 1, true, 0 }, { talk:begin(0, "GET", "k") })
    assert.same({ "use", 2, "two", 2, true, 0 },
      { talk:failed("TIMEOUT", "no connection in time", nil, 2) })
    assert.equal(ASK, (select(3, talk:go_on(2, true))))
    local err = failure(talk:go_on(2, "*-1\r\n"))
    assert.same({ "MASTER", "my (sentinel two:2): Redis: there is no such master; check master=" },
      { err.code, tostring(err) })
  end)

  it("tells a replica by its role, and asks again until its time is over", function()
    local talk, now, pauses = known({ connect_timeout = 2 }):talk(), 0, {}
    talk:begin(now, "GET", "k")
    while true do
      lead(talk, 10, now)
      talk:go_on(now, true)
      local action, seconds, _, err = talk:go_on(now, REPLICA)
      if action == "done" then
        assert.same({ "READONLY", "my (master host:10): Redis: this is a replica now; try again "
          .. "later" }, { err.code, tostring(err) })
        break
      end
      assert.equal("sleep", action)
      pauses[#pauses + 1] = seconds
      now = now + seconds
      expect_sentinel(1, talk:go_on(now))
    end
    assert.is_true(#pauses > 4 and pauses[1] < 0.1 and now > 1.4 and now <= 2)
  end)

  it("moves to another master where the old one is a replica now, or is gone", function()
    for _, what in ipairs { "-READONLY no\r\n", "-LOADING no\r\n", "closed" } do
      local talk = sent_to_master(known())
      if what == "closed" then
        expect_sentinel(1, talk:failed("CLOSED", "it broke", nil, 0))
      else
        assert.equal("sleep", (talk:go_on(0, what)))
        expect_sentinel(1, talk:go_on(0))
      end
      assert.equal(1, lead(talk, 11, 0)) -- another generation
      talk:go_on(0, true)
      assert.same({ "send", 5, GET }, { talk:go_on(0, MASTER) })
      assert.same({ "done", true, "v", what == "closed" and "repeated" or "reconnected" },
        { talk:go_on(0, "+v\r\n") })
    end
  end)

  it("asks again where the connection broke twice, as while a server dies", function()
    local talk = sent_to_master(known())
    expect_sentinel(1, talk:failed("CLOSED", "it broke", nil, 0))
    lead(talk, 10, 0)
    talk:go_on(0, true)
    assert.same({ "send", 5, GET }, { talk:go_on(0, MASTER) })
    assert.equal("sleep", (talk:failed("CLOSED", "it broke", nil, 0)))
    expect_sentinel(1, talk:go_on(0))
  end)

  it("asks again once a second, and leaves connections where that is another one", function()
    local server = known()
    local talk = sent_to_master(server)
    talk:go_on(0, "+v\r\n")
    assert.same({ "use", 2.5, "host", 10, false, 0 }, { talk:begin(0.75, "GET", "k") })
    expect_sentinel(1, talk:begin(1.1, "GET", "k"))
    assert.equal("use", (server:talk():begin(1.1, "GET", "k"))) -- while the first one asks
    assert.equal(0, lead(talk, 10, 1.1))
    expect_sentinel(1, talk:begin(2.2, "GET", "k"))
    assert.equal(1, lead(talk, 11, 2.2))
    expect_sentinel(1, talk:begin(-3600, "GET", "k")) -- somebody has set the clock back
  end)

  it("goes on with the master that is known where no sentinel answers", function()
    local talk = sent_to_master(known())
    talk:go_on(0, "+v\r\n")
    assert.same({ "use", 0.5, "one", 1, true, 0 }, { talk:begin(2, "GET", "k") })
    assert.same({ "use", 0.5, "two", 2, true, 0 }, { talk:failed("TIMEOUT", "no", nil, 2.5) })
    assert.same({ "use", "host" }, { (talk:failed("TIMEOUT", "no", nil, 3)), "host" })
    talk:go_on(3, false)
    assert.same({ "done", true, "v" }, { talk:go_on(3, "+v\r\n") })
    local _, _, host = talk:begin(12, "GET", "k")
    assert.equal("host", host)
    expect_sentinel(1, talk:begin(15, "GET", "k"))
  end)
end)

describe("a conversation that waits for replicas", function()
  local function sent_to_one(...)
    return (sent({ replicas = 1 }, ...))
  end

  local WAIT = "*3\r\n$4\r\nWAIT\r\n$1\r\n1\r\n$4\r\n1000\r\n"

  it("asks for them after a command that wrote something, on the same connection", function()
    local talk = sent_to_one("SET", "k", "v")
    assert.same({ "send", 5, WAIT }, { talk:go_on(0, "+OK\r\n") })
    assert.same({ "done", true, "OK" }, { talk:go_on(0, ":1\r\n") })
    talk = sent_to_one("EVAL", "script", "1", "k")
    assert.same({ "send", 0.5, (WAIT:gsub("4\r\n1000", "3\r\n250")) },
      { talk:go_on(4.5, "$1\r\nv\r\n") })
    assert.same({ "done", true, "v" }, { talk:go_on(4.5, ":3\r\n") })
  end)

  it("does not after others", function()
    for reply, words in pairs { ["+OK\r\n"] = { "GET", "k" }, [":1\r\n"] = { "EVAL", "s", "0" },
      ["$-1\r\n"] = { "SET", "k", "v", "NX" }, ["-ERR no\r\n"] = { "SET", "k", "v" } } do
      assert.equal("done", (sent_to_one(unpack(words)):go_on(0, reply)))
    end
  end)

  it("fails where too few have it, and leaves that server", function()
    local talk = sent_to_one("SET", "k", "v")
    talk:go_on(0, "+OK\r\n")
    local err, may_keep = failure(talk:go_on(0, ":0\r\n"))
    assert.same({ "NOREPLICAS", false }, { err.code, may_keep })
    assert.equal("host:1: Redis: 0 of 1 replicas have it so far; check the replicas, or replicas=",
      tostring(err))
    assert.equal(1, (select(6, talk:begin(0, "SET", "k", "v"))))
    talk:go_on(0, true)
    talk:go_on(0, "+OK\r\n")
    assert.equal("NOPERM", failure(talk:go_on(0, "-NOPERM no\r\n")).code)
  end)

  it("repeats the command where the connection breaks meanwhile", function()
    local talk = sent_to_one("SET", "k", "v")
    talk:go_on(0, "+OK\r\n")
    assert.equal("use", (talk:failed("CLOSED", "it broke", nil, 0)))
    talk:go_on(0, true)
    talk:go_on(0, "+OK\r\n")
    assert.same({ "done", true, "OK", "repeated" }, { talk:go_on(0, ":1\r\n") })
  end)
end)
