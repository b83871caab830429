-- Answers as providers really give them, and what becomes of each.

local stages = require "support.stage"

local stage

before_each(function() stage = stages.new() end)

--- The answers in turn; the last one stays.
local function answer(...)
  local answers = { ... }
  stage.on.request = function()
    local first = #answers > 1 and table.remove(answers, 1) or answers[1]
    return first.status and first or stages.answer(first)
  end
end

describe("tokens that live no longer than the leeway", function()
  it("are used for half of that, and one warning says so", function()
    answer { access_token = "short", expires_in = 60 }
    local flow = stage:flow()
    for _, call in ipairs { { 0, 1 }, { 30, 1 }, { 31, 2 }, { 61, 2 }, { 62, 3 } } do
      stage.now = 1000 + call[1]
      assert.equal("short", flow:get_access_token())
      assert.equal(call[2], #stage.requests)
    end
    assert.same({ "warning the provider's tokens live for 60 seconds, no longer than the leeway "
      .. "of 60, which takes half of that now; lower it" }, stage.logged)
  end)
end)
