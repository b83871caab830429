-- The examples, as a person meets them: real logins at a real authorization server.

local folder = require "support.folder"
local http = require "socket.http"
local ltn12 = require "ltn12"
local merged = require "support.merged"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"
local socket = require "socket"
local started_browser = require "support.started_browser"
local tokencache = require "tokencache"

describe("examples/", function()
  local at_end = require("support.at_end")()
  local provider, work

  setup(function()
    provider = oidc_provider.start()
  end)

  teardown(function()
    provider:stop()
  end)

  before_each(function()
    work = folder.new()
  end)

  after_each(function()
    work:remove()
  end)

  --- Starts an example that asks `client` of the provider for logins.
  local function start(name, client, more, argument)
    local environment = merged({
      ISSUER = provider.url,
      CLIENT_ID = client.client_id, CLIENT_SECRET = client.client_secret, SCOPE = "openid",
    }, more)
    local command = process.lua(("arg = { ... } dofile %q"):format("examples/" .. name), argument)
    if argument == "paste" then
      work:shell("mkfifo keyboard")
      -- in a terminal of its own; <> waits for no writer
      local line = "SHELL=/bin/sh exec script -qefc 'exec \"$LUA\" -e \"$SCRIPT\"' /dev/null <>"
        .. work:file("keyboard")
      environment.LUA, environment.SCRIPT = command[1], command[3]
      command = { "sh", "-c", line, environment = command.environment }
    end
    return process.start(command, { environment = environment, directory = os.getenv("PWD") })
  end

  describe("login.lua", function()
    local function run(user)
      os.remove(work:file("start"))
      local child = start("login.lua", provider.clients.public, {
        BROWSER = started_browser.command(work), REDIRECT_URI = "http://127.0.0.1:0/callback",
        CACHE_PATH = work:file("cache"),
      })
      at_end(function() child:stop() end)
      local url = process.wait_until("a browser or the end", function()
        return process.read_file(work:file("start")) or not child:is_running()
      end)
      if url ~= true then
        url = started_browser.follow(url)
        http.request(provider:login(url, { user = user, deny = not user or nil }))
        child:wait()
      end
      return child:output(), url ~= true
    end

    local function expire(cache)
      local info = assert(cache:get_cached_token())
      info.expires_at = os.time() - 1
      assert(cache:save_token_to_cache(info))
      return info
    end

    it("logs in once, renews in silence, and logs in again when that login has ended", function()
      local cache = tokencache.cache.file { cache_path = work:file("cache") }
      local first, with_browser = run("alice")
      assert.is_true(with_browser)
      assert.matches("Token [%w_-]+…\nYou logged in on %d+%-%d+%-%d+ at", first)

      local second
      second, with_browser = run("alice")
      assert.is_false(with_browser)
      assert.equal(first:match("Token.*"), second)

      local old = expire(cache)
      local third
      third, with_browser = run("alice")
      assert.is_false(with_browser)
      assert.matches("^Token", third)
      local renewed = assert(cache:get_cached_token())
      assert.not_equal(old.access_token, renewed.access_token)
      assert.equal(old.authorized_at, renewed.authorized_at)

      provider:revoke(expire(cache).refresh_token)
      local fourth
      fourth, with_browser = run("alice")
      assert.is_true(with_browser)
      assert.matches("^Your login has ended; here comes the next.\n", fourth)
      assert.matches("\nToken", fourth)
    end)

    local function start_pasting()
      local child = start("login.lua", provider.clients.public,
        { CACHE_PATH = work:file("cache") }, "paste")
      at_end(function() child:stop() end)
      local url = process.wait_until("the question", function()
        return child:output():match("(http%S+)%s+Then paste the address that you were sent to: $")
      end)
      return child, url
    end

    it("takes a pasted answer where there is no browser", function()
      local child, url = start_pasting()
      process.write_file(work:file("keyboard"), provider:login(url) .. "\n")
      child:wait()
      assert.matches("Token [%w_-]+…\r\nYou logged in on", child:output())
    end)

    it("took a pasted answer for whole that the terminal had cut", function()
      local child, url = start_pasting()
      process.write_file(work:file("keyboard"), provider:login(url) .. "&rest="
        .. ("x"):rep(5000) .. "\n")
      child:wait()
      assert.matches("Not logged in: the terminal cut the pasted address at 4095 bytes; paste the "
        .. "code in it alone, or pass the address in from a file or a pipe", child:output(), 1,
        true)
    end)

    it("ends at Ctrl-C", function()
      local child = start_pasting()
      process.write_file(work:file("keyboard"), "\3")
      child:wait()
      assert.matches("interrupted!", child:output())
    end)

    it("tells who refuses what came of it", function()
      local output = run(nil)
      assert.matches("Not logged in: the login was refused: access_denied", output, 1, true)
      assert.equal("browser start", work:names())
    end)
  end)

  it("web_app.lua shows a user's token to nobody but its provider", function()
    local app = start("web_app.lua", provider.clients.confidential, { PORT = "0" })
    finally(function() app:stop() end)
    app:wait()
    assert.matches("USER_URL is missing", app:output())
  end)

  describe("web_app.lua", function()
    local app, home

    before_each(function()
      app = start("web_app.lua", provider.clients.confidential,
        { PORT = "0", USER_URL = provider.url .. "/me" })
      home = process.wait_until("the application's address", function()
        return app:output():match("Open (http://127.0.0.1:%d+)/ in a browser")
      end)
    end)

    after_each(function()
      app:stop()
    end)

    --- As much of a browser as the application needs: it keeps one cookie beside the provider's,
    --- for it tells no ports of a host apart.
    local function new_browser()
      local browser = {}
      function browser:request(method, path)
        local body = {}
        local _, status, headers = http.request {
          method = method, url = home .. path, redirect = false, sink = ltn12.sink.table(body),
          headers = { Cookie = (self.cookie and self.cookie .. "; " or "") .. "_session=5C1Y8" },
        }
        local cookie = headers["set-cookie"]
        if cookie then
          self.cookie, self.set_cookie = cookie:match("^([^;]*)"), cookie
        end
        return { status = status, location = headers.location, body = table.concat(body) }
      end
      function browser:get(path)
        return self:request("GET", path)
      end
      --- The path that the provider sends the browser to.
      function browser:go_to_provider(options)
        local answer = self:get("/login")
        assert.equal(303, answer.status)
        local url = provider:login(answer.location, options)
        assert.equal(home, url:sub(1, #home))
        return url:sub(#home + 1)
      end
      function browser:log_in(user)
        local answer = self:get(self:go_to_provider { user = user })
        assert.equal("/", answer.location)
      end
      function browser:is_logged_in_as(user)
        local answer = self:get("/")
        assert.equal(200, answer.status)
        return answer.body:find("You are logged in as " .. user .. ".", 1, true) ~= nil
      end
      function browser:is_logged_out()
        local answer = self:get("/")
        assert.equal(200, answer.status)
        return answer.body:find("You are not logged in.", 1, true) ~= nil
      end
      return browser
    end

    it("logs each browser in as its own user, and out", function()
      local one, two = new_browser(), new_browser()
      assert.is_true(one:is_logged_out())
      one:log_in("alice")
      two:log_in("bob")
      assert.is_true(one:is_logged_in_as("alice"))
      assert.is_true(two:is_logged_in_as("bob"))
      one:request("POST", "/logout")
      assert.is_true(one:is_logged_out())
      assert.is_true(two:is_logged_in_as("bob"))
    end)

    it("gives the browser a new opaque cookie at the login, and nothing else", function()
      local browser = new_browser()
      local path = browser:go_to_provider()
      local before = browser.cookie
      assert.matches("^session=%x+; Path=/; HttpOnly; SameSite=Lax$", browser.set_cookie)
      browser:get(path)
      assert.matches("^session=%x+; Path=/; HttpOnly; SameSite=Lax$", browser.set_cookie)
      assert.equal(#"session=" + 64, #browser.cookie)
      assert.not_equal(before, browser.cookie)
      assert.is_true(browser:is_logged_in_as("alice"))
      browser.cookie = before
      assert.is_true(browser:is_logged_out())
    end)

    it("refuses the answer to a login that another browser began", function()
      local attacker, victim, stranger = new_browser(), new_browser(), new_browser()
      local path = attacker:go_to_provider { user = "mallory" }
      local answer = stranger:get(path)
      assert.equal(400, answer.status)
      assert.matches("No login was begun in this browser", answer.body)
      victim:get("/login")
      answer = victim:get(path)
      assert.equal(403, answer.status)
      assert.matches("state is that of another login", answer.body)
      assert.is_true(victim:is_logged_out())
      assert.is_true(stranger:is_logged_out())
    end)

    it("refuses a callback that comes twice", function()
      local browser = new_browser()
      local path = browser:go_to_provider()
      browser:get(path)
      assert.equal(400, browser:get(path).status)
      assert.is_true(browser:is_logged_in_as("alice"))
    end)

    it("tells a user who refused so", function()
      local browser = new_browser()
      local answer = browser:get(browser:go_to_provider { deny = true })
      assert.equal(403, answer.status)
      assert.matches("the login was refused: access_denied", answer.body)
      assert.is_true(browser:is_logged_out())
    end)

    it("shows a name as it is, markup or not", function()
      local browser = new_browser()
      browser:log_in("<script>alert(1)</script>")
      local page = browser:get("/").body
      assert.matches("You are logged in as &#60;script&#62;alert", page)
      assert.is_nil(page:find("<script", 1, true))
    end)

    it("goes on after what is no request", function()
      for _, bytes in ipairs { "", "\r\n", "GET\r\n\r\n", "GET /nowhere HTTP/1.1\r\n\r\n" } do
        local client = assert(socket.connect("127.0.0.1", tonumber(home:match("%d+$"))))
        client:settimeout(60)
        client:send(bytes)
        client:shutdown("send")
        assert.matches("^HTTP/1.1 404 Not Found\r\n", (client:receive("*a")))
        client:close()
      end
      assert.is_true(new_browser():is_logged_out())
    end)
  end)
end)
