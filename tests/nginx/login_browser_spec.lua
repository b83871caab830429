-- People in headless Chromium at tokencache.nginx.login, and pages of others that mean them ill.

local browsers = require "support.browsers"
local certificates = require "support.certificates"
local folder = require "support.folder"
local login_gateway = require "support.login_gateway"
local loopback = require "support.loopback"
local merged = require "support.merged"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"
local redis_server = require "support.redis_server"

local SERVER = [[
  listen 127.0.0.1:$TLS ssl;
  ssl_certificate $CERTIFICATES/leaf.pem;
  ssl_certificate_key $CERTIFICATES/leaf.key;
  location /auth/ { content_by_lua_block { gateway:serve() } }
  location / {
    access_by_lua_block { gateway:require_user() }
    proxy_pass http://127.0.0.1:$APPLICATION;
  }
  location = /left { default_type text/html; return 200 "You have left."; }
]]

--- Pages of somebody else. At the gateway's host they are of the same site as it, and their cookies
--- reach it, whatever the port; at localhost they are of another.
local ELSEWHERE = [[
  server {
    listen 127.0.0.1:$ELSEWHERE;
    default_type text/html;
    location /log_out {
      return 200 '<form method=post action="$arg_at/auth/logout"><button>Win</button></form>';
    }
    location /plant {
      content_by_lua_block {
        local cookies, value = {}, ngx.var.arg_value
        for _, attributes in ipairs { "", "; Secure", "; Domain=app.test",
          "; Domain=app.test; Secure" } do
          for _, name in ipairs { "tokencache", "__Host-tokencache", "__host-tokencache" } do
            cookies[#cookies + 1] = name .. "=" .. value .. "; Path=/" .. attributes
          end
        end
        ngx.header["Set-Cookie"] = cookies
        ngx.print "Planted."
      }
    }
    location = /favicon.ico { return 204; }
  }
]]

describe("people in browsers at tokencache.nginx.login", function()
  local provider, redis, plain, secure, in_cookies, people, dir

  local function start(is_secure, options)
    local tls, elsewhere = loopback.free_port(), loopback.free_port()
    local url = "https://app.test:" .. tls -- at 127.0.0.1 browsers count http as secure
    local gateway = login_gateway.start(provider, merged({
      store = ("tokencache.store.redis { port = %d }"):format(redis.port),
      public_url = is_secure and ("%q"):format(url) or nil,
      after_logout = '"/left"',
    }, options), {
      server = SERVER,
      http = ELSEWHERE,
      values = { TLS = tostring(tls), ELSEWHERE = tostring(elsewhere), CERTIFICATES = dir.path },
    })
    gateway.url = is_secure and url or gateway.url
    gateway.elsewhere = ":" .. elsewhere
    return gateway
  end

  setup(function()
    provider = oidc_provider.start { token_lifetime = 3 }
    redis = redis_server.start()
    dir = folder.new()
    certificates.make(dir.path)
    plain, secure = start(false), start(true)
    in_cookies = start(false, { store = "nil", cookie_secret = "'a secret of the tests'",
      allow = "function(claims) claims.more = ('x'):rep(3000) return true end" })
    local callbacks, left = {}, {}
    for i, gateway in ipairs { plain, secure, in_cookies } do
      callbacks[i], left[i] = gateway.url .. "/auth/callback", gateway.url .. "/left"
    end
    provider:change_client {
      application_type = "web", -- native ones may have any port of this machine, but no https
      redirect_uris = callbacks,
      post_logout_redirect_uris = left,
    }
    people = browsers.start(provider.url)
  end)

  teardown(function()
    people:stop()
    plain:stop()
    secure:stop()
    in_cookies:stop()
    redis:stop()
    provider:stop()
    dir:remove()
  end)

  --- Whom the application takes this person for, after a login where that is asked for.
  local function user_at(person, gateway, path)
    local seen = people:open(person, gateway.url .. (path or "/"))
    return seen.text:match "X%-User: (%S+)", seen
  end

  --- The gateway's own, and none of the provider's, which shares the host.
  local function cookies_of(person)
    local all = {}
    for _, cookie in ipairs(people:cookies(person)) do
      if cookie.name:find "tokencache" then
        all[#all + 1] = cookie
      end
    end
    return all
  end

  --- Whether the cookie that a person has, or had, leads to a session.
  local function is_in(gateway, cookie)
    return gateway:request("GET", "/", { Cookie = cookie.name .. "=" .. cookie.value }).status
      == 200
  end

  local function plant(person, host, gateway, value)
    local seen = people:open(person, ("http://%s%s/plant?value=%s"):format(host,
      gateway.elsewhere, value))
    assert.equal("Planted.", seen.text)
  end

  it("log in, and stay so over renewals of which they see nothing", function()
    local user, seen = user_at("alice", plain, "/things?a=b")
    assert.same({ "alice", plain.url .. "/things?a=b", 200 }, { user, seen.url, seen.status })
    local before = provider:counts()
    local token = seen.text:match "Authorization: Bearer (%S+)"
    process.wait_until("a renewal", function()
      user, seen = user_at("alice", plain)
      return seen.text:match "Authorization: Bearer (%S+)" ~= token
    end)
    assert.equal("alice", user)
    assert.equal(before.authorize, provider:counts().authorize)
    local cookies = cookies_of "alice"
    assert.equal(1, #cookies)
    assert.same({ "tokencache", true, "Lax", "/", false }, { cookies[1].name, cookies[1].httpOnly,
      cookies[1].sameSite, cookies[1].path, cookies[1].secure })
  end)

  it("are never taken for each other", function()
    for round = 1, 2 do
      for _, person in ipairs { "alice", "bob" } do
        assert.equal(person, (user_at(person, plain, "/" .. round)))
      end
    end
  end)

  it("log out here, and at the provider", function()
    user_at("carol", plain)
    local cookie = cookies_of("carol")[1]
    people:open("carol", plain.url .. "/auth/logout")
    local seen = people:click("carol", "Log out")
    assert.matches("Do you want to sign-out", seen.text, 1, true)
    assert.same({}, cookies_of "carol")
    assert.is_false(is_in(plain, cookie))
    seen = people:click("carol", "Yes, sign me out")
    assert.same({ plain.url .. "/left", "You have left." }, { seen.url, seen.text })
    assert.equal("bob", (user_at("bob", plain)))
  end)

  it("log out at the provider, and with that here", function()
    provider:tell_logouts(("http://127.0.0.1:%d/auth/backchannel"):format(plain.server.port), true)
    user_at("dora", plain)
    local cookie = cookies_of("dora")[1]
    people:open("dora", provider.url .. "/session/end")
    local seen = people:click("dora", "Yes, sign me out")
    assert.matches("Sign-out Success", seen.text, 1, true)
    process.wait_until("the session to end", function() return not is_in(plain, cookie) end)
    assert.is_true(is_in(plain, cookies_of("bob")[1]))
  end)

  it("hold a cookie that no other page can set, by https", function()
    user_at("mallory", secure)
    local planted = cookies_of("mallory")[1].value
    plant("erin", "app.test", secure, planted)
    plant("erin", "www.app.test", secure, planted)
    assert.equal("erin", (user_at("erin", secure)))
    plant("erin", "app.test", secure, planted)
    plant("erin", "www.app.test", secure, planted)
    assert.equal("erin", (user_at("erin", secure)))
    local of_gateway = {}
    for _, cookie in ipairs(cookies_of "erin") do
      if cookie.name == "__Host-tokencache" then
        of_gateway[#of_gateway + 1] = cookie
      end
    end
    assert.equal(1, #of_gateway)
    assert.same({ true, "Lax", "/", true }, { of_gateway[1].httpOnly, of_gateway[1].sameSite,
      of_gateway[1].path, of_gateway[1].secure })
  end)

  it("hold a session in several cookies, and lose them all with it", function()
    assert.equal("heidi", (user_at("heidi", in_cookies)))
    local cookies = cookies_of "heidi"
    assert.equal(2, #cookies)
    assert.equal("heidi", (user_at("heidi", in_cookies)))
    people:open("heidi", in_cookies.url .. "/auth/logout")
    people:click("heidi", "Log out")
    assert.same({}, cookies_of "heidi")
  end)

  it("get a session of their own where one was planted", function()
    local planted = ("a"):rep(43)
    plant("frank", "127.0.0.1", plain, planted)
    assert.equal("frank", (user_at("frank", plain)))
    assert.is_false(is_in(plain, { name = "tokencache", value = planted }))
  end)

  it("are not logged out by pages of others", function()
    for _, host in ipairs { "localhost", "127.0.0.1" } do
      people:open("alice", ("http://%s%s/log_out?at=%s"):format(host, plain.elsewhere, plain.url))
      local seen = people:click("alice", "Win")
      assert.equal(403, seen.status)
      assert.matches("A page of another site wants to log you out.", seen.text, 1, true)
      assert.equal("alice", (user_at("alice", plain)))
    end
  end)

  it("are not logged in by the answer to another's login", function()
    local begun = plain:request("GET", "/auth/login")
    local forged = provider:login(begun.headers.location, { user = "mallory" })
    assert.equal(400, people:open("greta", forged).status)
    assert.same({}, cookies_of "greta")
    assert.matches("X%-User: bob", people:open("bob", forged).text)
    assert.equal("bob", (user_at("bob", plain)))
  end)

  it("are led nowhere else after a login, however that is spelled", function()
    for _, to in ipairs { "//evil.test/", "/\\evil.test/", "/%09/evil.test", "/%5cevil.test",
      "/.//evil.test", "javascript:alert(1)" } do -- more of them are in login_spec.lua
      local seen = people:open("alice", plain.url .. "/auth/login?to=" .. to)
      assert.equal(plain.url .. "/", seen.url:sub(1, #plain.url + 1), to)
      assert.matches("X%-User: alice", seen.text, 1, to)
    end
  end)
end)
