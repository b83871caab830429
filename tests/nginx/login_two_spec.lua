-- Two gateways in one nginx, which share its dictionary and nothing else.

local login_gateway = require "support.login_gateway"
local loopback = require "support.loopback"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"

local SERVER = [[
  location /auth/ { content_by_lua_block { gateway:serve() } }
  location /second/auth/ { content_by_lua_block { second:serve() } }
  location /broken/auth/ { content_by_lua_block { broken:serve() } }
  location / {
    access_by_lua_block { gateway:require_user() }
    proxy_pass http://127.0.0.1:$APPLICATION;
  }
  location /second {
    access_by_lua_block { second:require_user() }
    proxy_pass http://127.0.0.1:$APPLICATION;
  }
  location /broken { access_by_lua_block { broken:require_user() } }
  location /lost { access_by_lua_block { lost:require_user() } }
]]

local OTHERS = [[
  local function new(name, token_url)
    return tokencache.nginx.login {
      provider = { issuer = "$PROVIDER", authorize_url = "$PROVIDER/auth", token_url = token_url,
        jwks_url = "$PROVIDER/jwks" },
      client_id = "confidential", client_secret = "confidential-secret-51c9",
      public_url = "http://127.0.0.1:$PORT", path = "/" .. name .. "/auth/",
      cookie = { name = name },
      store = tokencache.store.memory(),
    }
  end
  lost = tokencache.nginx.login { issuer = "http://127.0.0.1:$NOBODY", client_id = "a",
    public_url = "http://127.0.0.1:$PORT", path = "/lost/auth/", unauthorized = "401",
    store = tokencache.store.memory() }
  second, broken = new("second", "$PROVIDER/token"), new("broken", "http://127.0.0.1:$NOBODY/token")
]]

describe("two gateways in one nginx", function()
  local provider, gateway

  setup(function()
    provider = oidc_provider.start()
    gateway = login_gateway.start(provider, {}, { server = SERVER, init_worker = OTHERS,
      values = { PROVIDER = provider.url, NOBODY = tostring(loopback.refusing_port()) } })
    local redirects = {}
    for i, path in ipairs { "", "/second", "/broken" } do
      redirects[i] = ("http://127.0.0.1%s/auth/callback"):format(path)
    end
    provider:change_client { redirect_uris = redirects }
  end)

  teardown(function()
    gateway:stop()
    provider:stop()
  end)

  it("do not wait for each other's providers", function()
    local browser = gateway:new_browser()
    gateway.server:announce "transient: "
    assert.equal(503, browser:get(browser:go_to_provider "/broken").status)
    assert.equal(503, browser:get(browser:go_to_provider "/broken").status)
    assert.matches("transient: the provider " .. provider.url .. " is away",
      gateway.server:log(), 1, true)
    browser:log_in("alice")
    assert.equal("alice", browser:user())
  end)

  it("say that a login cannot end where none of them gets its callback", function()
    gateway.server:announce "/lost/auth/ does not call"
    assert.equal(401, gateway:new_browser():get("/lost").status)
    local answer = gateway:new_browser():get("/lost/auth/callback?state=a&code=b")
    assert.equal(500, answer.status)
    assert.matches("nginx.login: the location /lost/auth/ does not call gateway:serve%(%), or "
      .. "inherits require_user%(%)", gateway.server:log())
  end)

  it("keep each other's cookies from what the application gets", function()
    local browser = gateway:new_browser()
    browser:log_in("alice")
    browser:log_in("alice", "/second")
    assert.matches("^[%w_-]", browser.cookies.second)
    browser.cookies.theirs = "1"
    assert.equal("theirs=1", browser:told "Cookie")
  end)

  it("warn where their cookies have the same name", function()
    assert.matches('another gateway at 127.0.0.1 has a cookie "tokencache", too; give each its own '
      .. "cookie.name", gateway.server:log(), 1, true)
    assert.is_nil(gateway.server:log():find('has a cookie "second"', 1, true))
  end)

  it("hear each of its own provider's word", function()
    provider:tell_logouts(gateway.url .. "/second/auth/backchannel")
    local first, second = gateway:new_browser(), gateway:new_browser()
    first:log_in("alice")
    second:log_in("alice", "/second")
    assert.equal(200, second:get("/second").status)
    provider:log_out("alice")
    process.wait_until("the session to end", function()
      assert.equal("alice", first:user())
      return second:get("/second").status ~= 200
    end)
  end)
end)
