-- Two gateways of tokencache.nginx.login in one nginx, with the same client_id at two providers:
-- they share a dictionary, and all else that can be shared, and are of no concern to each other.

local login_gateway = require "support.login_gateway"
local oidc_provider = require "support.oidc_provider"

local AWAY = "http://127.0.0.1:1"

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
  local provider, gateway

  setup(function()
    provider = oidc_provider.start()
  end)

  teardown(function()
    provider:stop()
  end)

  after_each(function()
    gateway:stop()
  end)

  local function start(options)
    gateway = login_gateway.start(provider, options, {
      server = SERVER,
      init_worker = ([[
        other = tokencache.nginx.login { issuer = %q, client_id = %q, client_secret = "b",
          public_url = gateway.options.public_url, store = %s, cookie_secret = %s }
      ]]):format(AWAY, provider.clients.confidential.client_id, options.store,
        options.cookie_secret or "nil"),
    })
  end

  for name, options in pairs(PLACES) do
    it("lets nobody in whom the other's provider knows, with sessions in " .. name, function()
      start(options)
      local browser = gateway:new_browser()
      browser:log_in("alice")
      assert.equal(200, browser:get("/").status)
      assert.equal(401, browser:get("/other/", { Accept = "*/*" }).status)
      assert.equal("alice", browser:user())
    end)
  end

  it("goes on to ask its provider while the other's is away", function()
    start(PLACES["a store"])
    assert.equal("may not may", gateway:request("GET", "/away/").body)
  end)
end)
