local fake_endpoint = require "support.fake_endpoint"
local folder = require "support.folder"
local nginx = require "support.nginx"
local process = require "support.process"

describe("tokencache in nginx", function()
  local endpoint, directory, server

  setup(function()
    endpoint = fake_endpoint.start()
    directory = folder.new()
    server = nginx.start {
      workers = 1,
      values = { URL = endpoint:url("token"), FILE = directory:file("token.json"),
        MOST_TIMERS = "205" },
      http = [[
        lua_max_running_timers $MOST_TIMERS;
        init_by_lua_block {
          cache = require("tokencache").cache
          in_nginx = require "support.in_nginx"
          answer = in_nginx.answer
          function new_flow(cache) return in_nginx.new_flow("$URL", cache) end
        }
      ]],
      server = [[
        location /file {
          content_by_lua_block {
            answer(new_flow(cache.file { cache_path = "$FILE" }):get_access_token())
          }
        }
        location /memory {
          content_by_lua_block { answer(new_flow(cache.memory {}):get_access_token()) }
        }
        location /later {
          content_by_lua_block {
            local _, err = new_flow(cache.memory {}):get_access_token()
            ngx.say(err.kind, " ", err.retry_after)
          }
        }
        location /once {
          content_by_lua_block {
            local io = require "tokencache.io"
            ngx.say(tostring(io.after(0, function() end)))
          }
        }
        location /crowd { # the program's own timers
          content_by_lua_block {
            local gate = require("ngx.semaphore").new()
            for _ = 1, $MOST_TIMERS do
              ngx.timer.at(0, function() gate:wait(10) end)
            end
            repeat ngx.sleep(0.001) until ngx.timer.running_count() == $MOST_TIMERS
            local begun = {}
            local function work(name)
              require("tokencache.io").after(0, function() begun[#begun + 1] = name end)
            end
            work "first"
            repeat ngx.sleep(0.001) until not ngx.var.arg_drop or ngx.timer.pending_count() == 0
            gate:post($MOST_TIMERS)
            repeat ngx.sleep(0.001) until ngx.timer.running_count() == 0
            work "next"
            for _ = 1, 500 do
              if #begun == 2 then break end
              ngx.sleep(0.01)
            end
            ngx.say(table.concat(begun, " "))
          }
        }
        location /quick {
          content_by_lua_block { ngx.say("here") }
        }
      ]],
    }
  end)

  teardown(function()
    server:stop()
    endpoint:stop()
    directory:remove()
  end)

  before_each(function()
    endpoint:clear()
  end)

  after_each(function()
    server:check()
  end)

  it("says that a timer will call, so that nothing is done in it and beside it", function()
    local _, body = server:get("/once")
    assert.equal("true\n", body)
  end)

  it("begins what waits for a timer in the order in which it came", function()
    local _, body = server:get("/crowd")
    assert.equal("first next\n", body)
  end)

  it("begins it though nginx has dropped the timer that was to do so", function()
    server:announce("lua_max_running_timers are not enough")
    local _, body = server:get("/crowd?drop=1")
    assert.equal("first next\n", body)
  end)

  it("gets a token, keeps it in a file, and reads it there", function()
    for _ = 1, 3 do
      local status, body = server:get("/file")
      assert.same({ 200, "access-1\n" }, { status, body })
    end
    assert.equal(1, #endpoint:requests())
    assert.equal("600", directory:mode("token.json"))
  end)

  it("answers others while the token endpoint takes its time", function()
    endpoint:behave("silent", "token")
    local waiting = server:begin("/memory")
    process.wait_until("the token request", function()
      return #endpoint:requests() > 0
    end)
    for _ = 1, 100 do
      local status, body = server:get("/quick")
      assert.same({ 200, "here\n" }, { status, body })
    end
    assert.is_false(waiting:is_answered())
    endpoint:close_connections()
    local _, body = waiting:finish()
    assert.truthy(body:find("^transient: http://127.0.0.1:%d+: "), body)
  end)

  it("hears when to try again, though headers come from a thread", function()
    endpoint:behave("status/503?retry_after=100", "token")
    local _, body = server:get("/later")
    assert.equal("transient 100\n", body)
    assert.equal(1, #endpoint:requests())
  end)

  it("takes a whole answer whose end is wrong", function()
    endpoint:behave("half-chunked")
    local _, body = server:get("/memory")
    assert.equal("access-1\n", body)
    assert.equal(1, #endpoint:requests())
  end)

  it("keeps the connections to the token endpoint", function()
    for _ = 1, 5 do
      server:get("/memory")
    end
    assert.equal(5, #endpoint:requests())
    assert.is_true(endpoint:connections() <= 4) -- as many as there are threads
  end)
end)
