-- What is begun is finished, whoever goes away meanwhile: the provider takes each refresh token
-- once, so an answer that nobody saves is a login lost.

local folder = require "support.folder"
local process = require "support.process"
local redis_server = require "support.redis_server"
local workers_with_login = require "support.workers_with_login"

local HTTP = [[
  lua_shared_dict signs 100k;
]]

local SERVER = [[
  location /leaving/ {
    lua_check_client_abort on;
    content_by_lua_block {
      assert(ngx.on_abort(function()
        ngx.shared.signs:set("left", true)
        ngx.exit(499)
      end))
      ngx.shared.signs:set("begun", true)
      call(flow[ngx.var.uri:match("[^/]*$")], options())
    }
  }
  location /killing {
    content_by_lua_block {
      local thread = ngx.thread.spawn(flow.get_access_token, flow)
      repeat
        ngx.sleep(0.01)
      until ngx.shared.signs:get("kill")
      assert(ngx.thread.kill(thread))
      ngx.say("killed")
    }
  }
  location /sign { content_by_lua_block { answer(ngx.shared.signs:get(ngx.var.arg_name)) } }
  location /give { content_by_lua_block { ngx.shared.signs:set(ngx.var.arg_name, true) } }
]]

describe("in nginx", function()
  local stage

  after_each(function() stage:stop() end)

  local stores = {
    ["a shared dictionary"] = function() return "shared_dict(ngx.shared.tokens)" end,
    Redis = function()
      local redis = redis_server.start()
      return ("redis { port = %d }"):format(redis.port), function() redis:stop() end
    end,
    files = function()
      local directory = folder.new()
      return ('file { directory = "%s" }'):format(directory.path),
        function() directory:remove() end
    end,
  }

  local function start(new_store)
    local store, clean_up = new_store()
    stage = workers_with_login.start { store = store, clean_up = clean_up, http = HTTP,
      server = SERVER }
  end

  --- A client that goes away while the provider is at work on so many requests.
  local function leave(path, requests)
    local request = stage:begin(path)
    stage:wait_for_requests(requests or 1)
    process.wait_until("nginx to begin with the request", function()
      return select(2, stage.nginx:get("/sign?name=begun")) == "true\n"
    end)
    request.socket:close()
    process.wait_until("nginx to see that the client has left", function()
      return select(2, stage.nginx:get("/sign?name=left")) == "true\n"
    end)
  end

  --- The answer has been saved, the lock is free, and the provider was asked once.
  local function expect_finished(before)
    process.wait_until("the new token to be saved", function()
      return stage:entry().access_token ~= before.access_token
    end)
    assert.equal(1, stage:renewals())
    local token = stage:entry().access_token
    assert.is_true(stage.provider:introspect(token).active)
    for _ = 1, 4 do
      assert.equal(token, (select(2, stage:ask("/token"))))
    end
    stage:expire()
    for _ = 1, 4 do
      local _, text = stage:ask("/token?timeout=8") -- a lock left behind lives for ten
      assert.is_true(stage.provider:introspect(text).active, text)
    end
    assert.equal(2, stage:renewals())
  end

  for name, new_store in pairs(stores) do
    it("a renewal is finished and saved though the client leaves: " .. name, function()
      start(new_store)
      local before = stage:entry()
      stage.provider:next_token { held = true }
      leave("/leaving/get_access_token")
      stage.provider:release()
      expect_finished(before)
    end)

    it("a renewal is finished though the client leaves and the worker is to end: " .. name,
      function()
        start(new_store)
        local before, pids = stage:entry(), stage.nginx:worker_pids()
        stage.provider:next_token { held = true }
        leave("/leaving/get_access_token")
        stage.nginx:reload()
        stage.provider:release()
        expect_finished(before)
        process.wait_until("the old workers to end", function()
          return not process.is_alive(pids[1]) and not process.is_alive(pids[2])
        end)
      end)

    it("a client gets its token though the worker is to end: " .. name, function()
      start(new_store)
      local before = stage:entry()
      stage.provider:next_token { held = true }
      local request = stage:begin("/token")
      stage:wait_for_requests(1)
      stage.nginx:reload()
      stage.provider:release()
      local _, body = request:finish()
      assert.equal(stage:entry().access_token, body:match("^%d+ (%S+)\n$"))
      expect_finished(before)
    end)

    it("a renewal is finished though its thread is killed: " .. name, function()
      start(new_store)
      local before = stage:entry()
      stage.provider:next_token { held = true }
      local request = stage:begin("/killing")
      stage:wait_for_requests(1)
      stage.nginx:get("/give?name=kill")
      assert.equal("killed\n", (select(2, request:finish())))
      stage.provider:release()
      expect_finished(before)
    end)
  end

  for _, method in ipairs { "remove", "log_out" } do
    it("a login is removed though the client that asked for it leaves: " .. method, function()
      start(stores.Redis)
      stage.provider:next_token { held = true }
      local renewal = stage:begin("/token")
      stage:wait_for_requests(1)
      leave("/leaving/" .. method)
      stage.provider:release()
      local _, body = renewal:finish()
      process.wait_until("the login to be removed", function()
        return stage:entry() == nil
      end)
      local token = body:match("^%d+ (%S+)\n$")
      if method == "log_out" then
        process.wait_until("the login to be revoked", function()
          return not stage.provider:introspect(token).active
        end)
      end
      assert.equal(method == "remove", stage.provider:introspect(token).active)
      assert.matches("^reauthorize: ", (select(2, stage:ask("/token"))))
    end)

    it("a login is removed though its client leaves before the store has answered: " .. method,
      function()
        local redis = redis_server.start()
        start(function()
          return ("redis { port = %d }"):format(redis.port), function() redis:stop() end
        end)
        redis.child:freeze()
        leave("/leaving/" .. method, 0)
        redis.child:signal "CONT"
        process.wait_until("the login to be removed", function()
          return stage:entry() == nil
        end)
      end)
  end
end)
