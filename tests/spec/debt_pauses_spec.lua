-- When a token that could not be saved is tried again: at the next three calls, then after pauses.

local log = require "tokencache.log"
local logins = require "support.logins"
local stages = require "support.stage"

it("a save that fails is tried at three calls, then after pauses that double #once", function()
  local stage = stages.new { token_info = logins.LOGIN }
  finally(function() log.set_logger(nil) end)
  logins.rotate(stage)
  stage.on.save = logins.fail
  local flow = stage:user_flow()
  local function acts_after(seconds)
    stage.monotonic = stage.monotonic + seconds
    assert.equal("access-1", flow:get_access_token())
    return stage:acts()
  end
  assert.equal("load request save", acts_after(0))
  for _ = 1, 3 do
    assert.equal("load save", acts_after(0))
  end
  assert.equal("load", acts_after(0))
  for _, pause in ipairs { 1, 2, 4, 8, 16, 32, 60, 60 } do
    assert.equal("load", acts_after(pause - 0.5))
    assert.equal("load save", acts_after(0.5))
  end
end)
