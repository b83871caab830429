-- Requests that nginx sends on to another location after tokencache.nginx.login has let them
-- through: they stay their users', and become nobody else's.

local login_gateway = require "support.login_gateway"
local oidc_provider = require "support.oidc_provider"

local SERVER = [[
  access_by_lua_block { gateway:require_user() }
  location /auth/ {
    access_by_lua_block { ngx.exit(ngx.OK) }
    content_by_lua_block { gateway:serve() }
  }
  location /exec { content_by_lua_block { ngx.exec("/told") } }
  location /files { try_files /nothing @application; }
  location @application { proxy_pass http://127.0.0.1:$APPLICATION; }
  location = /missing/file {
    error_page 404 = /told;
    root /nowhere;
    log_not_found off;
  }
  location /open {
    access_by_lua_block { ngx.exit(ngx.OK) }
    content_by_lua_block { ngx.exec("/told") }
  }
  header_filter_by_lua_block { gateway:header_filter() }
  location /public {
    access_by_lua_block { ngx.exit(ngx.OK) }
    proxy_pass http://127.0.0.1:$APPLICATION;
  }
  location = /refused {
    access_by_lua_block { ngx.exit(ngx.OK) }
    content_by_lua_block {
      local count = 0
      for _, key in ipairs(ngx.shared.tokencache:get_keys(0)) do
        count = count + (key:find "^login%-refused:" and 1 or 0)
      end
      ngx.print(count)
    }
  }
  location / { proxy_pass http://127.0.0.1:$APPLICATION; }
]]

describe("a request that nginx sends on", function()
  local provider, gateway, alice

  setup(function()
    provider = oidc_provider.start()
    gateway = login_gateway.start(provider, {}, { server = SERVER })
    alice = gateway:new_browser()
    alice:log_in("alice")
  end)

  teardown(function()
    gateway:stop()
    provider:stop()
  end)

  for _, path in ipairs { "/exec", "/files", "/missing/file" } do
    it("is its user's behind " .. path, function()
      for _, cookie in ipairs { "", "; theme=dark" } do
        local answer = alice:get(path, { Cookie = alice:cookie_header() .. cookie })
        assert.matches("X-User: alice\r\n", answer.body, 1, true)
        assert.is_nil(answer.body:find("tokencache=", 1, true))
      end
    end)
  end

  it("is nobody's where it was nobody's before", function()
    for _, path in ipairs { "/exec", "/files", "/open", "/missing/file" } do
      alice:get("/exec")
      assert.equal(401, gateway:request("GET", path, { Accept = "*/*" }).status, path)
    end
  end)

  it("is looked at there where it was not before", function()
    assert.matches("X-User: alice\r\n", alice:get("/open").body, 1, true)
  end)

  it("has its token noted as refused, and no request that was not let through", function()
    local options = { Authorization = "Bearer of-a-stranger" }
    assert.equal(401, gateway:request("GET", "/public?status=401", options).status)
    assert.equal("0", gateway:request("GET", "/refused").body)
    assert.equal(401, alice:get("/told?status=401").status)
    assert.equal("1", gateway:request("GET", "/refused").body)
  end)
end)
