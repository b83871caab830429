-- docs/nginx.md has the table that this keeps true.

local fake_endpoint = require "support.fake_endpoint"
local folder = require "support.folder"
local loopback = require "support.loopback"
local nginx = require "support.nginx"
local process = require "support.process"
local redis_server = require "support.redis_server"

local phases = { "init", "init_worker", "ssl_client_hello", "ssl_certificate", "set",
  "server_rewrite", "rewrite", "access", "content", "header_filter", "body_filter", "log",
  "balancer", "timer", "exit_worker" }

local CAN_WAIT = { server_rewrite = true, rewrite = true, access = true, content = true,
  timer = true }

local ANYWHERE = { "memory", "shared dictionary", "lock", "peek in front", "seconds left",
  "seconds left in front", "authorize URL" }
local WAITING = { "file", "peek behind", "Redis", "request", "busy lock" }
local OWN = { "handler", "handler that saves", "transport" }

local HTTP = [[
  lua_shared_dict tokens 1m;
  lua_shared_dict results 1m;
  init_by_lua_block {
    phases = require "nginx.inside.phases"
    phases.setup("$URL", $REDIS)
    function try(phase, can_wait)
      if phase == "init" or not ngx.shared.results:get(phase .. " done") then
        phases.try(phase, "$FILE", can_wait)
        ngx.shared.results:set(phase .. " done", "yes")
      end
    end
    try "init"
  }
  exit_worker_by_lua_block {
    try "exit_worker"
    local file = io.open("$FILE.results", "w")
    for _, key in ipairs(ngx.shared.results:get_keys(0)) do
      file:write(key, "\t", ngx.shared.results:get(key), "\n")
    end
    file:close()
  }
  upstream back {
    server 127.0.0.1:$PORT;
    balancer_by_lua_block {
      try "balancer"
      require("ngx.balancer").set_current_peer("127.0.0.1", $PORT)
    }
  }
  server {
    listen 127.0.0.1:$TLS_PORT ssl;
    ssl_certificate $FILE.pem;
    ssl_certificate_key $FILE.key;
    ssl_client_hello_by_lua_block { try "ssl_client_hello" }
    ssl_certificate_by_lua_block { try "ssl_certificate" }
  }
]]

local SERVER = [[
  server_rewrite_by_lua_block { try("server_rewrite", true) }
  location /rewrite {
    rewrite_by_lua_block { try("rewrite", true) }
    content_by_lua_block { ngx.say("here") }
  }
  location /set { set_by_lua_block $nothing { try "set" return "" } return 204; }
  location /access {
    access_by_lua_block { try("access", true) }
    content_by_lua_block { ngx.say("here") }
  }
  location /content { content_by_lua_block { try("content", true) ngx.say("here") } }
  location /filters {
    header_filter_by_lua_block { try "header_filter" }
    body_filter_by_lua_block { try "body_filter" }
    log_by_lua_block { try "log" }
    content_by_lua_block { ngx.say("here") }
  }
  location /balancer { proxy_pass http://back/rewrite; }
  location /timer {
    content_by_lua_block {
      ngx.timer.at(0, function() try("timer", true) end)
      ngx.say("here")
    }
  }
  location /done { content_by_lua_block { ngx.say(ngx.shared.results:get("timer done")) } }
]]

describe("in nginx's phase", function()
  local endpoint, redis, directory, results

  --- One nginx goes through all phases; what came of them it writes down as it ends.
  setup(function()
    endpoint, redis = fake_endpoint.start(), redis_server.start()
    directory = folder.new()
    local file = directory:file("token.json")
    local token = [[{"access_token":"fresh","expires_at":9999999999}]]
    process.write_file(file, token)
    redis:cli("SET", "token_info", token)
    directory:shell("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
      .. " -subj /CN=127.0.0.1 -keyout token.json.key -out token.json.pem 2>&1")
    local tls_port = loopback.free_port()
    local server = nginx.start { http = HTTP, server = SERVER, init_worker = [[try "init_worker"]],
      values = { URL = endpoint:url("token"), FILE = file, TLS_PORT = tls_port,
        REDIS = redis.port } }
    for _, path in ipairs { "/set", "/rewrite", "/access", "/content", "/filters", "/balancer",
      "/timer" } do
      local status = server:get(path)
      assert(status == 200 or status == 204, path .. " " .. tostring(status) .. server:log())
    end
    process.run({ "openssl", "s_client", "-connect", "127.0.0.1:" .. tls_port })
    process.wait_until("the timer", function()
      return select(2, server:get("/done")) == "yes\n"
    end)
    server:stop("QUIT")
    results = process.read_file(file .. ".results")
  end)

  teardown(function()
    endpoint:stop()
    redis:stop()
    directory:remove()
  end)

  local function result(phase, name)
    return ("\n" .. results):match("\n" .. phase .. " " .. name .. "\t([^\n]*)")
  end

  for _, phase in ipairs(phases) do
    describe(phase, function()
      it("a fresh token, a lock and random bytes are to be had", function()
        for _, name in ipairs(ANYWHERE) do
          assert.equal("fresh", result(phase, name), name)
        end
      end)

      if CAN_WAIT[phase] then
        it("files and requests go to the thread pool, and Redis is asked", function()
          assert.equal("fresh", result(phase, "file"))
          assert.equal("fresh", result(phase, "peek behind"))
          assert.equal("fresh", result(phase, "Redis"))
          assert.truthy(result(phase, "request"):find("^access%-%d+$"))
          assert.truthy(result(phase, "busy lock"):find("^access%-%d+$"))
        end)

        it("the user's own handlers and transports may yield", function()
          assert.equal("fresh", result(phase, "handler"))
          assert.truthy(result(phase, "handler that saves"):find("^access%-%d+$"))
          assert.truthy(result(phase, "transport"):find("^access%-%d+$"))
        end)
      else
        it("what would block is refused, with the phases that work", function()
          local name = phase == "ssl_certificate" and "ssl_cert" or phase
          for _, work in ipairs(WAITING) do
            assert.equal("config: in nginx's phase " .. name .. " nothing can be waited for; get "
              .. "the token in rewrite_by_lua, access_by_lua, content_by_lua or a timer",
              result(phase, work), work)
          end
        end)
      end
    end)
  end

  it("everything is tried that could be", function()
    local inside = io.open("tests/nginx/inside/phases.lua"):read("*a")
    for _, names in ipairs { ANYWHERE, WAITING, OWN } do
      for _, name in ipairs(names) do
        assert.truthy(inside:find("%f[%w]" .. name .. "%f[%W]"), name)
      end
    end
  end)
end)
