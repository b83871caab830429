--- What becomes of a handler's own lock where the flow's transport raises, or yields.

local assert = require "luassert"
local collect = require "support.collect"
local core = require "tokencache._core"
local stages = require "support.stage"

local flow_locks = {}

--- A call that the transport ended with an error leaves no lock behind.
---@param handler table|userdata
function flow_locks.check_raising(handler)
  local stage = stages.new()
  stage.on.request = function() error "a bug" end
  local flow = stage:flow { cache = handler }
  assert.error_matches(function() flow:get_access_token() end, "a bug")
  stage.on.request, stage.on.sleep = nil, core.sleep
  assert.equal("access-1", flow:get_access_token())
end

---@param handler table|userdata
---@param check fun()  that the lock is held, while the transport waits
function flow_locks.check_waiting(handler, check)
  local stage = stages.new()
  stage.on.request = coroutine.yield
  local flow = stage:flow { cache = handler }
  local thread = coroutine.create(function() return flow:get_access_token() end)
  assert(coroutine.resume(thread))
  collect()
  check()
  local _, token = assert(coroutine.resume(thread, stages.answer { access_token = "t" }))
  assert.equal("t", token)
end

return flow_locks
