local conversation = require "support.conversation"
local core = require "tokencache._core"
local process = require "support.process"
local redirect_listener = require "support.redirect_listener"
local socket = require "socket"

local STATE, callback = redirect_listener.STATE, redirect_listener.callback
local MARK = "Xecho-me-if-you-dareX" -- part of every foreign request, of no answer

describe("the redirect listener, among strangers,", function()
  local server

  local function open(options)
    server = redirect_listener.open(options)
    return server
  end

  after_each(redirect_listener.close_last)

  describe("what is not the callback", function()
    local function mine(parameters)
      return "/callback?" .. parameters .. "&m=" .. MARK
    end

    local foreign = {
      { 404, "GET", "/favicon.ico?" .. MARK },
      { 404, "GET", "/?code=1&state=" .. STATE .. MARK },
      { 404, "GET", "/callback/?code=1&state=" .. STATE },
      { 404, "GET", "/Callback?code=1&state=" .. STATE },
      { 404, "GET", "/callbac%6b?code=1&state=" .. STATE },
      { 404, "GET", "http://127.0.0.1/callback?code=1&state=" .. STATE },
      { 400, "GET", "/callback" },
      { 400, "GET", "/callback?" },
      { 400, "GET", mine "code=1" },
      { 400, "GET", mine "code=1&state" },
      { 400, "GET", mine "code=1&state=" },
      { 400, "GET", mine("code=1&state=" .. STATE .. "x") },
      { 400, "GET", mine("code=1&state=" .. STATE:sub(1, -2)) },
      { 400, "GET", mine("code=1&state=" .. STATE:upper()) },
      { 400, "GET", mine("code=1&state=" .. STATE .. "%00") },
      { 400, "GET", mine("code=1&State=" .. STATE) },
      { 400, "GET", mine("code=1&state=" .. STATE .. "&state=" .. STATE) },
      { 400, "GET", mine("code=1&state=" .. STATE .. "&state=forged") },
      { 400, "GET", mine("code=1&state=forged&state=" .. STATE) },
      { 400, "GET", mine("code=1&state=" .. STATE .. "&%73tate=" .. STATE) },
      { 400, "GET", mine("code=1&state=" .. STATE .. "&state") },
      { 400, "GET", mine "code=1&state=%zz" },
      { 400, "GET", mine "error=<script>alert(1)</script>&state=forged" },
      { 400, "HEAD", mine("code=1&state=" .. STATE) },
      { 400, "PUT", mine("code=1&state=" .. STATE) },
      { 400, "DELETE", mine("code=1&state=" .. STATE) },
      { 400, "OPTIONS", mine("code=1&state=" .. STATE) },
      { 400, "BREW", mine("code=1&state=" .. STATE) },
      { 400, "POST", mine("code=1&state=" .. STATE), {}, "code=1&state=" .. STATE },
      { 400, "GET", mine("code=1&state=" .. STATE), { Host = "evil.example" } },
      { 400, "GET", mine("code=1&state=" .. STATE), { Host = "localhost" } },
      { 400, "GET", mine("code=1&state=" .. STATE), { Host = "127.0.0.1" } },
      { 400, "GET", mine("code=1&state=" .. STATE), { Host = "127.0.0.1:1" } },
      { 400, "GET", mine("code=1&state=" .. STATE), { Host = "" } },
    }

    it("is refused, forgotten and never echoed", function()
      open()
      for _, case in ipairs(foreign) do
        local what = case[2] .. " " .. case[3] .. " " .. (case[4] and case[4].Host or "")
        local client = server:ask(server:http(case[2], case[3], case[4], case[5]))
        assert.is_nil(server.query, what)
        assert.equal(case[1], client:status(), what)
        assert.is_nil(client.received:find(MARK, 1, true), what)
        assert.is_nil(client.received:find("<script", 1, true), what)
      end
      assert.is_true(server:still_waits())
    end)

    it("is refused where it names two hosts, or none", function()
      open()
      local target = "GET /callback?code=1&state=" .. STATE .. " HTTP/1."
      local ours = "Host: 127.0.0.1:" .. server.port .. "\r\n"
      for _, raw in ipairs {
        target .. "1\r\n\r\n",
        target .. "0\r\n\r\n",
        target .. "1\r\n" .. ours .. ours .. "\r\n",
        target .. "1\r\n" .. ours .. "Host: evil.example\r\n\r\n",
      } do
        local client = server:ask(raw)
        assert.is_nil(server.query, raw)
        assert.is_true(client.received == "" or client:status() == 400, raw)
      end
      assert.is_true(server:still_waits())
    end)

    it("may be no HTTP at all #c", function()
      open()
      for _, raw in ipairs {
        "SSH-2.0-OpenSSH_9.2\r\n\r\n", "\22\3\1\2\0\1\0\1\252\3\3" .. ("\r\n"):rep(9),
        ("\0"):rep(1000) .. "\r\n\r\n", "GET\r\n\r\n", "GET \r\n\r\n", " \r\n\r\n",
        "GET /callback\r\n\r\n", ("A"):rep(200000), ("a: b\r\n"):rep(20000),
        "POST /callback HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST /callback HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
      } do
        local client = server:connect(raw)
        process.wait_until("the connection to be closed", function()
          server:poll()
          client:step()
          client:hang_up()
          return client.closed
        end)
        assert.is_nil(server.query)
      end
      assert.is_true(server:still_waits())
    end)

    it("may hide the callback behind another request", function()
      open()
      local host = "Host: 127.0.0.1:" .. server.port .. "\r\n"
      local hidden = server:http("GET", callback("smuggled"))
      local chunked = ("%x\r\n%s\r\n0\r\n\r\n"):format(#hidden, hidden)
      for _, raw in ipairs {
        server:http("GET", "/favicon.ico") .. hidden,
        server:http("GET", "/callback?state=forged") .. hidden,
        "POST /callback HTTP/1.1\r\n" .. host .. "Content-Length: 0\r\n\r\n" .. hidden,
        "POST /callback HTTP/1.1\r\n" .. host .. "Content-Length: 0\r\nContent-Length: "
          .. #hidden .. "\r\n\r\n" .. hidden,
        "POST /callback HTTP/1.1\r\n" .. host .. "Content-Length: 4\r\n"
          .. "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" .. hidden,
        "POST /callback HTTP/1.1\r\n" .. host .. "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
          .. hidden,
        "POST /x HTTP/1.1\r\n" .. host .. "Transfer-Encoding : chunked\r\n\r\n" .. chunked,
        "GET /x HTTP/1.1\r\n" .. host .. "X: a\n\n" .. hidden,
        "GET /x HTTP/1.1\r\n" .. host .. "Connection: keep-alive\r\n\r\n" .. hidden,
      } do
        local client = server:connect(raw)
        process.wait_until("the connection to be closed", function()
          server:poll()
          client:step()
          client:hang_up()
          return client.closed
        end)
        assert.is_nil(server.query, raw)
      end
      assert.is_true(server:still_waits())
    end)

    it("may come and go without a word", function()
      open()
      for i = 1, 100 do
        local client = server:connect(i % 2 == 0 and "GET /callb" or "")
        client:step()
        if i % 3 == 0 then server:poll(0) end
        client:reset()
      end
      for _ = 1, 20 do -- answers that nobody reads
        local client = server:connect(server:http("GET", "/callback?state=forged"))
        client:step()
        client:reset()
      end
      assert.is_true(server:still_waits())
    end)

    it("may be a query of 1 MB", function()
      open()
      local client = server:get("/callback?state=" .. STATE .. "&code=" .. ("c"):rep(1000000))
      assert.is_nil(server.query)
      assert.is_true(client.received == "" or client:status() >= 400)
      assert.is_true(server:still_waits())
    end)

    it("may hold NULs: what follows one is not seen", function()
      open()
      --- libmicrohttpd ends such a connection from 1.0 on.
      local function is_refused(target)
        local client = server:get(target)
        return client.received == "" or client:status() >= 400
      end
      assert.is_true(is_refused("/callback?code=a\0b&state=" .. STATE))
      assert.is_true(is_refused("/call\0back?code=a&state=" .. STATE))
      assert.is_nil(server.query)
      if is_refused("/callback?state=" .. STATE .. "&code=a\0b") then
        assert.is_true(server:still_waits())
      else
        assert.equal("state=" .. STATE .. "&code=a", server:wait_for_query())
      end
    end)
  end)

  describe("under load", function()
    --- 500 connections from another process, each of which sends `words` at once and, where there
    --- are any, expects an answer that matches `pattern`.
    local function start_crowd(words, pattern)
      return process.start(process.lua([[
        local port, words, pattern = ...
        local socket = require "socket"
        local function connect()
          local client = assert(socket.connect("127.0.0.1", tonumber(port)))
          assert(client:send(words))
          return client
        end
        local clients = {}
        for i = 1, 500 do
          clients[i] = connect()
        end
        for i = 1, words == "" and 0 or #clients do
          local answer
          repeat -- who was slow while others waited for a place is sent away, and comes again
            answer = clients[i]:receive("*a")
            clients[i] = not answer and connect() or clients[i]
          until answer
          assert(answer:match(pattern), answer)
        end
        local ready = io.open(os.getenv("READY_FILE"), "w")
        ready:write("done\n")
        ready:close()
        socket.sleep(60)
      ]], tostring(server.port), words, pattern or ""))
    end

    local function is_done(crowd)
      assert.is_true(crowd:is_running(), crowd:output())
      return process.read_file(crowd.directory .. "/ready") == "done\n"
    end

    it("answers 1,000 at once", function()
      open()
      local request = server:http("GET", "/callback?state=forged")
      local one = start_crowd(request, "^HTTP/1.1 400 ")
      local other = start_crowd(request, "^HTTP/1.1 400 ")
      process.wait_until("all to be answered", function()
        server:poll()
        return is_done(one) and is_done(other)
      end)
      one:stop()
      other:stop()
      assert.is_true(server:still_waits())
    end)

    it("hears the callback among 1,000 that say nothing", function()
      open()
      local one, other = start_crowd(""), start_crowd("")
      process.wait_until("the crowds", function() return is_done(one) and is_done(other) end)
      server:get(callback("1"))
      assert.equal("code=1&state=" .. STATE, server:wait_for_query())
      one:stop()
      other:stop()
    end)

    it("gives up a connection that sends a byte now and then #c", function()
      open()
      local text = server:http("GET", "/callback?code=slow&state=" .. STATE)
      local slow = server:connect("")
      local start = core.monotonic()
      process.wait_until("the slow one to be closed", function()
        slow.words = text:sub(1, math.floor(core.monotonic() - start) + 1)
        slow:step()
        server:poll(0.05)
        return slow.closed
      end)
      assert.equal("", slow.received)
      assert.is_nil(server.query)
      assert.is_true(server:still_waits())
    end)

    it("goes on where the process has no file descriptors left", function()
      local child = process.lua([[
        local redirect = require "tokencache._redirect"
        local listener = assert(redirect.open {
          host = "127.0.0.1", port = 0, path = "/callback", state = "st" })
        local ready = io.open(os.getenv("READY_FILE"), "w")
        ready:write(listener:port(), "\n")
        ready:close()
        local query, err
        for _ = 1, 4 * 60 do
          query, err = listener:poll(0.25)
          if query or err then break end
        end
        print(query, err)
      ]])
      local limited = process.start(
        process.behind({ "sh", "-c", 'ulimit -n 24 && exec "$@"', "sh" }, child), { ready = true })
      local port = tonumber(limited.ready)
      local idle = {}
      for i = 1, 100 do
        idle[i] = assert(socket.connect("127.0.0.1", port))
      end
      local client = conversation.new(port,
        ("GET /callback?code=1&state=st HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n"):format(port))
      process.wait_until("the answer", function()
        client:step()
        return client.closed
      end)
      assert.equal(200, client:status())
      limited:wait()
      assert.equal("code=1&state=st\tnil\n", limited:output())
      limited:stop()
      for _, one in ipairs(idle) do
        one:close()
      end
    end)
  end)
end)
