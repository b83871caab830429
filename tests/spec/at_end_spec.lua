-- What tests undo at their end.

describe("what tests undo at their end #once", function()
  local at_end = require("support.at_end")()
  local undone = {}

  it("may be more than one thing", function()
    at_end(function() undone[#undone + 1] = "first" end)
    at_end(function() undone[#undone + 1] = "second" end)
    assert.same({}, undone)
  end)

  it("is undone once, the last first", function()
    assert.same({ "second", "first" }, undone)
  end)
end)
