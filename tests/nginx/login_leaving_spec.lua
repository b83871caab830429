-- tokencache.nginx.login with a provider of which no issuer is known, and where a log out leads.

local login_scene = require "support.login_scene"
local loopback = require "support.loopback"
local merged = require "support.merged"

local NOBODY = "http://127.0.0.1:" .. loopback.refusing_port()

describe("a login gateway", function()
  local scene = login_scene()

  it("learns from userinfo who logs in, where there are no ID tokens to believe", function()
    local gateway = scene.start({
      issuer = "nil",
      provider = ([[{ authorize_url = "%s/auth", token_url = "%s/token", userinfo_url = "%s/me" }]])
        :gsub("%%s", scene.provider.url),
      scope = '"openid"',
      userinfo = true,
    })
    local browser = scene.log_in("alice")
    assert.equal("alice", browser:user())
    assert.is_nil(gateway.server:log():find("nobody tells", 1, true))
    local answer = browser:post("/auth/logout")
    assert.equal(200, answer.status)
    assert.matches("You are logged out.", answer.body, 1, true)
  end)

  it("says why userinfo tells nothing, and what allow has raised", function()
    for problem, given in pairs {
      ["transient: exchange: userinfo: "] = { status = 503, userinfo = true },
      ["config: exchange: allow raised: no such table; "] = { status = 500,
        allow = [[function() error("no such table", 0) end]] },
    } do
      local gateway = scene.start({
        issuer = "nil",
        provider = ([[{ authorize_url = "%s/auth", token_url = "%s/token",
          userinfo_url = "%s/me" }]]):format(scene.provider.url, scene.provider.url, NOBODY),
        userinfo = given.userinfo, allow = given.allow, scope = '"openid"',
      })
      gateway.server:announce "login: "
      local browser = gateway:new_browser()
      local answer = browser:get(browser:go_to_provider())
      assert.equal(given.status, answer.status)
      assert.equal(given.status == 503, answer.headers["retry-after"] ~= nil)
      assert.matches(problem, gateway.server:log(), 1, true)
    end
  end)

  it("asks for no scope there by itself, and tells the application of nobody", function()
    local options = {
      issuer = "nil",
      provider = ([[{ authorize_url = "%s/auth", token_url = "%s/token" }]])
        :gsub("%%s", scene.provider.url),
      after_logout = '"/bye"',
    }
    local gateway = scene.start(options)
    assert.is_nil(gateway:new_browser():get("/").headers.location:find("scope=", 1, true))
    gateway = scene.start(merged(options, { scope = '"read"' }))
    local browser = scene.log_in("alice")
    assert.is_nil(browser:told("X-User", { ["X-User"] = "root" }))
    assert.matches("nobody tells who the user is, so headers will be missing: X-User; ask for the "
      .. "scope openid of an issuer, or set userinfo", gateway.server:log(), 1, true)
    assert.matches("^bearer ", browser:told("Authorization"))
    assert.equal(gateway.url .. "/bye", browser:post("/auth/logout").headers.location)
    assert.equal(303, browser:get("/").status)
  end)

  it("comes back from the provider after a log out, where it is told to", function()
    local gateway = scene.start { after_logout = '"/bye"' }
    local browser = scene.log_in("alice")
    local to = gateway.url:gsub("[:/]", { [":"] = "%3A", ["/"] = "%2F" })
    assert.matches("post_logout_redirect_uri=" .. to .. "%2Fbye",
      browser:post("/auth/logout").headers.location, 1, true)
  end)

  it("tells in the log where a log out revokes nothing at the provider", function()
    local gateway = scene.start({
      issuer = "nil",
      provider = ([[{ authorize_url = "%s/auth", token_url = "%s/token", userinfo_url = "%s/me",
        revocation_url = "NOBODY/" }]]):gsub("%%s", scene.provider.url):gsub("NOBODY", NOBODY),
      scope = '"openid"',
    })
    local browser = scene.log_in("alice")
    assert.equal(200, browser:post("/auth/logout").status)
    assert.matches("log out: the login is ended here, but not revoked at the provider: ",
      gateway.server:log(), 1, true)
  end)

  it("leaves the session at the provider alone, where it is told to", function()
    scene.start { end_session = false }
    local browser = scene.log_in("alice")
    assert.equal(200, browser:post("/auth/logout").status)
  end)
end)
