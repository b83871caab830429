local process = require "support.process"
local redirect = require "tokencache._redirect"
local redirect_listener = require "support.redirect_listener"
local socket = require "socket"

local STATE, callback = redirect_listener.STATE, redirect_listener.callback

describe("the redirect listener", function()
  local server

  local function open(options)
    server = redirect_listener.open(options)
    return server
  end

  after_each(redirect_listener.close_last)

  describe("open", function()
    it("takes any free port, and tells which", function()
      open()
      local second = assert(redirect.open(redirect_listener.options()))
      assert.is_true(server.port > 0 and server.port < 65536)
      assert.not_equal(server.port, second:port())
      second:close()
    end)

    it("listens on the literal address only", function()
      local port = open().port
      assert.is_nil((socket.connect("127.0.0.2", port)))
      assert.is_nil((assert(socket.tcp6()):connect("::1", port)))
    end)

    it("listens on ::1 where there is such an address", function()
      local made, err = redirect.open(redirect_listener.options { host = "::1" })
      if not made then
        assert.truthy(err.message:find("::1: this machine has no such address; use", 1, true))
        return
      end
      made:close()
      open { host = "::1" }
      assert.is_nil((socket.connect("127.0.0.1", server.port)))
      local headers = { Host = ("[::1]:%d"):format(server.port) }
      local client = server:ask(server:http("GET", callback("6"), headers), "::1")
      assert.equal(200, client:status())
      assert.equal("code=6&state=" .. STATE, server:wait_for_query())
    end)

    describe("at localhost", function()
      local function connects(host, port)
        local client = assert(host == "::1" and socket.tcp6() or socket.tcp())
        local made = client:connect(host, port)
        client:close()
        return made
      end

      it("listens on both loopback addresses, of which a browser takes either", function()
        open { host = "localhost" }
        local headers = { Host = "localhost:" .. server.port }
        assert.equal(404, server:get("/other", headers):status())
        if connects("::1", server.port) then
          local words = server:http("GET", callback("6"), headers)
          assert.equal(200, server:ask(words, "::1"):status())
        else
          server:get(callback("6"), headers)
        end
        assert.equal("code=6&state=" .. STATE, server:wait_for_query())
      end)

      it("takes no port that another program has on one of the two", function()
        for _, host in ipairs { "127.0.0.1", "::1" } do
          local other = redirect.open(redirect_listener.options { host = host })
          if other then -- a machine may have no IPv6
            local second, err = redirect.open(redirect_listener.options { host = "localhost",
              port = other:port() })
            assert.is_nil(second)
            assert.truthy(err.message:find(("port %d of %s is in use; "):format(other:port(), host),
              1, true))
            other:close()
          end
        end
      end)
    end)

    it("names a port that is in use, and the way out", function()
      local port = open().port
      local second, err = redirect.open(redirect_listener.options { port = port })
      assert.is_nil(second)
      assert.equal("config", err.kind)
      assert.truthy(err.message:find("port " .. port .. " of 127.0.0.1 is in use; ", 1, true))
      assert.truthy(err.message:find("redirect_uri", 1, true))
      assert.is_nil(err.message:find(STATE, 1, true))
    end)

    it("takes the same port again at once", function()
      local port = open().port
      server:get(callback("1"))
      server:close()
      assert.equal(port, open({ port = port }).port)
      assert.is_true(server:still_waits())
    end)

    it("raises for options that are wrong, and names them", function()
      local wrong = {
        { { host = "localhost.example" }, "host must be" },
        { { form_post = 1 }, "form_post must be" },
        { { host = "0.0.0.0" }, "host must be" },
        { { host = "127.0.0.1\0.example" }, "host must be" },
        { { host = 1 }, "host must be" },
        { { port = -1 }, "port must be" },
        { { port = 65536 }, "port must be" },
        { { port = 80.5 }, "port must be" },
        { { port = 0 / 0 }, "port must be" },
        { { port = "80" }, "port must be" },
        { { path = "callback" }, "path must" },
        { { path = "" }, "path must" },
        { { path = "/a?b" }, "path must" },
        { { path = "/a b" }, "path must" },
        { { path = "/a\0b" }, "path must" },
        { { path = false }, "path must" },
        { { state = "" }, "state is empty" },
        { { state = 7 }, "state must be" },
        { { fragment = "yes" }, "fragment must be" },
      }
      for _, case in ipairs(wrong) do
        local ok, message = pcall(redirect.open, redirect_listener.options(case[1]))
        assert.is_false(ok)
        assert.truthy(message:find("open: " .. case[2], 1, true), message)
      end
      assert.has_error(function() redirect.open() end)
    end)
  end)

  it("reports nothing until the callback comes", function()
    open()
    assert.same({ n = 1 }, { n = select("#", server.listener:poll(0)), server.listener:poll(0) })
    assert.is_nil((server.listener:poll(1e6))) -- comes back for the caller to look at its clock
  end)

  it("closes any number of times, and is of no use then", function()
    local listener = open().listener
    debug.getmetatable(listener).__close(listener)
    listener:close()
    listener:close()
    for _, method in ipairs { "poll", "port" } do
      local ok, message = pcall(listener[method], listener, 0)
      assert.is_false(ok)
      assert.truthy(message:find("the redirect listener is closed", 1, true))
    end
  end)

  it("frees its port when it is forgotten", function()
    local port = open().port
    local client = server:connect("GET /")
    client:step()
    server:poll()
    server = nil
    collectgarbage()
    collectgarbage()
    open { port = port }
  end)

  describe("the callback", function()
    it("is reported as it came, after its answer was sent", function()
      open()
      local parameters = "code=a%20b%2Bc&x=%zz&st%61te=" .. STATE:gsub("~", "%%7e")
      local client = server:connect(server:http("GET", "/callback?" .. parameters))
      client:step()
      server:wait_for_query()
      client:step()
      assert.equal(parameters, server.query)
      assert.truthy(client:body():find("</html>", 1, true))
      assert.equal(parameters, (server.listener:poll(0)))
    end)

    it("gets the page of success", function()
      open()
      local client = server:get(callback("1"))
      assert.equal(200, client:status())
      assert.truthy(client:body():find("<h1>Login received</h1>", 1, true))
    end)

    it("gets the page of failure where there is an error or no code", function()
      local bodies = {}
      for _, parameters in ipairs {
        "error=access_denied", "error=%3Cscript%3Ealert(1)%3C/script%3E", "error=<script>",
        "error=x&code=1", "x=1", "code=%zz",
      } do
        open()
        local client = server:get(("/callback?%s&state=%s"):format((parameters), STATE))
        assert.equal(400, client:status(), parameters)
        assert.truthy(client:body():find("<h1>Login not completed</h1>", 1, true))
        bodies[client:body()] = true
        assert.equal(parameters .. "&state=" .. STATE, server:wait_for_query())
        server:close()
      end
      bodies[next(bodies)] = nil
      assert.is_nil(next(bodies), "the page depends on the request")
    end)

    it("may be long", function()
      open()
      local code = ("c"):rep(40000)
      assert.equal(200, server:get("/callback?code=" .. code .. "&state=" .. STATE):status())
      assert.equal(#code, #server:wait_for_query():match("code=(c+)&"))
    end)

    it("counts once: what comes after does not replace it", function()
      open()
      local first = server:connect(server:http("GET", callback("1")))
      local second = server:connect(server:http("GET", callback("2")))
      first:step()
      second:step()
      server:wait_for_query()
      assert.equal("code=1&state=" .. STATE, server.query)
      assert.equal(server.query, (server.listener:poll(0.05)))
    end)

    it("is reported though its browser waits for no answer", function()
      open()
      local client = server:connect(server:http("GET", callback("1")))
      client:step()
      client.socket:shutdown("send")
      assert.equal("code=1&state=" .. STATE, server:wait_for_query())
    end)

    it("is nobody's where the sender has gone: it might be another user's", function()
      open()
      for _, leave in ipairs { "close", "reset" } do
        local client = server:connect(server:http("GET", callback("1")))
        client:step()
        if leave == "reset" then client:reset() else client.socket:close() end
        process.wait_until("the callback to be refused", function()
          server:poll()
          return server.listener:stranger()
        end)
        assert.is_nil(server.query)
      end
      assert.equal(-1, server.listener:stranger())
      assert.is_true(server:still_waits())
    end)
  end)

  describe("where the answer is in the fragment", function()
    before_each(function()
      open { fragment = true }
    end)

    local function answer(state)
      return "access_token=t%20k&token_type=Bearer&state=" .. (state or STATE)
    end

    local function origin()
      return { Origin = "http://127.0.0.1:" .. server.port }
    end

    it("gives a page that hands it over", function()
      for _, target in ipairs { "/callback", "/callback?", "/callback?tenant=1" } do
        local client = server:get(target)
        assert.equal(200, client:status())
        assert.truthy(client:body():find("<script>", 1, true))
        assert.is_nil(server.query)
      end
    end)

    it("takes it from the page", function()
      local client = server:post("/callback", answer(), origin())
      assert.equal(200, client:status())
      assert.equal(answer(), server:wait_for_query())
    end)

    it("takes it from one that tells no origin", function()
      assert.equal(200, server:post("/callback", answer()):status())
      assert.equal(answer(), server:wait_for_query())
    end)

    it("takes it in pieces", function()
      local text = server:http("POST", "/callback", origin(), answer())
      local client = server:connect("")
      for i = 1, #text do
        client.words = text:sub(1, i)
        client:step()
        server:poll(0)
      end
      assert.equal(200, server:finish(client):status())
      assert.equal(answer(), server:wait_for_query())
    end)

    it("tells the page of an error", function()
      local denial = "error=access_denied&state=" .. STATE
      assert.equal(400, server:post("/callback", denial, origin()):status())
      assert.equal(denial, server:wait_for_query())
    end)

    it("takes an error from the query, too", function()
      assert.equal(400, server:get("/callback?error=invalid_request&state=" .. STATE):status())
      assert.equal("error=invalid_request&state=" .. STATE, server:wait_for_query())
    end)

    it("refuses it from elsewhere, or without our state", function()
      for _, case in ipairs {
        { 400, "/callback", answer(), { Origin = "https://evil.example" } },
        { 400, "/callback", answer(), { Origin = "null" } },
        { 400, "/callback", answer(), { Origin = "" } },
        { 400, "/callback", answer(), { Origin = "http://127.0.0.1" } },
        { 400, "/callback", answer(), { Origin = "https://127.0.0.1:" .. server.port } },
        { 400, "/callback", answer(), { Host = "evil.example" } },
        { 400, "/callback", answer("forged"), origin() },
        { 400, "/callback", answer() .. "&state=" .. STATE, origin() },
        { 400, "/callback", "access_token=1", origin() },
        { 400, "/callback", "", origin() },
        { 400, "/callback?state=" .. STATE, "access_token=1", origin() },
        { 404, "/other", answer(), origin() },
      } do
        local client = server:post(case[2], case[3], case[4])
        assert.is_nil(server.query)
        assert.equal(case[1], client:status())
      end
      assert.is_true(server:still_waits())
    end)

    it("limits its length", function()
      local client = server:post("/callback", answer() .. "&x=" .. ("x"):rep(70000), origin())
      assert.is_nil(server.query)
      assert.is_nil(client:status())
      local body = answer() .. "&x=" .. ("x"):rep(65536 - #answer() - 3)
      assert.equal(200, server:post("/callback", body, origin()):status())
      assert.equal(body, server:wait_for_query())
    end)
  end)

  describe("where the provider's page posts the answer", function()
    local ANSWER = "code=a%20code&state=" .. STATE

    it("takes it from that origin, or from one that hides itself", function()
      for _, origin in ipairs { "https://login.example", "null" } do
        open { form_post = true }
        local client = server:post("/callback", ANSWER, { Origin = origin })
        assert.equal(200, client:status())
        assert.truthy(client:body():find("<h1>Login received</h1>", 1, true))
        assert.equal(ANSWER, server:wait_for_query())
        server:close()
      end
    end)

    it("refuses what is not our login's", function()
      open { form_post = true }
      for _, case in ipairs {
        { 400, "/callback", "code=1&state=forged" },
        { 400, "/callback", "code=1" },
        { 400, "/callback", ANSWER, { Host = "evil.example" } },
        { 404, "/other", ANSWER },
      } do
        assert.equal(case[1], server:post(case[2], case[3], case[4]):status())
        assert.is_nil(server.query)
      end
      assert.is_true(server:still_waits())
    end)
  end)

  describe("pages", function()
    local function hash(text)
      local dir = process.temporary_directory()
      process.write_file(dir .. "/text", text)
      local code, output = process.run { "sh", "-c",
        "openssl dgst -sha256 -binary " .. dir .. "/text | openssl base64 -A" }
      process.remove_directory(dir)
      assert.equal(0, code, output)
      return "'sha256-" .. output .. "'"
    end

    local function all()
      open { fragment = true }
      local handoff = server:get("/callback")
      local success = server:post("/callback", "access_token=1&state=" .. STATE)
      server:wait_for_query()
      server:close()
      open()
      local failure = server:get("/callback?error=x&state=" .. STATE)
      server:close()
      open()
      local empty = server:get("/other")
      return { handoff = handoff, success = success, failure = failure, empty = empty }
    end

    it("keep themselves out of caches, frames and referrers", function()
      for _, client in pairs(all()) do
        assert.equal("no-store", client:header("cache-control"))
        assert.equal("nosniff", client:header("x-content-type-options"))
        assert.equal("no-referrer", client:header("referrer-policy"))
        assert.equal("DENY", client:header("x-frame-options"))
        assert.equal("text/html; charset=utf-8", client:header("content-type"))
        assert.truthy(client:header("content-security-policy"):find("default-src 'none'; base-uri "
          .. "'none'; form-action 'none'; frame-ancestors 'none'", 1, true))
      end
    end)

    it("allow exactly their own style and script", function()
      for name, client in pairs(all()) do
        local policy, body = client:header("content-security-policy"), client:body()
        local style, script = body:match("<style>(.-)</style>"), body:match("<script>(.-)</script>")
        assert.equal(name ~= "empty" and hash(style) or nil, policy:match("style%-src ([^;]*)"))
        assert.equal(name == "handoff" and hash(script) or nil, policy:match("script%-src ([^;]*)"))
        assert.equal(name == "handoff" and "'self'" or nil, policy:match("connect%-src ([^;]*)"))
        assert.is_nil(policy:find("unsafe", 1, true))
        assert.is_nil(body:find(" style=", 1, true))
        assert.is_nil(body:find(" on%a+="))
        assert.is_nil(body:find("https?://"))
      end
    end)
  end)
end)
