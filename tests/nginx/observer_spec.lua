local nginx = require "support.nginx"

describe("an observer in nginx", function()
  local server

  --- Each phase makes one event; the observer makes more, of which it must not hear.
  setup(function()
    server = nginx.start {
      workers = 1,
      http = [[
        lua_shared_dict metrics 64k;
        init_by_lua_block {
          observer = require "tokencache.observer"
          account = { key = "app:ann", flow = { name = "pkce", client_id = "an-id" } }
          require("tokencache").set_observer(function(event)
            local metrics = ngx.shared.metrics
            metrics:incr(ngx.get_phase() .. " " .. event.event, 1, 0)
            if metrics:incr("calls", 1, 0) < 100 then
              observer.emit("save", account)
              local thread = coroutine.create(function() observer.emit("save", account) end)
              assert(coroutine.resume(thread))
            end
            if event.event == "failure" then
              error "the observer is out of order"
            end
          end)
          observer.emit("hit", account)
        }]],
      init_worker = [[
        assert(ngx.timer.at(0, function() observer.emit("login", account) end))]],
      server = [[
        location /phases {
          set_by_lua_block $nothing { observer.emit("hit", account) }
          rewrite_by_lua_block { observer.emit("miss", account) }
          access_by_lua_block { observer.emit("wait", account) }
          content_by_lua_block {
            observer.emit("failure", account)
            ngx.thread.wait(ngx.thread.spawn(function()
              ngx.sleep(0)
              observer.emit("refresh", account)
            end))
            ngx.say("done")
          }
          header_filter_by_lua_block { observer.emit("owed", account) }
          log_by_lua_block { observer.emit("log_out", account) }
        }
        location /metrics {
          content_by_lua_block {
            local metrics, lines = ngx.shared.metrics, {}
            for _, name in ipairs(metrics:get_keys()) do
              lines[#lines + 1] = name .. " " .. metrics:get(name)
            end
            table.sort(lines)
            ngx.say(table.concat(lines, "\n"))
          }
        }]],
    }
  end)

  teardown(function()
    server:stop()
  end)

  it("hears of each event once, in all phases, and not of those that it makes", function()
    server:announce("the observer failed: .*the observer is out of order")
    assert.equal(200, (server:get("/phases")))
    local _, body = server:get("/metrics")
    local counted = {}
    for line in body:gmatch("[^\n]+") do
      counted[#counted + 1] = line
    end
    assert.same({ "access wait 1", "calls 9", "content failure 1", "content refresh 1",
      "header_filter owed 1", "init hit 1", "log log_out 1", "rewrite miss 1", "set hit 1",
      "timer login 1" }, counted)
    server:check()
  end)
end)
