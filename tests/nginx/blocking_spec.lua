-- Nothing that waits holds up the others of the same worker; what cannot be sent away is refused.

local fake_endpoint = require "support.fake_endpoint"
local folder = require "support.folder"
local nginx = require "support.nginx"
local process = require "support.process"

local SERVER = [[
  location /file {
    content_by_lua_block { answer(new_flow(tokencache.cache.file {
      cache_path = "$DIRECTORY/token.json" }):get_access_token()) }
  }
  location /fetch {
    content_by_lua_block { answer(new_flow(tokencache.cache.memory {}):get_access_token()) }
  }
  location /shared_dict {
    content_by_lua_block {
      local store = tokencache.store.shared_dict(ngx.shared.tokens)
      answer(new_flow(tokencache.cache.from_store(store, "token")):get_access_token())
    }
  }
  location /beats {
    content_by_lua_block {
      local transport = require("tokencache.nginx.http").new { proxy = "" }
      local beats = 0
      local response = transport:request {
        method = "POST", url = "$URL", timeout = 20, heartbeat_interval = 0.05,
        heartbeat = function()
          ngx.sleep(0.001)
          beats = beats + 1
          ngx.shared.tokens:set("beats", beats)
        end,
      }
      answer(response and "none" or tostring(beats))
    }
  }
  location /count { content_by_lua_block { answer(ngx.shared.tokens:get("beats")) } }
  location /missing {
    content_by_lua_block { answer(require("tokencache.nginx.pool").call("file", "read")) }
  }
  location /quick { content_by_lua_block { ngx.say("here") } }
]]

local HTTP = [[
  lua_shared_dict tokens 1m;
  $MORE
  init_by_lua_block {
    tokencache = require "tokencache"
    in_nginx = require "support.in_nginx"
    answer = in_nginx.answer
    function new_flow(cache) return in_nginx.new_flow("$URL", cache) end
  }
]]

describe("in nginx", function()
  local endpoint, directory, server

  local function start(settings)
    settings.http, settings.server = HTTP, SERVER
    settings.values = { URL = endpoint:url("token"), DIRECTORY = directory.path,
      MORE = settings.more or "" }
    server = nginx.start(settings)
  end

  local function body_of(path)
    local status, body = server:get(path)
    assert.equal(200, status)
    return body
  end

  --- Many others are answered while `request` is not.
  local function check_others(request)
    for _ = 1, 20 do
      assert.equal("here\n", body_of "/quick")
    end
    assert.is_false(request:is_answered())
  end

  before_each(function()
    endpoint = fake_endpoint.start()
    directory = folder.new()
  end)

  after_each(function()
    server:stop()
    endpoint:stop()
    directory:remove()
  end)

  it("a slow disk holds up nobody but those who read it", function()
    local path = directory:file("token.json")
    process.write_file(path, [[{"access_token":"slow","expires_at":9999999999}]])
    start { main = "env SLOW_PATH;", environment = {
      SLOW_PATH = path,
      LD_PRELOAD = os.getenv("PWD") .. "/build/lua5.4/support/slow.so",
    } }
    local request = server:begin("/file")
    check_others(request)
    assert.equal("slow\n", (select(2, request:finish())))
  end)

  it("the heart beats while a request is under way", function()
    start {}
    endpoint:behave("silent", "token")
    local request = server:begin("/beats")
    process.wait_until("three beats", function()
      local _, count = server:get("/count")
      return (tonumber(count) or 0) >= 3
    end)
    endpoint:close_connections()
    local _, beats = request:finish()
    assert.is_true(tonumber(beats) >= 3, beats)
  end)

  it("more calls than there are Lua states wait their turn", function()
    start { more = "lua_worker_thread_vm_pool_size 2;" }
    endpoint:behave("silent", "silent", "token") -- both states are at work
    local requests = {}
    for i = 1, 6 do
      requests[i] = server:begin("/fetch")
    end
    process.wait_until("two token requests", function()
      return #endpoint:requests() == 2
    end)
    for _, request in ipairs(requests) do
      check_others(request)
    end
    endpoint:close_connections()
    local tokens = 0
    for _, request in ipairs(requests) do
      local _, body = request:finish()
      assert.truthy(body:find("^access") or body:find("^transient: http"), body)
      tokens = tokens + (body:find("^access") and 1 or 0)
    end
    assert.equal(4, tokens)
  end)

  it("without a thread pool the directive to add is named", function()
    start { thread_pool = false }
    local refusal = "config: nginx has no thread pool to wait in; add \"thread_pool tokencache "
      .. "threads=16;\" at the top level of nginx.conf, outside of http {}\n"
    for _, path in ipairs { "/file", "/fetch", "/shared_dict" } do
      assert.equal(refusal, body_of(path))
    end
    assert.equal(0, #endpoint:requests())
    assert.equal("", directory:names())
  end)

  it("what a worker function raises is raised to its caller", function()
    start {}
    server:announce("bad argument #1 to")
    assert.equal(500, (server:get("/missing")))
  end)
end)
