local core = require "tokencache._core"
local curl = require "tokencache.transport.curl"
local deadline = require "support.deadline"
local fake_endpoint = require "support.fake_endpoint"
local json = require "tokencache.json"
local process = require "support.process"
local unix = require "support.unix"

local SECRETS = { "hush-header", "hush-body", "hush-query", "hush-proxy" }

describe("the curl transport", function()
  local endpoint, transport, messages = nil, nil, {}

  setup(function()
    endpoint = fake_endpoint.start { tls = true }
  end)

  teardown(function()
    endpoint:stop()
  end)

  before_each(function()
    endpoint:clear()
    transport = curl.new { ca_file = endpoint.ca_file, proxy = "" }
  end)

  after_each(function()
    transport:close()
    local told = messages
    messages = {}
    for _, message in ipairs(told) do
      for _, secret in ipairs(SECRETS) do
        assert.is_nil(message:find(secret, 1, true), message)
      end
    end
  end)

  local function use(options)
    transport:close()
    transport = curl.new(options)
  end

  local function post(url, request)
    request = request or {}
    request.method = request.method or "POST"
    request.url = url .. (url:find("?", 1, true) and "&" or "?") .. "hint=hush-query"
    request.headers = request.headers or { Authorization = "Basic hush-header" }
    request.body = request.body or "client_secret=hush-body"
    request.timeout = request.timeout or 10
    local response, err = transport:request(request)
    if err then
      messages[#messages + 1] = tostring(err)
    end
    return response, err
  end

  --- The origin is all that a message may tell of the URL.
  local function assert_failed(kind, sent, url, response, err)
    assert.is_nil(response)
    assert.equal(kind, err.kind, err.message)
    assert.equal(sent, err.sent, err.message)
    local origin = url:match("^%a+://[^/]+")
    assert.equal(origin .. ": ", err.message:sub(1, #origin + 2))
    assert.is_nil(err.message:find("/token", 1, true))
    return err
  end

  local function assert_fails(kind, sent, url, request)
    return assert_failed(kind, sent, url, post(url, request))
  end

  local function connections_of_requests()
    local numbers = {}
    for i, request in ipairs(endpoint:requests()) do
      numbers[i] = request.connection
    end
    return numbers
  end

  --- Runs `fn` in a forked copy of this process; a failure there must not go on as another busted.
  local function in_child(fn)
    local pid = unix.fork()
    if pid == 0 then
      local ok, err = pcall(fn)
      if not ok then
        io.stderr:write(tostring(err), "\n")
      end
      unix.exit(ok and 0 or 1)
    end
    assert.equal(0, unix.wait(pid))
  end

  describe("sends", function()
    it("the request as it is given", function()
      local response = assert(post(endpoint:url("token"), {
        headers = { Authorization = "Basic hush-header", Accept = "text/json", ["X-Empty"] = "" },
        body = "a=b&c=%00",
      }))
      assert.equal(200, response.status)
      local request = endpoint:requests()[1]
      assert.equal("POST", request.method)
      assert.equal("/token?hint=hush-query", request.url)
      assert.equal("a=b&c=%00", request.body)
      assert.equal("Basic hush-header", request.headers.authorization)
      assert.equal("text/json", request.headers.accept)
      assert.equal("", request.headers["x-empty"])
    end)

    it("a GET without a body", function()
      assert(transport:request { method = "GET", url = endpoint:url("token") })
      local request = endpoint:requests()[1]
      assert.equal("GET", request.method)
      assert.equal("", request.body)
      assert.is_nil(request.headers["content-length"])
    end)

    it("a large body without asking first", function()
      local body = ("x"):rep(2 * 1024 * 1024)
      assert(post(endpoint:url("token"), { body = body }))
      local request = endpoint:requests()[1]
      assert.equal(#body, #request.body)
      assert.is_nil(request.headers.expect)
    end)

    it("no cookie that a server has set", function()
      assert(post(endpoint:url("headers")))
      assert(post(endpoint:url("token")))
      assert.is_nil(endpoint:requests()[2].headers.cookie)
    end)

    it("no password from ~/.netrc", function()
      local home = process.temporary_directory()
      finally(function() process.remove_directory(home) end)
      process.write_file(home .. "/.netrc", "machine 127.0.0.1 login a password hush-header\n")
      local code, output = process.run(process.lua([[
        local curl = require "tokencache.transport.curl"
        assert(curl.new { proxy = "" }:request { method = "GET", url = ... })
      ]], endpoint:url("token")), { environment = { HOME = home } })
      assert.equal(0, code, output)
      assert.is_nil(endpoint:requests()[1].headers.authorization)
    end)

    it("nothing where a header would smuggle in another", function()
      for _, headers in ipairs {
        { ["X-A"] = "1\r\nX-B: 2" }, { ["X-A\nX-B"] = "1" }, { [""] = "1" },
      } do
        local _, err = post(endpoint:url("token"), { headers = headers })
        assert.equal("config", err.kind)
        assert.matches("^headers: ", err.message)
        assert.is_false(err.sent)
      end
      assert.same({}, endpoint:requests())
    end)
  end)

  describe("returns", function()
    it("headers in lower case, repeated ones joined", function()
      local headers = assert(post(endpoint:url("headers"))).headers
      assert.equal("one, two", headers["x-two"])
      assert.equal("", headers["x-empty"])
      assert.equal("v", headers["x-case"])
    end)

    it("every status as an answer", function()
      for _, status in ipairs { 400, 401, 429, 500, 503 } do
        local response = assert(post(endpoint:url("status/" .. status .. "?retry_after=7")))
        assert.equal(status, response.status)
        assert.equal("7", response.headers["retry-after"])
      end
    end)

    it("a redirect instead of following it", function()
      local response = assert(post(endpoint:url("redirect")))
      assert.equal(302, response.status)
      assert.equal(1, #endpoint:requests())
    end)

    it("a body of 1 MiB, and not a byte more", function()
      assert.equal(1048576, #assert(post(endpoint:url("limit?bytes=1048576"))).body)
      assert_fails("protocol", true, endpoint:url("limit?bytes=1048577"))
    end)

    for _, encoding in ipairs { "gzip", "deflate", "raw", "br", "gzip br" } do
      local url = "encoded?as=" .. encoding:gsub(" ", "%%20")

      it("a body of 1 MiB once it is decoded, and not a byte more: " .. encoding, function()
        assert.equal("access-1", json.decode(assert(post(endpoint:url(url))).body).access_token)
        assert.equal(1048576, #assert(post(endpoint:url(url .. "&bytes=1048576"))).body)
        assert.matches("larger than",
          assert_fails("protocol", true, endpoint:url(url .. "&bytes=1048577")).message)
      end)
    end

    it("an error for a small body that becomes a large one", function()
      assert_fails("protocol", true, endpoint:url("encoded?as=gzip%20gzip&bytes=30000000"))
    end)

    it("the token of an encoded body that breaks off behind it", function()
      local response = assert(post(endpoint:url("encoded?as=gzip&cut=-4")))
      assert.equal("access-1", json.decode(response.body).access_token)
    end)

    it("an error for an encoded body that is none", function()
      for _, names in ipairs { "gzip", "deflate", "gzip, gzip" } do
        endpoint:clear()
        endpoint:answer(200, { access_token = "a" }, { ["Content-Encoding"] = names })
        assert.matches("must name no Content-Encoding that the body does not have",
          assert_fails("protocol", true, endpoint:url("token")).message, 1, true)
      end
    end)

    it("an error for what is too large", function()
      for _, path in ipairs { "large", "large-chunked", "large-headers" } do
        assert.matches("larger than", assert_fails("protocol", true, endpoint:url(path)).message)
      end
      assert(post(endpoint:url("token")))
    end)
  end)

  describe("keeps connections", function()
    it("for the requests that follow", function()
      for _, server in ipairs { "http", "https" } do
        endpoint:clear()
        for _ = 1, 3 do
          assert(post(endpoint:url("token", server)))
        end
        assert.same({ 1, 1, 1 }, connections_of_requests())
      end
    end)

    it("and makes a new one where the server has closed", function()
      for _, server in ipairs { "http", "https" } do
        endpoint:clear()
        assert(post(endpoint:url("token", server)))
        endpoint:close_connections()
        assert(post(endpoint:url("token", server)))
        assert.same({ 1, 2 }, connections_of_requests())
      end
    end)

    it("until it is closed or collected", function()
      local function wait_until_closed()
        process.wait_until("the connections to close", function()
          return endpoint:open_connections() == 0
        end)
      end
      wait_until_closed()
      assert(post(endpoint:url("token", "https")))
      assert.equal(1, endpoint:open_connections())
      transport:close()
      wait_until_closed()

      use { ca_file = endpoint.ca_file, proxy = "" }
      assert(post(endpoint:url("token", "https")))
      assert.equal(1, endpoint:open_connections())
      transport = curl.new {}
      collectgarbage()
      collectgarbage()
      wait_until_closed()
    end)

    it("but sends nothing twice when a kept one breaks", function()
      for _, path in ipairs { "reset-unanswered", "close-unanswered" } do
        for _, server in ipairs { "http", "https" } do
          endpoint:clear()
          assert(post(endpoint:url("token", server)))
          assert_fails("transient", true, endpoint:url(path, server))
          assert.equal(2, #endpoint:requests())
        end
      end
    end)
  end)

  describe("after a fork", function()
    for _, server in ipairs { "http", "https" } do
      it("leaves the parent's " .. server .. " connection alone", function()
        assert(post(endpoint:url("token", server)))
        in_child(function()
          assert(post(endpoint:url("token", server)))
          assert(post(endpoint:url("token", server)))
          transport:close()
        end)
        assert(post(endpoint:url("token", server)))
        assert.same({ 1, 2, 2, 1 }, connections_of_requests())
      end)

      it("closes nothing of the parent's over " .. server, function()
        assert(post(endpoint:url("token", server)))
        in_child(function()
          transport:close()
          transport = nil
          collectgarbage()
        end)
        assert(post(endpoint:url("token", server)))
        assert.same({ 1, 1 }, connections_of_requests())
      end)
    end

    it("keeps the options", function()
      use { ca_file = endpoint.ca_file, proxy = endpoint:proxy_url() }
      assert(post(endpoint:url("token", "https")))
      in_child(function()
        assert(post(endpoint:url("token", "https")))
      end)
      local seen = {}
      for i, request in ipairs(endpoint:requests()) do
        seen[i] = request.server
      end
      assert.same({ "proxy", "https", "proxy", "https" }, seen)
    end)
  end)

  describe("keeps the deadline", function()
    --- Of what nothing else ends; a busy machine may take longer than that to send it.
    local function assert_ends(sent, url, limit)
      deadline.enough(0.3, function(seconds)
        local response, err = post(url, limit and limit(seconds) or { timeout = seconds })
        if sent and err and not err.sent then
          return false
        end
        assert_failed("timeout", sent, url, response, err)
        return true
      end)
    end

    it("with an answer that never ends", function()
      assert_ends(true, endpoint:url("drip"))
      assert(post(endpoint:url("token", "https"))) -- whose connection is kept
      assert_ends(true, endpoint:url("drip", "https"))
    end)

    it("without an answer", function()
      assert_ends(true, endpoint:url("silent"))
    end)

    it("without a connection", function()
      assert_ends(false, endpoint.blackhole_url)
      use { connect_timeout = 0.2, proxy = "" }
      assert_ends(false, endpoint.blackhole_url, function() return { timeout = 600 } end)
    end)

    it("given as a point in time", function()
      local url = endpoint:url("silent")
      assert_ends(true, url, function(seconds)
        return { deadline = core.monotonic() + seconds, timeout = 600 }
      end)
      assert_ends(true, url, function(seconds)
        return { deadline = core.monotonic() + 600, timeout = seconds }
      end)
    end)

    it("that has passed, by sending nothing", function()
      assert_fails("timeout", false, endpoint:url("token"), { deadline = core.monotonic() - 1 })
      assert_fails("timeout", false, endpoint:url("token"), { timeout = 0 })
      assert.equal(0, endpoint:connections())
    end)
  end)

  describe("tells what the network did:", function()
    it("refused", function()
      assert_fails("transient", false, endpoint.refused_url)
    end)

    it("no such host", function()
      assert_fails("transient", false, "http://nowhere.invalid/token")
    end)

    it("reset or closed in the body", function()
      for _, server in ipairs { "http", "https" } do
        assert_fails("transient", true, endpoint:url("reset", server))
        assert_fails("transient", true, endpoint:url("partial", server))
      end
    end)

    it("closed without an answer", function()
      assert_fails("transient", true, endpoint:url("close-unanswered"))
      assert_fails("transient", true, endpoint:url("reset-unanswered"))
    end)

    it("no TLS spoken", function()
      local url = endpoint:url("token"):gsub("^http:", "https:")
      assert_fails("transient", false, url)
      assert.same({}, endpoint:requests())
    end)
  end)

  describe("trusts", function()
    local function assert_untrusted(url)
      local err = assert_fails("config", false, url)
      assert.matches("ca_file=", err.message, 1, true)
      assert.same({}, endpoint:requests())
    end

    it("an authority that it is given", function()
      assert.equal(200, assert(post(endpoint:url("token", "https"))).status)
    end)

    it("no other", function()
      use { proxy = "" }
      assert_untrusted(endpoint:url("token", "https"))
    end)

    it("no certificate for another host", function()
      assert_untrusted(endpoint:url("token", "mismatch"))
    end)

    it("nothing where ca_file is missing or no certificate", function()
      local directory = process.temporary_directory()
      finally(function() process.remove_directory(directory) end)
      process.write_file(directory .. "/text", "no certificate\n")
      for _, name in ipairs { "missing", "text" } do
        use { ca_file = directory .. "/" .. name, proxy = "" }
        assert_untrusted(endpoint:url("token", "https"))
      end
    end)
  end)

  describe("goes through a proxy", function()
    it("for http and, by a tunnel, for https", function()
      use { proxy = endpoint:proxy_url(), ca_file = endpoint.ca_file }
      assert.equal(200, assert(post(endpoint:url("token"))).status)
      assert.equal(200, assert(post(endpoint:url("token", "https"))).status)
      local requests = endpoint:requests()
      assert.equal("proxy", requests[1].server)
      assert.matches("^http://127.0.0.1:%d+/token", requests[1].url)
      assert.equal("proxy", requests[3].server)
      assert.equal("CONNECT", requests[3].method)
      assert.is_nil(requests[3].headers.authorization)
      assert.equal("https", requests[4].server)
      assert.is_nil(requests[4].headers["proxy-authorization"])
    end)

    it("with a login", function()
      use { proxy = endpoint:proxy_url("user:hush-proxy"), ca_file = endpoint.ca_file }
      assert.equal(200, assert(post(endpoint:url("token"))).status)
      assert.equal(200, assert(post(endpoint:url("token", "https"))).status)
      local proxy = ("http://user:hush-proxy-wrong@127.0.0.1:%d"):format(endpoint.ports.proxy)
      use { proxy = proxy, ca_file = endpoint.ca_file }
      assert_fails("config", true, endpoint:url("token"))
      assert_fails("config", false, endpoint:url("token", "https"))
    end)

    local function servers_asked(url, proxy)
      local script = [[
        local url, ca_file, proxy = ...
        local curl = require "tokencache.transport.curl"
        local given = proxy ~= "environment" and proxy or nil
        local transport = curl.new { ca_file = ca_file, proxy = given }
        assert(transport:request { method = "GET", url = url })
      ]]
      local variables = { no_proxy = "", NO_PROXY = "" }
      for _, name in ipairs { "http_proxy", "https_proxy", "ALL_PROXY" } do
        variables[name] = endpoint:proxy_url()
      end
      endpoint:clear()
      local code, output = process.run(process.lua(script, url, endpoint.ca_file, proxy),
        { environment = variables })
      assert.equal(0, code, output)
      local servers = {}
      for i, request in ipairs(endpoint:requests()) do
        servers[i] = request.server
      end
      return servers
    end

    it("that the environment names, unless told otherwise", function()
      local url = endpoint:url("token", "https")
      assert.same({ "proxy", "https" }, servers_asked(url, "environment"))
      assert.same({ "https" }, servers_asked(url, ""))
    end)

    it("but never without TLS because of the environment alone", function()
      assert.same({ "http" }, servers_asked(endpoint:url("token"), "environment"))
    end)

    it("and says what is wrong with it without its password", function()
      local port = endpoint.refused_url:match(":(%d+)/")
      local down = "; check the proxy that proxy= or the environment (https_proxy) names"
      for proxy, case in pairs {
        ["http://user:hush-proxy@127.0.0.1:" .. port] = { "transient", down },
        ["http://user:hush-proxy@nowhere.invalid:1"] = { "transient", down },
        [endpoint:url("token")] = { "transient", down },
        ["bogus://user:hush-proxy@127.0.0.1:1"] = { "config", "proxy= must be a URL" },
        ["http://user:hush-proxy@:x"] = { "config", "proxy= must be a URL" },
      } do
        use { proxy = proxy }
        local err = assert_fails(case[1], false, endpoint:url("token", "https"))
        assert.matches(case[2], err.message, 1, true)
      end
    end)

    it("and says that the environment's is away", function()
      local _, output = process.run(process.lua([[
        local curl = require("tokencache.transport.curl").new()
        print(select(2, curl:request { method = "GET", url = ... }))]], endpoint:url("a", "https")),
        { environment = { https_proxy = endpoint.refused_url, no_proxy = "", NO_PROXY = "" } })
      assert.matches("; check the proxy that proxy= or the environment", output, 1, true)
    end)
  end)
end)
