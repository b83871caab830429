-- tokencache.nginx.login with sessions in cookies.

local login_gateway = require "support.login_gateway"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"

local SECRET = "a secret of the tests' own"

describe("sessions in cookies #once", function()
  local provider, gateway

  setup(function()
    provider = oidc_provider.start()
    gateway = login_gateway.start(provider, { store = "nil", cookie_secret = ("%q"):format(SECRET) })
  end)

  teardown(function()
    gateway:stop()
    provider:stop()
  end)

  it("work", function()
    local browser = gateway:new_browser()
    browser:log_in("alice")
    for k, v in pairs(browser.cookies) do print(k, #v) end
    assert.equal("alice", browser:user())
    local session = browser.cookies.tokencache
    browser:post("/auth/logout")
    assert.is_nil(browser.cookies.tokencache)
    browser.cookies.tokencache = session
    assert.is_nil(browser:user())
  end)
end)
