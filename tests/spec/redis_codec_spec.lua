local redis = require "tokencache._redis"

--- Everything that comes out of the bytes, fed in pieces of `size`.
local function replies(bytes, size)
  local reader, got = redis.reader(), {}
  for from = 1, #bytes, size do
    assert(reader:feed(bytes:sub(from, from + size - 1)))
    local reply, what = reader:get()
    while reply ~= nil do
      got[#got + 1] = what and { reply, what } or reply
      reply, what = reader:get()
    end
    assert.is_nil(what)
  end
  return got
end

local function expect_garbage(bytes)
  local reader = redis.reader()
  local fed, err = reader:feed(bytes)
  if fed then
    local reply
    reply, err = reader:get()
    assert.is_nil(reply)
  end
  assert(err, ("%q was taken for a beginning"):format(bytes))
  assert.same({ "protocol", "PROTOCOL" }, { err.kind, err.code })
  assert.error_matches(function() reader:get() end, "the reader is broken")
  assert.error_matches(function() reader:feed "" end, "the reader is broken")
end

describe("_redis.format", function()
  it("writes commands as the protocol has them", function()
    assert.equal("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\0\r\n\r\n",
      redis.format("SET", "k", "a\0\r\n"))
    assert.equal("*1\r\n$0\r\n\r\n", redis.format "")
  end)

  it("writes large words", function()
    local word = ("x"):rep(1e6)
    assert.equal("*2\r\n$3\r\nGET\r\n$1000000\r\n" .. word .. "\r\n", redis.format("GET", word))
  end)

  it("raises for what is no command", function()
    assert.error_matches(function() redis.format() end, "a command expected")
    assert.error_matches(function() redis.format("GET", 1) end, "string expected")
    assert.error_matches(function() redis.format("GET", {}) end, "string expected")
    assert.error_matches(function()
      redis.format(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17)
    end, "at most 16 words")
  end)
end)

describe("_redis.reader", function()
  local STREAM = "+OK\r\n:42\r\n$5\r\na\0\r\nb\r\n$-1\r\n$0\r\n\r\n*-1\r\n-ERR no\r\n"
    .. ":-9007199254740991\r\n"

  it("reads every kind of reply, in pieces of every size", function()
    for size = 1, #STREAM do
      local got = replies(STREAM, size)
      assert.same({ "OK", 42, "a\0\r\nb", false, "", false, { "ERR no", "error" },
        -9007199254740991 }, got)
    end
  end)

  it("returns nothing before a reply has come whole", function()
    local reader = redis.reader()
    assert.equal(0, select("#", reader:get()))
    for byte in ("$3\r\nab"):gmatch "." do
      assert.is_true(reader:feed(byte))
      assert.equal(0, select("#", reader:get()))
    end
    reader:feed "c\r\n"
    assert.equal("abc", (reader:get()))
  end)

  it("reads the only reply that is waited for, and no more", function()
    local reader = redis.reader()
    for _ = 1, 3 do
      assert.equal(0, select("#", reader:read "$3\r\nab"))
      assert.same({ "abc" }, { reader:read "c\r\n" })
      assert.same({ "ERR no", "error" }, { reader:read "-ERR no\r\n" })
    end
    local reply, err = reader:read "+OK\r\n+"
    assert.is_nil(reply)
    assert.equal("PROTOCOL", err.code)
    assert.equal("more came than was asked for; check that it is a Redis server", tostring(err))
    assert.error_matches(function() reader:read "+OK\r\n" end, "the reader is broken")
    reply, err = redis.reader():read "HTTP/1.1 400 Bad Request\r\n"
    assert.is_nil(reply)
    assert.equal("PROTOCOL", err.code)
  end)

  it("reads a reply of megabytes", function()
    local text = ("0123456789"):rep(1e6)
    assert.same({ text }, (replies("$10000000\r\n" .. text .. "\r\n", 65536)))
  end)

  it("refuses what is no reply", function()
    for _, bytes in ipairs { "HTTP/1.1 400 Bad Request\r\n", "\r\n", "\0\0\0\0", "%1\r\n", "$x\r\n",
      "$-2\r\n", "$99999999999999999999\r\n", ":1x\r\n", ":\r\n", "OK\r\n" } do
      expect_garbage(bytes)
    end
  end)

  it("refuses arrays of any size without making room for them", function()
    expect_garbage "*2147483647\r\n"
    expect_garbage "*1\r\n$1\r\na\r\n"
    expect_garbage "*0\r\n"
    expect_garbage "*4294967296\r\n"
    expect_garbage "*-2\r\n"
  end)

  it("waits for what a huge length announces, and gives up at 16 MiB", function()
    local reader = redis.reader()
    reader:feed "$9223372036854775807\r\n"
    assert.equal(0, select("#", reader:get()))
    local piece, fed = ("x"):rep(1e6), 0
    local ok, err = reader:feed(piece)
    while ok and fed < 20e6 do
      assert.equal(0, select("#", reader:get()))
      fed = fed + #piece
      ok, err = reader:feed(piece)
    end
    assert.equal("a reply larger than 16 MiB; check that it is a Redis server", tostring(err))
    assert.equal("PROTOCOL", err.code)
  end)

  it("gives up at 16 MiB of a line without an end", function()
    local reader, piece, ok, err = redis.reader(), ("+"):rep(4e6), true, nil
    for _ = 1, 5 do
      if ok then
        ok, err = reader:feed(piece)
      end
    end
    assert.equal("PROTOCOL", err.code)
  end)
end)

describe("_redis.server_error", function()
  it("takes the code from the server's words, and adds the way out", function()
    local err = redis.server_error("host:1", "WRONGPASS invalid username-password pair", "AUTH",
      "u", "secret")
    assert.same({ "cache", "WRONGPASS", "WRONGPASS invalid username-password pair" },
      { err.kind, err.code, err.description })
    assert.equal("host:1: Redis answered WRONGPASS invalid username-password pair; check username= "
      .. "and password=", tostring(err))
    assert.is_nil(redis.server_error("host:1", "odd words", "GET", "k").code)
    assert.equal("ERR", redis.server_error("host:1", "ERR", "GET", "k").code)
    assert.is_nil(redis.server_error("host:1", "", "GET", "k").code)
  end)

  it("shows nothing of the command but its name and key", function()
    for _, text in ipairs {
      "ERR unknown command 'SET', with args beginning with: 'k' '{\\\"access_token\\\":\\\"BQC-1' ",
      "ERR value BQC-1 is bad", "ERR BQC-1", "ERR " .. ("x"):rep(245) .. " BQC-1",
    } do
      local err = redis.server_error("host:1", text, "SET", "k", "BQC-1")
      for _, shown in ipairs { tostring(err), err.description } do
        assert.is_nil(shown:find("BQC", 1, true), shown)
      end
    end
    local err = redis.server_error("host:1", "ERR word hunter22", "AUTH", "hunter22")
    assert.equal("ERR word ********", err.description)
  end)

  it("makes control characters harmless", function()
    assert.equal("ERR a?[31mb", redis.server_error("h", "ERR a\27[31mb", "GET", "k").description)
  end)
end)
