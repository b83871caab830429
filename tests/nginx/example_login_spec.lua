-- examples/nginx/login.conf as it stands, without a browser; example_browser_spec.lua has one.

local digest = require("tokencache.key").digest
local fake_endpoint = require "support.fake_endpoint"
local merged = require "support.merged"
local nginx_example = require "support.nginx_example"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"

describe("examples/nginx/run.sh login", function()
  local provider, gateway, expected_errors

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

  before_each(function()
    expected_errors = nil
    start()
  end)

  after_each(function()
    gateway:stop { errors = expected_errors }
  end)

  local function value_of(cookie)
    return cookie:match("^[^=]*=([^;]*)")
  end

  --- Keeps cookies, whatever their paths.
  local function new_browser()
    local browser = { cookies = {} }
    function browser:request(method, path, headers)
      local pairs_of = {}
      for name, value in pairs(self.cookies) do
        pairs_of[#pairs_of + 1] = name .. "=" .. value
      end
      headers = headers or {}
      headers.Cookie = table.concat(pairs_of, "; ")
      local answer = gateway:request(method, path, headers)
      for name, cookie in pairs(answer.cookies) do
        self.cookies[name] = not cookie:find("Max-Age=0", 1, true) and value_of(cookie) or nil
      end
      return answer
    end
    function browser:get(path)
      return self:request("GET", path)
    end
    --- The path that the provider sends the browser to.
    function browser:go_to_provider(path, options)
      local answer = self:get(path or "/login")
      assert.equal(303, answer.status)
      local url = provider:login(answer.headers.location, options)
      assert.equal(gateway.url, url:sub(1, #gateway.url))
      return url:sub(#gateway.url + 1)
    end
    function browser:log_in(user, path)
      local answer = self:get(self:go_to_provider(path, { user = user }))
      assert.equal(303, answer.status)
      return answer
    end
    function browser:user()
      return (self:get("/").body:match("logged in as (.-)%."))
    end
    return browser
  end

  --- How many; what is beside them are the marks of those who have logged out, and locks.
  local function token_files()
    return gateway.directory:shell("ls sessions | grep -c '^session.*token$' || true")
  end

  --- Makes the only session's token an expired one, while the gateway is not running.
  local function expire()
    local path = gateway.directory:file(gateway.directory:shell("ls sessions/session*.token"))
    local stored = process.read_file(path)
    process.write_file(path, (stored:gsub('"expires_at":%d+', '"expires_at":1')))
    return path, stored
  end

  it("shows a user's token to nobody but its provider", function()
    local code, output = process.run({ "sh", "examples/nginx/run.sh", "login" },
      { environment = { TOKEN_URL = provider.token_url, AUTHORIZE_URL = "https://a.example/" } })
    assert.equal(2, code)
    assert.matches("USER_URL: is the provider's, as TOKEN_URL is", output)
  end)

  it("sends who is not logged in to log in, and then to where they wanted", function()
    local browser = new_browser()
    local answer = browser:get("/things?a=b&c=d")
    assert.equal(303, answer.status)
    assert.equal("/login?to=%2Fthings%3Fa%3Db%26c%3Dd", answer.headers.location)
    answer = browser:log_in("alice", answer.headers.location)
    assert.equal("/things?a=b&c=d", answer.headers.location)
    assert.matches("You are at /things?a=b&#38;c=d, logged in as alice.",
      browser:get(answer.headers.location).body, 1, true)
  end)

  it("asks nothing of the provider for a token that is fresh", function()
    local browser = new_browser()
    browser:log_in("alice")
    local before = provider:token_requests()
    for _ = 1, 5 do
      assert.equal("alice", browser:user())
    end
    assert.equal(before, provider:token_requests())
  end)

  it("gives a browser ids and nothing else", function()
    local browser = new_browser()
    local answer = browser:get("/login")
    local id = "%x+"
    assert.matches("^login=" .. id .. "; Path=/callback; Max%-Age=600; HttpOnly; SameSite=Lax$",
      answer.cookies.login)
    assert.is_nil(answer.cookies.session)
    answer = browser:log_in("alice")
    assert.matches("^session=" .. id .. "; Path=/; HttpOnly; SameSite=Lax$",
      answer.cookies.session)
    assert.equal(64, #browser.cookies.session)
    assert.is_nil(browser.cookies.login)
    assert.equal("1", token_files())
    assert.equal("700", gateway.directory:mode("sessions"))
    assert.equal("600", gateway.directory:mode("sessions/session*.token"))
  end)

  it("marks the cookies Secure where browsers come by https", function()
    gateway:stop()
    start { PUBLIC_URL = "https://app.example" }
    local cookie = gateway:request("GET", "/login").cookies.login
    assert.matches("; HttpOnly; SameSite=Lax; Secure$", cookie)
  end)

  it("makes a new session at each login, and ends the one before", function()
    local browser = new_browser()
    browser.cookies.session = ("ab"):rep(32) -- planted
    browser:log_in("alice")
    local first = browser.cookies.session
    assert.not_equal(("ab"):rep(32), first)
    browser:log_in("bob")
    assert.not_equal(first, browser.cookies.session)
    assert.equal("bob", browser:user())
    assert.equal("1", token_files())
    assert.matches("tokencache-mark%3asession%3a" .. digest(first) .. ".token",
      gateway.directory:shell("ls sessions"), 1, true)
    browser.cookies.session = first
    assert.is_nil(browser:user())
  end)

  it("keeps users apart, and their logins over a restart", function()
    local one, two = new_browser(), new_browser()
    one:log_in("alice")
    two:log_in("bob")
    assert.equal("alice", one:user())
    assert.equal("bob", two:user())
    gateway:stop { keep = true }
    start(nil, gateway)
    assert.equal("alice", one:user())
    assert.equal("bob", two:user())
  end)

  it("refuses a callback that belongs to another browser, or comes twice", function()
    local attacker, victim, stranger = new_browser(), new_browser(), new_browser()
    local path = attacker:go_to_provider("/login", { user = "mallory" })
    local answer = stranger:get(path)
    assert.equal(400, answer.status)
    assert.matches("No login was begun in this browser", answer.body, 1, true)
    victim:get("/login")
    answer = victim:get(path)
    assert.equal(403, answer.status)
    assert.matches("state is that of another login", answer.body, 1, true)
    assert.is_nil(victim:user())
    assert.equal(303, attacker:get(path).status)
    assert.equal(400, attacker:get(path).status)
    assert.equal("mallory", attacker:user())
  end)

  it("refuses ids that it did not make", function()
    for _, id in ipairs { "", "x", "../" .. ("a"):rep(61), ("a"):rep(63), ("A"):rep(64) } do
      local answer = gateway:request("GET", "/callback?code=a&state=b", { Cookie = "login=" .. id })
      assert.equal(400, answer.status)
      answer = gateway:request("GET", "/", { Cookie = "session=" .. id })
      assert.equal(303, answer.status)
    end
    assert.equal("0", token_files())
  end)

  it("leaves nothing of the cookies that somebody has made up", function()
    for digit = 0, 4 do
      local cookie = "session=" .. (digit .. "f"):rep(32)
      assert.equal(200, gateway:request("POST", "/logout", { Cookie = cookie }).status)
      gateway:request("GET", "/", { Cookie = cookie })
    end
    assert.equal("", gateway.directory:shell("ls -A sessions"))
    local browser = new_browser()
    browser.cookies.session = ("d"):rep(64)
    browser:log_in("alice")
    local list = gateway.directory:shell("ls -A sessions | grep -v 'mark%3atokencache-lock'")
    assert.matches("^%.tokencache%-lock\nsession%S+$", list) -- and the provider's documents
  end)

  it("leads nowhere else", function()
    for _, to in ipairs { "//evil.example", "/\\evil.example", "https://evil.example", "evil",
      "/%09/evil.example", "/a%0d%0aSet-Cookie:%20session=b", "" } do
      assert.equal("/", new_browser():log_in("alice", "/login?to=" .. to).headers.location)
    end
    local browser = new_browser()
    local answer = browser:get("//evil.example")
    assert.equal("/", browser:log_in("alice", answer.headers.location).headers.location)
  end)

  it("leads back to what is no UTF-8, escaped", function()
    for to, path in pairs { ["/%ff"] = "/%FF", ["/\255?a=\195\188"] = "/%FF?a=%C3%BC",
      ["/caf%C3%A9"] = "/caf%C3%A9" } do
      assert.equal(path, new_browser():log_in("alice", "/login?to=" .. to).headers.location)
    end
    local browser = new_browser()
    local answer = browser:get("/caf\233")
    assert.equal("/login?to=%2Fcaf%E9", answer.headers.location)
    answer = browser:log_in("alice", answer.headers.location)
    assert.equal("/caf%E9", answer.headers.location)
    assert.matches("logged in as alice.", browser:get(answer.headers.location).body, 1, true)
  end)

  it("keeps no session's id where tokens are kept", function()
    local browser = new_browser()
    browser:log_in("alice")
    local name = gateway.directory:shell("ls sessions")
    assert.is_nil(name:find(browser.cookies.session, 1, true))
    assert.equal("session%3a" .. digest(browser.cookies.session) .. ".token",
      gateway.directory:shell("ls sessions | grep '^session.*token$'"))
    assert.equal("alice", browser:user())
  end)

  it("does not send scripts and forms to the provider", function()
    assert.equal(401, gateway:request("POST", "/things").status)
    assert.equal(401, gateway:request("GET", "/things", { ["Sec-Fetch-Mode"] = "cors" }).status)
    assert.equal(303, gateway:request("GET", "/things", { ["Sec-Fetch-Mode"] = "navigate" }).status)
  end)

  it("logs out by POST alone, and forgets the token", function()
    local browser = new_browser()
    browser:log_in("alice")
    local session = browser.cookies.session
    expected_errors = "access forbidden by rule"
    assert.equal(403, browser:get("/logout").status)
    assert.equal("alice", browser:user())
    assert.equal(200, browser:request("POST", "/logout").status)
    assert.is_nil(browser.cookies.session)
    assert.equal("0", token_files())
    browser.cookies.session = session
    assert.is_nil(browser:user())
  end)

  it("logs out only once a renewal under way is over, which would save its token", function()
    local browser = new_browser()
    browser:log_in("alice")
    gateway:stop { keep = true }
    local path = expire()
    local endpoint = fake_endpoint.start()
    finally(function() endpoint:stop() end)
    endpoint:behave("silent", "status/503")
    start({ TOKEN_URL = endpoint:url("token") }, gateway)
    expected_errors = "transient: http"
    local cookie = { Cookie = "session=" .. browser.cookies.session }
    local renewal = gateway:begin("GET", "/", cookie)
    process.wait_until("the renewal", function() return #endpoint:requests() == 1 end)
    local logout = gateway:begin("POST", "/logout", cookie)
    for _ = 1, 10 do
      assert.equal(303, gateway:request("GET", "/login").status)
    end
    assert.is_false(logout:is_answered())
    assert.is_string(process.read_file(path))
    endpoint:close_connections()
    assert.equal(503, (renewal:finish()))
    assert.equal(200, (logout:finish()))
    assert.is_nil(process.read_file(path))
  end)

  it("says who refused a login", function()
    local browser = new_browser()
    local answer = browser:get(browser:go_to_provider("/login", { deny = true }))
    assert.equal(403, answer.status)
    assert.matches("the login was refused: access_denied", answer.body, 1, true)
  end)

  it("logs nobody in where the session cannot be kept", function()
    local browser = new_browser()
    local path = browser:go_to_provider()
    expected_errors = "/sessions[/:]"
    gateway.directory:shell("rm -r sessions")
    assert.equal(503, browser:get(path).status)
    assert.is_nil(browser.cookies.session)
  end)

  it("asks again once the provider has ended the login", function()
    local browser = new_browser()
    browser:log_in("alice")
    gateway:stop { keep = true }
    local _, stored = expire()
    provider:revoke(stored:match('"refresh_token":"([^"]*)"'))
    start(nil, gateway)
    local answer = browser:get("/")
    assert.equal(303, answer.status)
    assert.equal("/login?to=%2F", answer.headers.location)
  end)
end)
