local json = require "tokencache.json"
local random_json = require "support.random_json"

local HAS_INTEGERS = math.type ~= nil -- luacheck: ignore 143

local function nested(levels, open, close)
  return open:rep(levels) .. close:rep(levels)
end

describe("json.decode", function()
  it("reads every kind of value", function()
    local value = assert(json.decode [=[
      {"s": "x", "i": 3600, "r": 2.5, "t": true, "f": false, "n": null, "a": [1, [2]], "o": {}} ]=])
    assert.same({ s = "x", i = 3600, r = 2.5, t = true, f = false, n = json.null,
      a = { 1, { 2 } }, o = {} }, value)
  end)

  it("reads a value that is no table", function()
    assert.equal("x", json.decode '"x"')
    assert.equal(false, (json.decode "false"))
    assert.equal(json.null, (json.decode " null "))
    assert.equal(-12, (json.decode "-12"))
  end)

  it("resolves every escape", function()
    assert.equal('"\\/\b\f\n\r\t\0\195\169\226\152\131\240\159\152\128',
      json.decode [["\"\\\/\b\f\n\r\t\u0000\u00e9\u2603\ud83d\ude00"]])
  end)

  it("sees what is no plain character at each place of a string", function()
    local written = { ["\\n"] = "\n", ['\\"'] = '"', ["\195\164"] = "\195\164", ["\127"] = "\127" }
    for length = 0, 17 do
      for place = 0, length do
        local before, after = ("a"):rep(place), ("b"):rep(length - place)
        for text, value in pairs(written) do
          assert.equal(before .. value .. after, json.decode('"' .. before .. text .. after .. '"'))
        end
        for _, bad in ipairs { "\0", "\31", "\128", "\195", "\255" } do
          assert.is_nil((json.decode('"' .. before .. bad .. after .. '"')))
        end
      end
      assert.is_nil((json.decode('"' .. ("a"):rep(length))))
    end
  end)

  it("tells integers from floats where Lua does", function()
    if HAS_INTEGERS then
      local value = json.decode "[3600, 3600.0, 1e3, -0]"
      assert.same({ "integer", "float", "float", "integer" }, { math.type(value[1]), -- luacheck: ignore
        math.type(value[2]), math.type(value[3]), math.type(value[4]) }) -- luacheck: ignore
    else
      assert.same({ 3600, 3600, 1000, 0 }, json.decode "[3600, 3600.0, 1e3, -0]")
    end
  end)

  for _, digits in ipairs { "9007199254740993", "-9007199254740993", "9223372036854775807",
    "-9223372036854775808", "9007199254740992", "-9007199254740992", "0" } do
    it("keeps the integer " .. digits, function()
      local value = assert(json.decode(digits))
      assert.equal(digits, json.encode(value))
      assert.equal(value, (json.decode(digits)))
      if HAS_INTEGERS or #digits > 17 or digits:find "3$" then
        assert.equal(digits, tostring(value))
      end
    end)
  end

  it("orders integers beyond 2^53", function()
    local small, large = json.decode "9007199254740993", json.decode "9007199254740995"
    assert.is_true(small < large)
    assert.is_true(small <= large)
    assert.is_false(large < small)
    assert.is_false(large <= small)
    assert.is_true(small ~= large)
  end)

  local refused = {
    ["an empty text"] = { "", "the text ends too early at line 1 column 1" },
    ["only space"] = { " \n ", "the text ends too early at line 2 column 2" },
    ["an open object"] = { '{"a":1', "the text ends too early at line 1 column 7" },
    ["an open string"] = { '"abc', "the text ends too early at line 1 column 5" },
    ["a cut word"] = { "[tru]", "unexpected character at line 1 column 5" },
    ["a NUL byte"] = { "\0", "unexpected character at line 1 column 1" },
    ["a comma too many"] = { "[1,]", "unexpected character at line 1 column 4" },
    ["a comma too many in an object"] = { '{"a":1,}', "unexpected character at line 1 column 8" },
    ["a missing comma"] = { "[1 2]", "unexpected character at line 1 column 4" },
    ["a key without quotes"] = { "{a:1}", "unexpected character at line 1 column 2" },
    ["a missing colon"] = { '{"a" 1}', "unexpected character at line 1 column 6" },
    ["the wrong bracket"] = { "[1}", "unexpected character at line 1 column 3" },
    ["a leading zero"] = { "[01]", "unexpected character at line 1 column 3" },
    ["a bare point"] = { "[1.]", "unexpected character at line 1 column 4" },
    ["a bare exponent"] = { "[1e+]", "unexpected character at line 1 column 5" },
    ["a bare minus"] = { "[-]", "unexpected character at line 1 column 3" },
    ["a plus"] = { "[+1]", "unexpected character at line 1 column 2" },
    ["NaN"] = { "NaN", "unexpected character at line 1 column 1" },
    ["text behind"] = { "{} x", "more text after the value at line 1 column 4" },
    ["a second value"] = { "1 2", "more text after the value at line 1 column 3" },
    ["a duplicate key"] = { '{"a":1,\n "a":2}', "a duplicate key at line 2 column 2" },
    ["a duplicate key written otherwise"] = { '{"a":null,"\\u0061":2}',
      "a duplicate key at line 1 column 11" },
    ["a NUL in a key"] = { '{"a\\u0000":1}', "a NUL in a key at line 1 column 2" },
    ["a raw newline in a string"] = { '"a\n"',
      "a control character in a string at line 1 column 3" },
    ["an unknown escape"] = { '"\\x"', "an invalid escape at line 1 column 3" },
    ["a short escape"] = { '"\\u12g4"', "an invalid escape at line 1 column 6" },
    ["a high surrogate alone"] = { '"\\ud83d"', "half a surrogate pair at line 1 column 8" },
    ["a low surrogate alone"] = { '"\\ude00"', "half a surrogate pair at line 1 column 8" },
    ["two high surrogates"] = { '"\\ud83d\\ud83d"', "half a surrogate pair at line 1 column 14" },
    ["broken UTF-8"] = { '"\195\169\255"', "invalid UTF-8 at line 1 column 3" },
    ["overlong UTF-8"] = { '"\192\128"', "invalid UTF-8 at line 1 column 2" },
    ["a surrogate in UTF-8"] = { '"\237\160\128"', "invalid UTF-8 at line 1 column 2" },
    ["an integer beyond int64"] = { "[9223372036854775808]",
      "an integer beyond 64 bits at line 1 column 2" },
    ["an integer below int64"] = { "-9223372036854775809",
      "an integer beyond 64 bits at line 1 column 1" },
    ["a number beyond a double"] = { "[1, 1e309]", "a number beyond a double at line 1 column 5" },
    ["a number too small for a double"] = { "1e-400",
      "a number beyond a double at line 1 column 1" },
    ["65 levels of arrays"] = { nested(65, "[", "]"), "nested too deeply at line 1 column 65" },
    ["a hundred thousand levels"] = { ("["):rep(100000), "nested too deeply at line 1 column 65" },
    ["65 levels of objects"] = { ('{"a":'):rep(65), "nested too deeply at line 1 column 321" },
  }
  for what, case in pairs(refused) do
    it("refuses " .. what .. " and says where", function()
      local value, message = json.decode(case[1])
      assert.is_nil(value)
      assert.equal("not JSON: " .. case[2], message)
    end)
  end

  it("reads 64 levels", function()
    local text = nested(64, "[", "]")
    assert.equal(text, json.encode(assert(json.decode(text))))
  end)

  it("never quotes the text in its message", function()
    local text = '{"access_token":"SECRETTOKEN","SECRETKEY":{"SECRETTOKEN":[1,2]}}'
    local failures = 0
    for at = 1, #text do
      for _, with in ipairs { "", "\0", "\255", '"', "\\", "}", "x" } do
        local _, message = json.decode(text:sub(1, at - 1) .. with .. text:sub(at + 1))
        if message then
          failures = failures + 1
          assert.is_nil(message:find("SECRET", 1, true))
        end
      end
    end
    assert.is_true(failures > 200)
  end)

  it("raises for what is no string", function()
    assert.error_matches(function() json.decode(nil) end, "string expected")
    assert.error_matches(function() json.decode(12) end, "string expected")
  end)
end)

