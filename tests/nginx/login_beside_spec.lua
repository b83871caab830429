-- Two gateways of tokencache.nginx.login in one nginx, with the same client_id at two providers:
-- they share a dictionary, and all else that can be shared, and are of no concern to each other.

local login_scene = require "support.login_scene"
local loopback = require "support.loopback"

local AWAY = "http://127.0.0.1:" .. loopback.refusing_port()

local SERVER = [[
  location /auth/ { content_by_lua_block { gateway:serve() } }
  location /other/ {
    access_by_lua_block { other:require_user() }
    proxy_pass http://127.0.0.1:$APPLICATION;
  }
  location /away/ {
    content_by_lua_block {
      local renewal = require "tokencache.nginx.login.renewal"
      renewal.asked(other, require("tokencache.error").new("transient", "away"))
      ngx.print(renewal.may_ask(other) and "may" or "may not", " ",
        renewal.may_ask(gateway) and "may" or "may not")
    }
  }
  location / {
    access_by_lua_block { gateway:require_user() }
    proxy_pass http://127.0.0.1:$APPLICATION;
  }
]]

local PLACES = {
  ["a store"] = { store = "tokencache.store.shared_dict(ngx.shared.tokencache)" },
  cookies = { store = "nil", cookie_secret = "('secret'):rep(5)" },
}

describe("a gateway beside another one", function()
  local scene = login_scene()

  local function start(options)
    return scene.start(options, {
      server = SERVER,
      init_worker = ([[
        other = tokencache.nginx.login { issuer = %q, client_id = %q, client_secret = "b",
          public_url = gateway.options.public_url, store = %s, cookie_secret = %s }
      ]]):format(AWAY, scene.provider.clients.confidential.client_id, options.store,
        options.cookie_secret or "nil"),
    })
  end

  for name, options in pairs(PLACES) do
    it("lets nobody in whom the other's provider knows, with sessions in " .. name, function()
      start(options)
      local browser = scene.log_in("alice")
      assert.equal(200, browser:get("/").status)
      assert.equal(401, browser:get("/other/", { Accept = "*/*" }).status)
      assert.equal("alice", browser:user())
    end)
  end

  it("goes on to ask its provider while the other's is away", function()
    local gateway = start(PLACES["a store"])
    assert.equal("may not may", gateway:request("GET", "/away/").body)
  end)
end)
