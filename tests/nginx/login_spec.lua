-- tokencache.nginx.login in front of an application, with a real provider.

local login_gateway = require "support.login_gateway"
local oidc_provider = require "support.oidc_provider"

describe("tokencache.nginx.login", function()
  local provider, gateway

  setup(function()
    provider = oidc_provider.start()
    gateway = login_gateway.start(provider)
  end)

  teardown(function()
    gateway:stop()
    provider:stop()
  end)

  after_each(function()
    gateway.server:check()
  end)

  it("sends who is not logged in to the provider, and then to where they wanted", function()
    local browser = gateway:new_browser()
    local answer = browser:log_in("alice", "/things?a=b&c=d")
    assert.equal("/things?a=b&c=d", answer.headers.location)
    answer = browser:get("/things?a=b&c=d")
    assert.equal(200, answer.status)
    assert.matches("GET /things?a=b&c=d HTTP", answer.body, 1, true)
    assert.equal("alice", browser:user())
    local token = answer.body:match("\r\nAuthorization: Bearer ([^\r]*)")
    assert.equal("alice", provider:owner(token))
  end)

  it("keeps two users apart", function()
    local one, two = gateway:new_browser(), gateway:new_browser()
    one:log_in("alice")
    two:log_in("bob")
    for _ = 1, 3 do
      assert.equal("alice", one:user())
      assert.equal("bob", two:user())
    end
  end)

  it("logs out here and at the provider", function()
    local browser = gateway:new_browser()
    browser:log_in("alice")
    local session = browser.cookies.tokencache
    local answer = browser:post("/auth/logout")
    assert.equal(303, answer.status)
    assert.matches(provider.url .. "/session/end?", answer.headers.location, 1, true)
    assert.matches("id_token_hint=", answer.headers.location, 1, true)
    assert.is_nil(browser.cookies.tokencache)
    browser.cookies.tokencache = session
    assert.equal(303, browser:get("/").status)
  end)
end)
