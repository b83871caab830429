-- tokencache.nginx.login in front of an application, with a real provider.

local login_gateway = require "support.login_gateway"
local oidc_provider = require "support.oidc_provider"

describe("tokencache.nginx.login", function()
  local provider, gateway

  setup(function()
    provider = oidc_provider.start()
    gateway = login_gateway.start(provider, {
      userinfo = true,
      headers = '{ ["X-User"] = "sub", ["X-Full-Name"] = "name" }',
      allow = [[function(claims)
        return claims.sub ~= "mallory" and not ngx.shared.tokencache:get("barred " .. claims.sub)
      end]],
    }, {
      server = [[
        location /auth/ { content_by_lua_block { gateway:serve() } }
        location / {
          access_by_lua_block { gateway:require_user() }
          proxy_pass http://127.0.0.1:$APPLICATION;
        }
        location /open {
          access_by_lua_block { gateway:require_user { unauthorized = "pass" } }
          proxy_pass http://127.0.0.1:$APPLICATION;
        }
        location /api {
          access_by_lua_block { gateway:require_user { unauthorized = "401" } }
          proxy_pass http://127.0.0.1:$APPLICATION;
        }
        location /bobs {
          access_by_lua_block {
            gateway:require_user { allow = function(claims) return claims.sub == "bob" end }
          }
          proxy_pass http://127.0.0.1:$APPLICATION;
        }
        location /bar {
          content_by_lua_block {
            ngx.shared.tokencache:set("barred " .. ngx.var.arg_user, true)
            ngx.print("done")
          }
        }
        location /wrong {
          content_by_lua_block {
            ngx.print(select(2, pcall(gateway.require_user, gateway, { unauthorized = "maybe" })),
              "\n", select(2, pcall(gateway.require_user, gateway, { alow = print })),
              "\n", select(2, pcall(gateway.require_user)))
          }
        }
      ]],
    })
  end)

  teardown(function()
    gateway:stop()
    provider:stop()
  end)

  after_each(function()
    gateway.server:check()
  end)

  local function logged_in(user)
    local browser = gateway:new_browser()
    browser:log_in(user)
    return browser
  end

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

  it("asks nothing of the provider for a token that is fresh", function()
    local browser = logged_in("alice")
    local before = provider:token_requests()
    for _ = 1, 5 do
      assert.equal("alice", browser:user())
    end
    assert.equal(before, provider:token_requests())
  end)

  it("keeps two users apart", function()
    local one, two = logged_in("alice"), logged_in("bob")
    for _ = 1, 3 do
      assert.equal("alice", one:user())
      assert.equal("bob", two:user())
    end
  end)

  it("gives a browser an id, and of a login what it cannot read", function()
    local browser = gateway:new_browser()
    local begun = browser:get "/"
    local _, login = next(begun.cookies)
    assert.matches("^tokencache%-login%-%d+=[%w_-]+; Path=/; HttpOnly; SameSite=Lax; Max%-Age=600$",
      login)
    assert.is_nil(browser.cookies.tokencache)
    assert.equal("no-store", begun.headers["cache-control"])
    local answer = browser:get(provider:login(begun.headers.location):sub(#gateway.url + 1))
    assert.matches("^tokencache=[%w_-]+; Path=/; HttpOnly; SameSite=Lax$",
      answer.cookies.tokencache)
    assert.equal(43, #browser.cookies.tokencache)
    assert.same({ tokencache = browser.cookies.tokencache }, browser.cookies)
    assert.is_nil(gateway:files():find(browser.cookies.tokencache, 1, true))
  end)

  it("lets two tabs of a browser log in at the same time", function()
    local browser = gateway:new_browser()
    local paths, names, count = {}, {}, 0
    repeat -- until the browser has two cookies
      local path = browser:go_to_provider("/tab" .. #paths)
      paths[#paths + 1] = path
      for name in pairs(browser.cookies) do
        count = names[name] and count or count + 1
        names[name] = true
      end
    until count == 2
    assert.equal("/tab" .. #paths - 1, browser:get(paths[#paths]).headers.location)
    local others = 0
    for i = 1, #paths - 1 do
      local answer = browser:get(paths[i])
      assert.equal(303, answer.status)
      others = others + (answer.headers.location == "/tab" .. i - 1 and 1 or 0)
      if answer.cookies.tokencache == nil then -- overwritten, and there is a session
        assert.equal("/", answer.headers.location)
      end
    end
    assert.equal(1, others)
  end)

  it("makes a new session at each login, and ends the one before", function()
    local browser = gateway:new_browser()
    browser.cookies.tokencache = ("a"):rep(43) -- planted
    browser:log_in("alice")
    local first = browser.cookies.tokencache
    assert.not_equal(("a"):rep(43), first)
    browser:log_in("bob", "/auth/login")
    assert.not_equal(first, browser.cookies.tokencache)
    assert.equal("bob", browser:user())
    browser.cookies.tokencache = first
    assert.is_nil(browser:user())
  end)

  it("refuses a callback that belongs to another browser, or comes twice", function()
    local attacker, victim, stranger = gateway:new_browser(), gateway:new_browser(),
      gateway:new_browser()
    local path = attacker:go_to_provider("/", { user = "eve" })
    assert.equal(400, stranger:get(path).status)
    victim:get("/")
    victim:get("/")
    local answer = victim:get(path)
    assert.is_true(answer.status == 400 or answer.status == 403)
    assert.is_nil(victim:user())
    assert.equal(303, attacker:get(path).status)
    local again = attacker:get(path)
    assert.same({ 303, "/" }, { again.status, again.headers.location })
    assert.equal("eve", attacker:user())
    local bob = logged_in("bob")
    for _ = 1, 20 do -- with and without a login of his own under way
      again = bob:get(path)
      assert.same({ 303, "/" }, { again.status, again.headers.location })
      assert.is_nil(again.cookies.tokencache)
      bob:get("/auth/login")
    end
    assert.equal("bob", bob:user())
  end)

  it("leaves nothing of ids that it did not make", function()
    local before = gateway:files()
    for _, id in ipairs { "", "x", ("a"):rep(42), ("a"):rep(43), "../" .. ("a"):rep(40) } do
      for _, path in ipairs { "/", "/auth/callback?code=a&state=b", "/auth/logout" } do
        local answer = gateway:request(path == "/auth/logout" and "POST" or "GET", path, {
          Cookie = ("tokencache=%s; tokencache-login-2=%s"):format(id, id), Origin = gateway.url,
          Accept = "text/html" })
        assert.not_equal(200, path == "/auth/logout" and 0 or answer.status)
      end
    end
    assert.equal(before, gateway:files())
  end)

  it("leads to the page that another server was asked for, as it was", function()
    local page = "/page%2F%26/?a=1&b=%2F&to=/x"
    assert.equal(page, gateway:new_browser():log_in("alice", "/auth/login?" .. page)
      .headers.location)
    local escaped = "/auth/login?x=1&to=%2fpage%3Fa=1%26b=2"
    assert.equal("/page?a=1&b=2", gateway:new_browser():log_in("alice", escaped).headers.location)
  end)

  it("leads nowhere else", function()
    for _, to in ipairs { "//evil.example", "/\\evil.example", "https://evil.example", "evil",
      "/%09/evil.example", "/a%0d%0aSet-Cookie:%20tokencache=b", "", "/" .. ("a"):rep(2000),
      "https:evil.example", "%09//evil.example", "/%0d%0a//evil.example", "%2f%2fevil.example",
      "/%5cevil.example", "javascript:alert(1)", "/%00/evil.example" } do
      assert.equal("/", gateway:new_browser():log_in("alice", "/auth/login?to=" .. to)
        .headers.location)
    end
    for _, page in ipairs { "//evil.example", "/\\evil.example", "/" .. ("a"):rep(2000) } do
      assert.equal("/", gateway:new_browser():log_in("alice", "/auth/login?" .. page)
        .headers.location)
    end
    assert.equal("/", gateway:new_browser():log_in("alice", "//evil.example").headers.location)
    assert.equal("/%FF?a=%C3%BC", gateway:new_browser():log_in("alice", "/\255?a=\195\188")
      .headers.location)
  end)

  it("sends pages to the provider, and nothing else", function()
    local function status(method, headers, path)
      return gateway:request(method, path or "/", headers).status
    end
    assert.equal(303, status("GET", { Accept = "text/html,*/*" }))
    assert.equal(303, status("GET", { ["Sec-Fetch-Mode"] = "navigate" }))
    assert.equal(401, status("GET", { Accept = "*/*" }))
    assert.equal(401, status("GET", { Accept = "text/html", ["Sec-Fetch-Mode"] = "cors" }))
    assert.equal(401, status("POST", { Accept = "text/html", ["Sec-Fetch-Mode"] = "navigate" }))
    assert.equal(401, status("GET", { Accept = "text/html" }, "/api"))
    assert.equal(200, status("GET", { Accept = "text/html" }, "/open"))
    assert.equal(('Bearer realm="%s/auth/login"'):format(gateway.url),
      gateway:request("GET", "/api").headers["www-authenticate"])
    assert.equal(200, logged_in("alice"):get("/api").status)
  end)

  it("lets in whom the program allows", function()
    local browser = gateway:new_browser()
    local before = gateway:files()
    local answer = browser:get(browser:go_to_provider("/", { user = "mallory" }))
    assert.equal(403, answer.status)
    assert.matches("You have no access here", answer.body, 1, true)
    assert.is_nil(browser.cookies.tokencache)
    assert.equal(before, gateway:files())
    assert.equal(403, logged_in("alice"):get("/bobs").status)
    assert.equal(200, logged_in("bob"):get("/bobs").status)
    local oscar = logged_in("oscar")
    assert.equal("oscar", oscar:user())
    gateway:request("GET", "/bar?user=oscar")
    assert.equal(403, oscar:get("/").status)
  end)

  it("says who refused a login", function()
    local browser = gateway:new_browser()
    local answer = browser:get(browser:go_to_provider("/", { deny = true }))
    assert.equal(403, answer.status)
    assert.matches("the login was refused: access_denied", answer.body, 1, true)
  end)

  describe("tells the application of the user", function()
    it("and nothing that came from outside", function()
      local forged = { ["X-User"] = "root", ["x-uSER"] = "root", X_User = "root",
        ["X.User"] = "root", ["X-Full_Name"] = "root", ["X-Full-Name"] = "root",
        Authorization = "Bearer forged" }
      for name, value in pairs(forged) do
        local one = { [name] = value, ["X-Other_Header"] = "kept" }
        local body = logged_in("alice"):get("/", one).body
        assert.is_nil(body:lower():find("root", 1, true), name)
        assert.is_nil(body:find("forged", 1, true))
        assert.matches("\r\nX-Other_Header: kept\r\n", body, 1, true)
        body = gateway:request("GET", "/open", one).body
        assert.is_nil(body:lower():find("root", 1, true), name)
        assert.is_nil(body:find("forged", 1, true))
      end
    end)

    it("behind any number of headers", function()
      local many = { X_User = "root" }
      for i = 1, 200 do
        many["X-" .. i] = "a"
      end
      assert.is_nil(logged_in("alice"):get("/", many).body:find("root", 1, true))
    end)

    it("but keeps the session to itself", function()
      local browser = logged_in("alice")
      assert.is_nil(browser:told("Cookie"))
      browser.cookies.theme = "dark"
      assert.equal("theme=dark", browser:told("Cookie"))
      assert.equal("theme=dark", gateway:request("GET", "/open",
        { Cookie = "tokencache-login-1=a; theme=dark;__Host-tokencache=b" }).body
        :match("\r\nCookie: ([^\r]*)"))
    end)
  end)

  it("takes neither of two sessions for the browser's own", function()
    local one, two = logged_in("alice"), logged_in("bob")
    local answer = gateway:request("GET", "/", { Accept = "text/html", Cookie =
      ("tokencache=%s; tokencache=%s"):format(one.cookies.tokencache, two.cookies.tokencache) })
    assert.equal(400, answer.status) -- a login would not change it, and be a loop
    assert.matches("Your browser has two cookies &#34;tokencache&#34;", answer.body, 1, true)
    assert.matches('a browser has two cookies "tokencache"', gateway.server:log(), 1, true)
  end)

  describe("logs out", function()
    it("here and at the provider", function()
      local browser = logged_in("alice")
      local session, entry = browser.cookies.tokencache, gateway:entry(browser)
      local answer = browser:post("/auth/logout")
      assert.equal(303, answer.status)
      assert.matches(provider.url .. "/session/end?", answer.headers.location, 1, true)
      assert.matches("id_token_hint=" .. entry.id_token, answer.headers.location, 1, true)
      assert.is_nil(browser.cookies.tokencache)
      assert.is_false(provider:introspect(entry.access_token).active)
      browser.cookies.tokencache = session
      assert.is_nil(browser:user())
      assert.is_nil(gateway:entry(browser))
    end)

    it("only where a page of ours asks for it", function()
      local browser = logged_in("alice")
      local function status(headers, method)
        return browser:request(method or "POST", "/auth/logout", headers).status
      end
      assert.matches("<title>Do you want to log out?", browser:get("/auth/logout").body, 1, true)
      assert.matches("must say where it comes from (Origin)",
        browser:request("POST", "/auth/logout").body, 1, true)
      for _, headers in ipairs {
        {}, { Origin = "https://evil.example" }, { Origin = "null" },
        { Origin = gateway.url .. ".evil.example" },
        { Referer = gateway.url .. ".evil.example/" }, { Referer = "https://evil.example/" },
        { ["Sec-Fetch-Site"] = "cross-site", Origin = gateway.url },
        { ["Sec-Fetch-Site"] = "same-site", Origin = gateway.url },
      } do
        assert.equal(403, status(headers))
      end
      assert.equal("alice", browser:user())
      assert.equal(303, status { Referer = gateway.url .. "/page" })
      assert.equal(303, logged_in("alice"):request("POST", "/auth/logout",
        { ["Sec-Fetch-Site"] = "same-origin" }).status)
    end)
  end)

  it("names what is wrong in a call", function()
    local body = gateway:request("GET", "/wrong").body
    assert.matches('require_user: unauthorized must be "login", "401" or "pass"', body, 1, true)
    assert.matches("require_user: unknown option alow", body, 1, true)
    assert.matches("require_user: call it with a colon", body, 1, true)
  end)

  it("serves nothing else at its path", function()
    assert.equal(404, gateway:request("GET", "/auth/").status)
    assert.equal(404, gateway:request("GET", "/auth/other").status)
  end)
end)