describe("json.encode", function()
  it("sorts keys, so the same fields make the same text", function()
    assert.equal('{"":0,"a":1,"a.b":5,"aa":4,"b":2,"\\u00e9":3}',
      json.encode { b = 2, ["\195\169"] = 3, a = 1, aa = 4, [""] = 0, ["a.b"] = 5 })
  end)

  it("tells arrays from objects", function()
    assert.equal("[1,[2],{},[]]", json.encode { 1, { 2 }, {}, json.array() })
    assert.equal("[1]", json.encode(json.array { 1 }))
  end)

  it("keeps an empty array empty through a round trip", function()
    assert.equal('{"a":[],"o":{}}', json.encode(json.decode '{"a":[],"o":{}}'))
  end)

  it("writes ASCII", function()
    assert.equal([["\"\\/\b\f\n\r\t\u0000\u001f\u007f\u00e9\u2028\ud83d\ude00"]],
      json.encode '"\\/\b\f\n\r\t\0\31\127\195\169\226\128\168\240\159\152\128')
  end)

  it("writes no more digits than it takes to read the same back", function()
    assert.equal(
      "[0.1,2.5,1e-07,4.94065645841247e-324,1.7976931348623157e+308,0.30000000000000004,-0.0]",
      json.encode { 0.1, 2.5, 1e-7, 5e-324, 1.7976931348623157e308, 0.1 + 0.2, -0.0 })
  end)

  it("keeps a whole float a float where Lua does", function()
    assert.equal(HAS_INTEGERS and "[3600.0,3600]" or "[3600,3600]",
      json.encode { 2 * 1800.0, 3600 })
  end)

  it("writes null", function()
    assert.equal('{"scope":null}', json.encode { scope = json.null })
  end)

  it("runs no metamethod of a table", function()
    local function trap()
      error("a metamethod ran")
    end
    local traps = { __index = trap, __pairs = trap, __len = trap, __tostring = trap, __call = trap,
      __eq = trap, __newindex = trap }
    local list = setmetatable({ 1, 2 }, traps)
    assert.equal('{"a":[1,2]}', json.encode(setmetatable({ a = list }, traps)))
  end)

  local circle = {}
  circle.again = { circle }
  local deep = {}
  for _ = 1, 64 do
    deep = { deep }
  end
  local refused = {
    ["a function"] = { { nested = { b = { 1, print } } },
      "nested.b[2]: a function cannot be stored as JSON" },
    ["a thread"] = { { coroutine.create(function() end) },
      "[1]: a thread cannot be stored as JSON" },
    ["a userdata"] = { { a = io.stdout }, "a: a userdata cannot be stored as JSON" },
    ["a function by itself"] = { print, "a function cannot be stored as JSON" },
    ["infinity"] = { { a = math.huge }, "a: infinity and NaN cannot be stored as JSON" },
    ["minus infinity"] = { { a = -math.huge }, "a: infinity and NaN cannot be stored as JSON" },
    ["NaN"] = { { 0, 0 / 0 }, "[2]: infinity and NaN cannot be stored as JSON" },
    ["broken UTF-8"] = { { a = "x\255SECRET" }, "a: the string is not UTF-8" },
    ["a key of broken UTF-8"] = { { a = { ["x\255\27"] = 1 } }, "a.x??: the key is not UTF-8" },
    ["a key with a NUL"] = { { ["x\0y"] = 1 }, "x?y: a NUL in a key cannot be stored as JSON" },
    ["a hole"] = { { a = { 1, nil, 3 } }, "a: the array has a hole; fill it or close up" },
    ["a hole in a marked array"] = { json.array { [2] = 1 },
      "the array has a hole; fill it or close up" },
    ["a number as key"] = { { a = { [0] = 1 } },
      "a: the table has a number as a key; make it a string" },
    ["a fraction as key"] = { { [1.5] = 1 }, "the table has a number as a key; make it a string" },
    ["mixed keys"] = { { a = { 1, b = 2 } },
      "a: the table mixes strings and numbers as keys; use one" },
    ["a field in a marked array"] = { json.array { a = 1 },
      "the table mixes strings and numbers as keys; use one" },
    ["a boolean as key"] = { { [true] = 1 },
      "the table has a key that is no string; JSON knows no other" },
    ["a circle"] = { circle,
      "tables nested too deeply, or in a circle, cannot be stored as JSON" },
    ["65 levels"] = { deep,
      "tables nested too deeply, or in a circle, cannot be stored as JSON" },
  }
  for what, case in pairs(refused) do
    it("refuses " .. what .. " and names the field", function()
      local text, message = json.encode(case[1])
      assert.is_nil(text)
      assert.equal(case[2], message)
    end)
  end

  it("refuses nil and calls without a value", function()
    assert.same({ nil, "a nil cannot be stored as JSON" }, { json.encode(nil) })
    assert.error(function() json.encode() end)
  end)
end)

