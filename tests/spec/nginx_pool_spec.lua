-- A thread pool without room is a passing trouble. A real one would have to be full for half a
-- minute: here it says at once what ngx_lua says then, and pauses take no time.

local process = require "support.process"

describe("nginx's thread pool", function()
  for said, what in pairs {
    ["no available Lua vm"] = { "transient", "stayed busy; try again later" },
    ["ngx_thread_task_post failed"] = { "transient", "is full; try again later" },
    ["thread pool tokencache not found"] = { "config", "add \"thread_pool tokencache" },
  } do
    it("that says " .. said .. " is named as " .. what[1], function()
      local code, output = process.run(process.lua([[
        local said = ...
        package.loaded["tokencache.environment"] = { nginx = {
          get_phase = function() return "content" end,
          sleep = function() end,
          run_worker_thread = function() return false, said end,
        } }
        local _, err = require("tokencache.nginx.pool").call("file", "read", "/nowhere")
        print(err.kind, err.sent, err)
      ]], said))
      assert.equal(0, code, output)
      assert.equal(what[1] .. "\tfalse\t", output:match("^%a+\t%a+\t"))
      assert.truthy(output:find(what[2], 1, true), output)
    end)
  end

  it("keeps a timer's worker awake no longer than it works, also where nginx raises", function()
    local code, output = process.run(process.lua [[
      local awake = 0
      package.loaded["tokencache.environment"] = { nginx = {
        get_phase = function() return "timer" end,
        thread = {
          spawn = function() awake = awake + 1 end,
          kill = function() awake = awake - 1 end,
        },
        run_worker_thread = function() error("not here", 0) end,
      } }
      print(pcall(require("tokencache.nginx.pool").call, "file", "read", "/nowhere"))
      print(awake)
    ]])
    assert.equal(0, code, output)
    assert.equal("false\tnot here\n0\n", output)
  end)
end)
