-- Light threads that a coroutine has waited for must not end while it waits for something else:
-- ngx_lua gives it the thread's results then, for what a socket has received, say.

local nginx = require "support.nginx"

local SERVER = [[
  location /beat {
    content_by_lua_block {
      local begun, nobody_posts, seen = semaphore.new(), semaphore.new(), nil
      local done, result = waited({ heartbeat_interval = 0.001, heartbeat = function()
        begun:post()
        seen = seen or { nobody_posts:wait(0.1) }
      end }, nil, function()
        begun:wait(20)
        return "worked"
      end)
      ngx.say(tostring(done), " ", result, ", ", tostring(seen[1]), " ", seen[2])
    }
  }
  location /raise {
    content_by_lua_block {
      local nobody_posts = semaphore.new()
      local ok, problem = pcall(waited, { heartbeat_interval = 0.001, heartbeat = function()
        error("from a heartbeat", 0)
      end }, nil, function()
        ngx.sleep(0.02)
        return "worked"
      end)
      ngx.say(tostring(ok), " ", problem, ", ", select(2, nobody_posts:wait(0.1)))
    }
  }
]]

describe("in nginx, work with heartbeats", function()
  local server

  setup(function()
    server = nginx.start {
      http = [[
        init_by_lua_block {
          semaphore = require "ngx.semaphore"
          waited = require "tokencache.nginx.waited"
        }
      ]],
      server = SERVER,
    }
  end)

  teardown(function()
    server:stop()
  end)

  it("may be done during a heartbeat that waits", function()
    assert.equal("true worked, false timeout\n", select(2, server:get("/beat")))
  end)

  it("ends with the error of a heartbeat", function()
    assert.equal("false from a heartbeat, timeout\n", select(2, server:get("/raise")))
  end)
end)
