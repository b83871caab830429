-- A worker that is stopped in its request, as by a laptop's sleep, until its lock has ended: what
-- another has saved meanwhile stays.

local merged = require "support.merged"
local process = require "support.process"
local workers_with_login = require "support.workers_with_login"

local SERVER = [[
  location /stopping {
    content_by_lua_block {
      ngx.shared.owed:set("test's worker", ngx.worker.pid())
      call(flow.get_access_token)
    }
  }
  location /by { content_by_lua_block { answer(ngx.shared.owed:get("test's worker")) } }
  location /end_lock {
    content_by_lua_block {
      local count = 0
      for _, key in ipairs(ngx.shared.tokens:get_keys(0)) do
        if key:find("^tokencache%-lock:") then
          ngx.shared.tokens:delete(key)
          count = count + 1
        end
      end
      answer(count)
    }
  }
]]

it("a worker that wakes after its lock saves nothing over what is newer in a shared dictionary",
  function()
    local stage = workers_with_login.start { store = "shared_dict(ngx.shared.tokens)",
      server = SERVER }
    local pid
    finally(function()
      if pid then
        process.run { "kill", "-CONT", pid }
      end
      stage:stop()
    end)
    stage.provider:next_token { held = true }
    local request = stage.nginx:begin("/stopping")
    stage:wait_for_requests(1)
    pid = select(2, stage.nginx:get("/by")):match("%d+")
    process.freeze(pid)
    local _, count = stage.nginx:get("/end_lock")
    assert.equal("1\n", count)
    local theirs = merged(stage:entry(), { access_token = "theirs", refresh_token = "theirs",
      expires_at = os.time() + 600 })
    stage:put(theirs)
    stage.provider:release()
    process.run { "kill", "-CONT", pid }
    local status, ours = request:finish()
    assert.equal(200, status)
    assert.not_matches("theirs", ours)
    assert.equal("theirs", stage:entry().access_token)
    for _ = 1, 4 do
      assert.equal("theirs", (select(2, stage:ask("/token"))))
    end
    assert.equal(1, stage:renewals())
  end)
