local fake_endpoint = require "support.fake_endpoint"
local loopback = require "support.loopback"
local nginx = require "support.nginx"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"

describe("the login gateway of docs/nginx.md", function()
  it("sends people to the provider", function()
    local provider = oidc_provider.start()
    local page = process.read_file "docs/nginx.md"
    local http, location = page:match("people log in\n\n.-\nhttp {\n(.-)\n  server {\n(.-)\n  }\n"
      .. "}\n```")
    http = http:gsub("https://login.example.com", provider.url)
      :gsub("tokencache.store.redis %b{}", "tokencache.store.memory()")
    local init_worker = http:match("init_worker_by_lua_block {(.-)}")
    local server = nginx.start {
      http = http:gsub("init_worker_by_lua_block %b{}", ""),
      init_worker = init_worker,
      server = location:gsub("http://app;", "http://127.0.0.1:$PORT/auth/other;"),
    }
    finally(function() server:stop() provider:stop() end)
    local status, _, headers = server:get("/", { headers = { Accept = "text/html" } })
    assert.equal(303, status)
    assert.matches(provider.url .. "/auth?", headers.location, 1, true)
    assert.matches("redirect_uri=https%3A%2F%2Fapp.example.com%2Fauth%2Fcallback",
      headers.location, 1, true)
    assert.equal(401, (server:get("/")))
    assert.equal(404, (server:get("/auth/other")))
  end)
end)

describe("the gateway of docs/nginx.md", function()
  local endpoint, server

  setup(function()
    endpoint = fake_endpoint.start()
    local page = process.read_file "docs/nginx.md"
    local http, location = page:match("\nhttp {\n(.-)\n  server {\n(.-)\n  }\n}\n```")
    local api = tostring(loopback.free_port())
    http = http:gsub("https://login.example.com/token", endpoint:url("token"))
      :gsub("init_worker_by_lua_block {.-}\n", "")
    server = nginx.start {
      workers = 2,
      http = http .. [[
        server {
          listen 127.0.0.1:$API;
          location / { content_by_lua_block { ngx.say(ngx.var.http_authorization) } }
        }]],
      server = location:gsub("https://api.example.com", "http://127.0.0.1:$API"),
      values = { API = api },
    }
  end)

  teardown(function()
    server:stop()
    endpoint:stop()
  end)

  it("answers 500 where the program must change, with the reason in the error log", function()
    endpoint:behave("invalid-client")
    server:announce("config: .*invalid_client")
    assert.equal(500, (server:get("/anything")))
    assert.truthy(server:log():find("config: .*invalid_client"))
    endpoint:clear()
    process.wait_until("the next attempt", function()
      return server:get("/anything") == 200
    end)
  end)

  it("attaches a token, and asks for it once", function()
    for _ = 1, 20 do
      local status, body = server:get("/anything")
      assert.same({ 200, "Bearer access-1\n" }, { status, body })
    end
    assert.equal(1, #endpoint:requests())
  end)

  it("goes on with it over a reload", function()
    server:reload()
    for _ = 1, 20 do
      local status, body = server:get("/anything")
      assert.same({ 200, "Bearer access-1\n" }, { status, body })
    end
    assert.equal(1, #endpoint:requests())
  end)
end)
