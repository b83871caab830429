-- examples/nginx/login.conf as it stands, without a browser; example_browser_spec.lua has one. What
-- tokencache.nginx.login does is tested in login_spec.lua.

local merged = require "support.merged"
local new_browser = require("support.login_gateway").new_browser
local nginx_example = require "support.nginx_example"
local oidc_provider = require "support.oidc_provider"

describe("examples/nginx/run.sh login", function()
  local provider, gateway

  setup(function()
    provider = oidc_provider.start()
  end)

  teardown(function()
    provider:stop()
  end)

  local function start(more, former)
    gateway = nginx_example.start("login",
      merged(nginx_example.login_environment(provider), more), former)
  end

  after_each(function()
    gateway:stop()
  end)

  it("logs people in, and keeps them apart, also over a restart", function()
    start()
    local one, two = new_browser(gateway, provider), new_browser(gateway, provider)
    assert.equal("/things?a=b", one:log_in("alice", "/things?a=b").headers.location)
    two:log_in("bob")
    for _ = 1, 2 do
      assert.matches("You are at /things, alice.", one:get("/things").body, 1, true)
      assert.matches("You are at /, bob.", two:get("/").body, 1, true)
      gateway:stop { keep = true }
      start(nil, gateway)
    end
    assert.equal("700", gateway.directory:mode("sessions"))
    assert.equal("600\n600", gateway.directory:mode("sessions/session%3a*.token"))
    assert.equal(303, one:post("/auth/logout").status)
    assert.equal(303, one:get("/").status)
    assert.matches("bob.", two:get("/").body, 1, true)
  end)

  it("keeps the cookies to its host and to https where browsers come by that", function()
    start { PUBLIC_URL = "https://app.example" }
    local name, cookie = next(gateway:request("GET", "/", { Accept = "text/html" }).cookies)
    assert.matches("^__Host%-tokencache%-login", name)
    assert.matches("; Path=/; HttpOnly; SameSite=Lax; Secure; Max%-Age=600$", cookie)
  end)
end)
