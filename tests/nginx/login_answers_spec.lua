-- What tokencache.nginx.login tells browsers by pages of the program's own, and other servers that
-- ask it whose a request is.

local login_gateway = require "support.login_gateway"
local loopback = require "support.loopback"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"

--- Another server, which has no Lua.
local OTHER = [[
  server {
    listen 127.0.0.1:$OTHER;
    location / {
      auth_request /token;
      auth_request_set $user $upstream_http_x_user;
      auth_request_set $authorization $upstream_http_authorization;
      proxy_set_header X-User $user;
      proxy_set_header Authorization $authorization;
      proxy_pass http://127.0.0.1:$APPLICATION;
    }
    location = /token {
      internal;
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_pass http://127.0.0.1:$PORT;
    }
  }
]]

local SERVER = [[
  location /auth/ { content_by_lua_block { gateway:serve() } }
  location = /whose { content_by_lua_block { gateway:check() } }
  location = /token {
    content_by_lua_block {
      gateway:check { token = true, allow = function(claims) return claims.sub ~= "bob" end }
    }
  }
  location / {
    access_by_lua_block { gateway:require_user() }
    proxy_pass http://127.0.0.1:$APPLICATION;
  }
]]

local PAGE = [[function(status, message, more)
  return ("<h1>Ours</h1>%d: %s %s"):format(status, message, more)
end]]

describe("tokencache.nginx.login", function()
  local provider, gateway, other

  setup(function()
    provider = oidc_provider.start()
    other = loopback.free_port()
    gateway = login_gateway.start(provider, { page = PAGE, cookie = "{ remember = true }",
      lifetime = 5000 }, { server = SERVER, http = OTHER, values = { OTHER = tostring(other) } })
  end)

  teardown(function()
    gateway:stop()
    provider:stop()
  end)

  local function logged_in(user)
    local browser = gateway:new_browser()
    return browser, browser:log_in(user)
  end

  it("shows the program's own pages", function()
    local answer = gateway:request("GET", "/auth/logout")
    assert.same({ 200, "<h1>Ours</h1>200: Do you want to log out? "
      .. '<form method="post"><button>Log out</button></form>' }, { answer.status, answer.body })
    assert.matches("^frame%-ancestors 'none'", answer.headers["content-security-policy"])
    answer = gateway:request("GET", "/auth/callback?state=%3Cb")
    assert.equal(400, answer.status)
    assert.matches('^<h1>Ours</h1>400: No login was begun .* <p><a href="/auth/login">',
      answer.body)
  end)

  it("says at its start that it has no threads, and does not ask to try again", function()
    local threadless = login_gateway.start(provider, {}, { thread_pool = false })
    finally(function() threadless:stop() end)
    local said = "login: config: no session could be kept: nginx has no thread pool"
    threadless.server:announce(said)
    process.wait_until("the log", function() return threadless.server:log():find(said) end)
    local answer = threadless:request("GET", "/", { Accept = "text/html" })
    assert.equal(500, answer.status)
    assert.is_nil(answer.headers["retry-after"])
  end)

  for clock, said in pairs {
    ["- 121"] = "it seems to be from 1[12]%d seconds in the future %(iat%)",
    ["+ 3721"] = "it has been over for 1[23]%d seconds %(exp%)",
  } do
    it("has the operator set a clock that is wrong, and no user log in for nothing, with "
      .. clock .. " seconds", function()
      local wrong = login_gateway.start(provider,
        { clock = ("function() return ngx.time() %s end"):format(clock) })
      finally(function() wrong:stop() end)
      wrong.server:announce("the id_token was refused")
      local browser = wrong:new_browser()
      local answer = browser:get(browser:go_to_provider("/", { user = "alice" }))
      assert.equal(500, answer.status)
      assert.matches("The login failed, .* tell those who run this site", answer.body)
      assert.is_nil(answer.body:find("[Ll]og in"))
      assert.is_nil(next(browser.cookies))
      assert.matches("login: protocol: the id_token was refused, and the login with it: "
        .. said .. "; set this machine's clock",
        wrong.server:log())
    end)
  end

  it("has browsers keep the session when they end, where it is told to", function()
    local browser, answer = logged_in("alice")
    assert.matches("; Max%-Age=5000$", answer.cookies.tokencache)
    assert.matches("; Max%-Age=0$", browser:post("/auth/logout").cookies.tokencache)
  end)

  it("has the session's cookie go to a whole domain, where it is told to, and no other", function()
    local all = {}
    finally(function()
      for _, wide in ipairs(all) do
        wide:stop()
      end
    end)
    for url, names in pairs { [gateway.url] = { "tokencache", "tokencache-login-" },
      ["https://app.test"] = { "__Secure-tokencache", "__Host-tokencache-login-" } } do
      local wide = login_gateway.start(provider, { public_url = ("%q"):format(url),
        cookie = '{ domain = "app.test" }' })
      all[#all + 1] = wide
      local name, cookie = next(wide:request("GET", "/", { Accept = "text/html" }).cookies)
      assert.equal(names[2], (name:gsub("%d+$", "")))
      assert.is_nil(cookie:find("Domain", 1, true))
      local gone = wide:request("POST", "/auth/logout", { Origin = url }).cookies[names[1]]
      assert.matches("=; Path=/; .*; Domain=app.test; Max%-Age=0$", gone)
    end
  end)

  it("tells another server whose a request is", function()
    local alice = logged_in("alice")
    local function ask(cookie)
      return gateway.server:get("/", { port = other, headers = { Cookie = cookie,
        ["X-User"] = "root", Authorization = "Bearer forged" } })
    end
    local status, body = ask(alice:cookie_header())
    assert.equal(200, status)
    assert.matches("\r\nX%-User: alice\r\n", body)
    assert.equal("alice", provider:owner(body:match "\r\nAuthorization: Bearer ([^\r]*)"))
    assert.equal(403, (ask(logged_in("bob"):cookie_header())))
    local refused = { ask "tokencache=none" }
    assert.equal(401, refused[1])
    assert.matches("/auth/login", refused[3]["www-authenticate"], 1, true)
    local answer = alice:get "/whose"
    assert.same({ 204, "alice", "no-store" }, { answer.status, answer.headers["x-user"],
      answer.headers["cache-control"] })
    assert.is_nil(answer.headers.authorization) -- which a page's script would read
  end)
end)
