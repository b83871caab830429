-- Heartbeats during a request over libcurl. The server is played by the heartbeats themselves, so
-- that no answer can come without them.

local curl = require "tokencache.transport.curl"
local deadline = require "support.deadline"
local fake_endpoint = require "support.fake_endpoint"
local socket = require "socket"
local stages = require "support.stage"
local threads = require "support.threads"
local tokencache = require "tokencache"
local unix = require "support.unix"

local INTERVAL = 0.01
local ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n"
  .. '{"access_token": "slow"}'

describe("a request with heartbeats", function()
  local transport, listener, url, client, received, beats

  before_each(function()
    received, beats = "", 0
    transport = curl.new { proxy = "" }
    listener = assert(socket.bind("127.0.0.1", 0))
    url = "http://127.0.0.1:" .. select(2, listener:getsockname()) .. "/token"
  end)

  after_each(function()
    transport:close()
    listener:close()
    if client then
      client:close()
      client = nil
    end
  end)

  --- Whether the request is there by now. It waits for nothing: nobody sends while this runs.
  local function has_arrived()
    listener:settimeout(0)
    client = client or listener:accept()
    if not client then
      return false
    end
    client:settimeout(0)
    local whole, _, part = client:receive("*a")
    received = received .. (whole or part)
    local length = received:match("[Cc]ontent%-[Ll]ength: (%d+)\r\n")
    local body = received:match("\r\n\r\n(.*)$")
    return body ~= nil and #body == tonumber(length)
  end

  local function post(heartbeat, to)
    return transport:request { method = "POST", url = to or url, body = "a=b", timeout = 10,
      heartbeat = heartbeat, heartbeat_interval = INTERVAL }
  end

  --- Answers at the fourth heartbeat after the request has come; returns the number of those.
  local function serve()
    if has_arrived() then
      beats = beats + 1
    end
    if beats == 4 then
      client:settimeout(10)
      assert(client:send(ANSWER))
    end
    return beats
  end

  local function nothing() end

  it("calls back until the answer is there", function()
    local response = assert(post(serve))
    assert.equal(200, response.status)
    assert.equal('{"access_token": "slow"}', response.body)
    assert.is_true(beats >= 4)
  end)

  it("keeps its deadline", function()
    deadline.enough(0.2, function(seconds)
      local response, err = transport:request { method = "POST", url = url, body = "a=b",
        timeout = seconds, heartbeat = function() end, heartbeat_interval = INTERVAL }
      assert.is_nil(response)
      assert.equal("timeout", err.kind)
      return err.sent
    end)
  end)

  it("may be beside another one while its heartbeat yields", function()
    local endpoint = fake_endpoint.start()
    finally(function() endpoint:stop() end)
    local thread = coroutine.create(function()
      return post(function()
        serve()
        coroutine.yield()
      end)
    end)
    assert(coroutine.resume(thread))
    assert.matches("access%-1", assert(post(nil, endpoint:url("token"))).body)
    assert.matches("access%-2", assert(post(nothing, endpoint:url("token"))).body)
    local _, response
    repeat
      _, response = assert(coroutine.resume(thread))
    until coroutine.status(thread) == "dead"
    assert.equal('{"access_token": "slow"}', response.body)
    assert.matches("access%-3", assert(post(nil, endpoint:url("token"))).body)
  end)

  it("is given up where the heartbeat raises", function()
    local ok, problem = pcall(post, function()
      if has_arrived() then
        error("a bug", 0)
      end
    end)
    assert.same({ false, "a bug" }, { ok, problem })
    collectgarbage()
    collectgarbage()
    client:settimeout(10)
    assert.equal("closed", select(2, client:receive())) -- the connection
    client, received = nil, ""
    assert(post(serve))
  end)

  it("is finished where the transport is closed meanwhile", function()
    local response = assert(post(function()
      serve()
      transport:close()
    end))
    assert.equal(200, response.status)
    assert.has_error(function() post() end, "request: the transport is closed")
  end)

  it("stays the parent's where the process forks meanwhile", function()
    local child
    local response, err = post(function()
      if child ~= 0 and serve() == 2 then
        child = unix.fork()
      end
    end)
    if child == 0 then
      local told = not response and err.kind == "transient" and err.sent
        and err.message:find("forked", 1, true)
      unix.exit(told and 0 or 1)
    end
    assert.equal(0, unix.wait(child))
    assert.equal(200, assert(response).status)
  end)

  it("shares its connection with requests without", function()
    local endpoint = fake_endpoint.start { tls = true }
    finally(function() endpoint:stop() end)
    transport = curl.new { proxy = "", ca_file = endpoint.ca_file }
    for _, heartbeat in ipairs { false, nothing, false, nothing } do
      assert(post(heartbeat, endpoint:url("token", "https")))
    end
    assert.equal(1, endpoint:connections())
  end)

  it("fails as others do", function()
    local endpoint = fake_endpoint.start()
    finally(function() endpoint:stop() end)
    for _, case in ipairs {
      { endpoint.refused_url, "transient", false }, { endpoint:url("reset"), "transient", true },
      { endpoint:url("close-unanswered"), "transient", true },
      { endpoint:url("large"), "protocol", true }, { "nonsense", "config", false },
    } do
      local response, err = post(nothing, case[1])
      assert.is_nil(response)
      assert.equal(case[2], err.kind, case[1])
      assert.equal(case[3], err.sent, case[1])
    end
  end)

  it("keeps a lock", function()
    local stage = stages.new { lock = "extendable" }
    stage.io.monotonic, stage.yields = nil, true -- curl's deadlines are real
    stage.on.extend_lock = function()
      serve()
      return true
    end
    local flow = stage:flow {
      provider = { token_url = url },
      http = { heartbeats = true, request = function(_, request)
        assert.equal(3, request.heartbeat_interval)
        request.heartbeat_interval = INTERVAL
        return transport:request(request)
      end },
    }
    local yielded, token = threads.run(function() return flow:get_access_token() end)
    assert.equal("slow", token)
    assert.matches("^load try_lock load extend_lock extend_lock", yielded)
    tokencache.set_logger(nil)
  end)
end)
