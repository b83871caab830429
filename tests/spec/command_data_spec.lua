-- Settings are data: what is read of a file, and what is not.

local data = require "tokencache.command.data"

describe("a file of settings", function()
  for text, fields in pairs {
    [""] = {},
    ["-- nothing\n--[[ a = 1\n]]"] = {},
    ['a = "x\\"y\\n" -- b = 1\nb=\'z\';c = true d = -1.5'] = { a = 'x"y\n', b = "z", c = true,
      d = -1.5 },
    ["a = [==[x]]y]==] b = nil"] = { a = "x]]y" },
    ["a = '--' b = 'x\\\ny'\r\n"] = { a = "--", b = "x\ny" },
    ['return { a = 1, b = { "x", \'y\'; ["p-q"] = { [[z]] }, }, }'] = { a = 1,
      b = { "x", "y", ["p-q"] = { "z" } } },
    ["returned = 1 -- return {}"] = { returned = 1 },
  } do
    it("is read: " .. text:gsub("%c", " "), function()
      assert.same(fields, (assert(data(text))))
    end)
  end

  for text, problem in pairs {
    ["while true do end"] = "1: name = value expected",
    ["a = 1\n\n::x:: goto x"] = "3: name = value expected",
    ["a = b"] = "1: a string, a number, true, false, nil or a table expected",
    ["a = os.getenv 'x'"] = "1: a string,",
    ["a = ('x'):rep(1e9)"] = "1: a string,",
    ["a = function() end"] = "1: a string,",
    ["a = nan"] = "1: a string,",
    ["a = 'x' .. 'y'"] = "1: name = value expected",
    ["\na = 'x\ny'"] = "2: the end of the string expected",
    ["a = 'x"] = "1: the end of the string expected",
    ["a = [[x"] = "1: ]] expected",
    ["a = 1 --[==[ x ]]"] = "1: ]==] expected",
    ["a = { 'x' 'y' }"] = "1: , or } expected",
    ["a = { [nil] = 1 }"] = "1: ]= expected",
    ["a = {"] = "1: a string,",
    ["return 1"] = "1: a table expected",
    ["return {} x"] = "1: name = value expected",
    ["a"] = "1: name = value expected",
    ["\27Lua"] = "1: name = value expected",
    ["a = " .. ("{"):rep(300000)] = "1: ",
  } do
    it("is not read: " .. text:sub(1, 30):gsub("%c", " "), function()
      local fields, said = data(text)
      assert.is_nil(fields)
      assert.equal(problem, said:sub(1, #problem))
    end)
  end
end)
