-- Pickles: what Python writes is read, what is written Python reads, and nothing else is read.

local json = require "tokencache.json"
local pickle = require "tokencache.session.pickle"
local process = require "support.process"

local function in_hex(bytes)
  return (bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

local function from_hex(hex)
  return (hex:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

local VALUE = [[{
  "whole": [0, 1, -1, 255, 256, -129, 65536, 2**31, -2**31 - 1, 2**53, -2**53, 2**62, -2**63],
  "real": [1.5, -0.0, 1e300, 5e-324, 0.1, -1 / 3, float("inf"), float("-inf")],
  "text": ["", "\u20ac \U0001f600 \xe4 \\u0041 \n \0", "x" * 300],
  "nested": {"a": [{}, [], {"b": None}], "numbers": {1: "one", -2: "two"}},
  "truth": [True, False], "again": twice, "more": twice, "tuple": (1, (2,), (), (1, 2, 3, 4)), %s
}]]
local NEWER = '"big": [2**80, -2**80], "bytes": [b"", b"\\0\\xff" * 200], "set": {1}, '
  .. '"frozen": frozenset([2])'

local function python(code, ...)
  local status, output = process.run { "/usr/bin/python3", "-c", "import pickle, sys\ntwice = [1]\n"
    .. code, ... }
  assert.equal(0, status, output)
  return output
end

describe("a pickle", function()
  for protocol = 0, 5 do
    it("of protocol " .. protocol .. " is read, and Python reads the same of ours #once", function()
      local value = VALUE:format(protocol >= 4 and NEWER or "")
      local theirs = python(("print(pickle.dumps(%s, %d).hex())"):format(value, protocol))
      local read = assert(pickle.decode(from_hex(theirs)))
      assert.same({ 1.5, -0.0, 1e300, 5e-324, 0.1, -1 / 3, math.huge, -math.huge }, read.real)
      assert.equal(json.null, read.nested.a[3].b)
      assert.equal("True\n", python(("print(pickle.loads(bytes.fromhex(sys.argv[1])) == %s)")
        :format(value), in_hex(assert(pickle.encode(read)))))
    end)
  end

  it("of numbers and texts is the same on every Lua", function()
    local value = { a = 1, b = -300, c = 1.5, d = "\226\130\172", e = json.array {}, f = {},
      g = { 1, "x", { y = json.null } }, h = true, i = json.decode "9007199254740993",
      j = json.decode "-9223372036854775808", k = 2 ^ 40 }
    local back = assert(pickle.decode(assert(pickle.encode(value))))
    assert.equal(json.encode(value), json.encode(back))
  end)

  local function refused(bytes, message)
    local value, problem = pickle.decode(bytes)
    assert.is_nil(value)
    assert.matches(message, problem, 1, true)
  end

  it("that would import or call something is refused, and by its name", function()
    refused("cos\nsystem\n(S'true'\ntR.", "GLOBAL os.system")
    refused("\128\4\140\5posix\140\6system\147\140\4true\133R.", "STACK_GLOBAL posix.system")
    refused("\128\2}(X\1\0\0\0acdatetime\ndatetime\n(K\1tR", "GLOBAL datetime.datetime")
    for opcode, name in pairs { R = "REDUCE", b = "BUILD", o = "OBJ", ["i"] = "INST", P = "PERSID",
      Q = "BINPERSID", ["\129"] = "NEWOBJ", ["\146"] = "NEWOBJ_EX", ["\130\1"] = "EXT1",
      ["\131\1\0"] = "EXT2", ["\132\1\0\0\0"] = "EXT4", ["\150"] = "BYTEARRAY8",
      ["\151"] = "NEXT_BUFFER", ["\152"] = "READONLY_BUFFER", ["0"] = "POP", ["1"] = "POP_MARK",
      ["2"] = "DUP", S = "STRING", T = "BINSTRING", U = "SHORT_BINSTRING" } do
      refused("\128\4N" .. opcode .. "a\nb\n.", name)
    end
    refused("\255", "unknown opcode 255")
  end)

  it("that is damaged shows no token where a name should be", function()
    local token = "gho_16C7e42F292c6912E7710c838347Ae178B4a"
    for _, bytes in ipairs { "c" .. token .. "\n" .. token .. "\n.",
      "\128\4\140\5scope\140\40" .. token .. "\147.", "cos\nsys\27[31m\255tem\n." } do
      local _, problem = pickle.decode(bytes)
      assert.matches("GLOBAL$", problem)
    end
  end)

  it("that is damaged is refused", function()
    local whole = assert(pickle.encode { a = { 1, 2.5, "x", { b = true } } })
    for length = 0, #whole - 1 do
      refused(whole:sub(1, length), "pickle: ")
    end
    for _, bytes in ipairs { ".", "(.", "a.", "]a.", "Na.", "NNa.", "e.", "(e.", "(]e.", "N(Ne.",
      "u.", "}(Nu.", "}(NNu.", "}(]Nu.", "}Ns.", "h\0.", "gx\n.", "px\n.", "q\0.", "\148.", "t.",
      "d.",
      "(Nd.", "\133.", "\134.", "N\134.", "\135.", "\144.", "\145.", "\128\6N.", "Ix\n.", "I\n.",
      "I" .. ("9"):rep(30) .. "\n.", "L5\n", "Fx\n.", "F1", "G1234567", "J123", "V\\Uffffffff\n.",
      "X\255\255\255\255x.", "\141\255\255\255\255\255\255\255\255x.", "C\255x.", "\138\255x.",
      "B\255\255\255\127x.", "\149\0\225\245\5\0\0\0\0N." } do
      refused(bytes, "pickle: ")
    end
  end)

  it("that is a bomb is refused in bounded time and memory", function()
    local levels = { "]q\1(" .. ("K\1"):rep(10) .. "e" } -- a list of ten lists of ten lists ...
    for i = 2, 20 do
      levels[i] = ("]q%s(%se"):format(string.char(i), ("h" .. string.char(i - 1)):rep(10))
    end
    refused("(" .. table.concat(levels) .. "l.", "more comes of it")
    refused("]q\0h\0a.", "contains itself")
    refused("}q\0X\1\0\0\0ah\0s.", "contains itself")
    refused(("]"):rep(100) .. ("a"):rep(99) .. ".", "contains itself")
    refused(("("):rep(500000), "truncated")
    refused(("]q\0"):rep(300000), "truncated")
    refused("\141\0\0\0\6\0\0\0\0" .. ("x"):rep(1000000), "truncated")
    refused(("N"):rep(2 ^ 20 + 1), "more than 1048576 bytes")
    local circle = {}
    circle[1] = circle
    assert.is_nil(pickle.encode(circle))
    assert.is_nil(pickle.encode { a = ("x"):rep(2 ^ 20) })
  end)

  it("and other bombs are refused with 100 MB of memory #once", function()
    local code, output = process.run(process.behind({ "prlimit", "--as=100000000" }, process.lua [[
      local tokencache = require "tokencache"
      local bytes = { pickle = ("]q\1"):rep(300000), msgpack = ("\221\0\255\255\255"):rep(200000),
        json = ('{"a":'):rep(200000),
        zlib = require("tokencache._zlib").pack(("a"):rep(2 ^ 24)) }
      collectgarbage()
      for _, name in ipairs { "pickle", "msgpack", "json" } do
        local store = { get = function() return bytes[name] end, set = function() end }
        local session, err = tokencache.session.flask { secret_key = "s", store = store,
          cookie = "a", serializer = name }
        print(session, err.code)
      end
      print(require("tokencache._zlib").unpack(bytes.zlib, #bytes.zlib, 2 ^ 20))
    ]]))
    assert.equal("nil\tDAMAGED\nnil\tDAMAGED\nnil\tDAMAGED\nnil\ttoo long\n", output)
    assert.equal(0, code)
  end)

  it("cannot hold what is none of Python's", function()
    local odd = { print, coroutine.create(function() end), "\255", { [true] = 1 }, { [1.5] = 1 } }
    for _, value in ipairs(odd) do
      local bytes, problem = pickle.encode { value }
      assert.is_nil(bytes)
      assert.matches("pickle: ", problem, 1, true)
    end
  end)
end)
