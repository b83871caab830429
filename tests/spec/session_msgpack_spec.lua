-- MessagePack: what Python's writes is read, and what is written Python reads.

local json = require "tokencache.json"
local msgpack = require "tokencache.session.msgpack"
local process = require "support.process"

local function in_hex(bytes)
  return (bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

local function from_hex(hex)
  return (hex:gsub("%s", ""):gsub("%x%x", function(pair)
    return string.char(tonumber(pair, 16))
  end))
end

local VALUE = [[{
  "whole": [0, 1, -1, 127, 128, -32, -33, 255, 256, -129, 65536, 2**31, -2**31 - 1, 2**53, -2**53,
    2**62, -2**63, 2**64 - 1],
  "real": [1.5, -0.0, 1e300, 5e-324, 0.1, -1 / 3, float("inf"), float("-inf")],
  "text": ["", "\u20ac \U0001f600 \0", "x" * 31, "x" * 32, "x" * 256, "x" * 65536],
  "nested": {"a": [{}, [], {"b": None}], "numbers": {1: "one", -2: "two"}},
  "truth": [True, False], "bytes": [b"", b"\0\xff", b"x" * 256, b"x" * 65536],
  "long": list(range(16)), "longer": [1] * 65536, "map": {str(i): i for i in range(16)},
}]]

local function python(code, ...)
  local status, output = process.run { "/usr/bin/python3", "-c", "import msgpack, sys\nvalue = "
    .. VALUE .. "\n" .. code, ... }
  assert.equal(0, status, output)
  return output
end

describe("MessagePack", function()
  it("is read, and Python reads the same of ours #once", function()
    local read = assert(msgpack.decode(from_hex(python "print(msgpack.packb(value).hex())")))
    assert.same({ 1.5, -0.0, 1e300, 5e-324, 0.1, -1 / 3, math.huge, -math.huge }, read.real)
    local path = os.tmpname()
    process.write_file(path, assert(msgpack.encode(read)))
    assert.equal("True\n", python([[print(msgpack.unpackb(open(sys.argv[1], "rb").read(),
      strict_map_key=False) == value)]], path))
    os.remove(path)
  end)

  it("of numbers and texts is the same on every Lua", function()
    local value = { a = 1, b = -300, c = 1.5, d = "\226\130\172", e = json.array {}, f = {},
      g = { 1, "x", { y = json.null } }, h = true, i = 2 ^ 40, j = -0.125, k = 1e-310 }
    local back = assert(msgpack.decode(assert(msgpack.encode(value))))
    assert.equal(json.encode(value), json.encode(back))
    local big = { json.decode "9223372036854775807", json.decode "-9223372036854775808" }
    assert.equal("92d37fffffffffffffffd38000000000000000",
      (in_hex(assert(msgpack.encode(big))):gsub("cf7f", "d37f")))
  end)

  local function refused(hex, message)
    local value, problem = msgpack.decode(from_hex(hex))
    assert.is_nil(value)
    assert.matches(message, problem, 1, true)
  end

  it("that is damaged, or has other types, is refused", function()
    local whole = in_hex(assert(msgpack.encode { a = { 1, 2.5, "x", { b = true } } }))
    for length = 0, #whole - 2, 2 do
      refused(whole:sub(1, length), "truncated")
    end
    refused("c1", "begins nothing")
    refused("c0c0", "behind its end")
    refused("d6ff00000000", "extension -1")
    refused("c70501", "extension 1 of 5 bytes")
    refused("81c0c0", "a key that is neither")
    refused("8190c0", "a key that is neither")
    refused("dbffffffff", "truncated")
    refused("ddffffffff", "truncated")
    refused("dfffffffff", "truncated")
    refused(("91"):rep(100), "nested too deeply")
    assert.is_nil(msgpack.decode(("\192"):rep(2 ^ 20 + 1)))
  end)

  it("cannot hold what is none of its types", function()
    for _, value in ipairs { print, "\255", { [true] = 1 }, { [1.5] = 1 } } do
      local bytes, problem = msgpack.encode { value }
      assert.is_nil(bytes)
      assert.matches("msgpack: ", problem, 1, true)
    end
  end)
end)