describe("json.array", function()
  it("marks the table itself", function()
    local list = {}
    assert.equal(list, json.array(list))
    assert.equal(list, json.array(list))
    assert.equal("[]", json.encode(list))
  end)

  it("takes no table that has a metatable of its own", function()
    assert.error_matches(function() json.array(setmetatable({}, {})) end, "without a metatable")
    assert.error_matches(function() json.array "x" end, "table expected")
  end)
end)

describe("json round trips", function()
  it("keep random values as they are", function()
    math.randomseed(20260101)
    for i = 1, 3000 do
      local value = random_json.value(5)
      local text = assert(json.encode(value))
      local back = json.decode(text)
      assert(random_json.same(value, back), "value " .. i .. " changed: " .. text)
      assert(random_json.same(back, json.copy(back)), "the copy of value " .. i .. " differs")
      assert.equal(text, json.encode(back))
    end
  end)

  it("share no table with a copy of theirs", function()
    local value = json.decode '{"a": {"b": [[], {}]}, "c": null}'
    local copy = json.copy(value)
    assert.same(value, copy)
    assert.not_equal(value, copy)
    assert.not_equal(value.a, copy.a)
    assert.not_equal(value.a.b, copy.a.b)
    assert.not_equal(value.a.b[1], copy.a.b[1])
    assert.equal('{"a":{"b":[[],{}]},"c":null}', json.encode(copy))
    value.a.a = value
    assert.error_matches(function() json.copy(value) end, "nested too deeply")
  end)

  it("notice a value that changed", function()
    local same = random_json.same
    assert.is_false(same({ a = 1 }, { a = 2 }))
    assert.is_false(same({ a = 1 }, {}))
    assert.is_false(same({}, { a = 1 }))
    assert.is_false(same({}, json.array()))
    assert.is_false(same({ "1" }, { 1 }))
    assert.is_true(same({ a = json.array { 1 } }, { a = json.array { 1 } }))
  end)

  it("survive any damage to the text: an error, or a value that encodes again", function()
    math.randomseed(20260102)
    local bytes = { '"', "\\", "{", "}", "[", "]", ",", ":", "0", "e", "-", "\0", "\255", "u" }
    local refused = 0
    for _ = 1, 3000 do
      local text = assert(json.encode { random_json.value(4), random_json.value(4) })
      local at = math.random(#text)
      local damaged = text:sub(1, at - 1) .. bytes[math.random(#bytes)] .. text:sub(at + 1)
      local value, message = json.decode(damaged)
      if message then
        refused = refused + 1
      else
        assert(random_json.same(value, (json.decode(assert(json.encode(value))))), damaged)
      end
    end
    assert.is_true(refused > 500)
  end)
end)
