-- examples/nginx/gateway.conf as it stands.

local fake_endpoint = require "support.fake_endpoint"
local merged = require "support.merged"
local nginx = require "support.nginx"
local nginx_example = require "support.nginx_example"
local process = require "support.process"
local socket = require "socket"

describe("examples/nginx/run.sh gateway", function()
  local at_end = require("support.at_end")()
  local endpoint

  before_each(function()
    endpoint = fake_endpoint.start()
  end)

  after_each(function()
    endpoint:stop()
  end)

  local function environment(token_url)
    return { TOKEN_URL = token_url or endpoint:url("token"), CLIENT_ID = "a", CLIENT_SECRET = "b",
      API = "127.0.0.1:" .. endpoint.ports.http }
  end

  --- It is stopped at the end of the test, unless that has done so before.
  local function start(settings, former)
    local gateway = nginx_example.start("gateway", settings, former)
    at_end(function() gateway:stop() end)
    return gateway
  end

  --- The Authorization headers that the API was sent, and the number of token requests.
  local function received()
    local all, token_requests = {}, 0
    for _, request in ipairs(endpoint:requests()) do
      if request.url == "/token" then
        token_requests = token_requests + 1
      else
        all[#all + 1] = request.headers.authorization or "none"
      end
    end
    return all, token_requests
  end

  it("puts a token into what it passes on, one for all, and over a restart", function()
    local gateway = start(environment())
    for _ = 1, 10 do
      assert.equal(200, gateway:request("GET", "/headers").status)
    end
    gateway:stop { keep = true }
    gateway = start(environment(), gateway)
    assert.equal(200, gateway:request("GET", "/headers").status)
    assert.equal("600", gateway.directory:mode("token.json"))
    gateway:stop()
    local headers, token_requests = received()
    assert.equal(1, token_requests)
    assert.equal(11, #headers)
    for _, header in ipairs(headers) do
      assert.equal("Bearer access-1", header)
    end
  end)

  it("names its address only where nginx has started", function()
    local gateway = start(environment())
    process.wait_until("the address", function()
      return gateway.child:output():find(gateway.url .. "/ is the gateway of", 1, true)
    end)
    local second = process.start({ "examples/nginx/run.sh", "gateway" },
      { environment = merged({ PORT = tostring(gateway.port), STATE = gateway.directory.path
        .. "/second" }, environment()), directory = os.getenv("PWD") })
    at_end(function() second:stop() end)
    process.wait_until("nginx to give up", function() return not second:is_running() end, 60)
    assert.matches("Address already in use", second:output(), 1, true)
    assert.is_nil(second:output():find(gateway.url, 1, true))
    gateway:stop()
  end)

  it("passes on the same to the API, whether it had to wait for the token or not", function()
    endpoint:behave("status/503?retry_after=1", "token")
    endpoint:behave("token", "token")
    local gateway = start(environment())
    for _ = 1, 2 do
      local request = nginx.begin(gateway.port, "/headers?a=%2F+b", { method = "PUT",
        headers = { ["X-Test"] = "as it came" }, body = ("x"):rep(100000) })
      assert.equal(200, (request:finish()))
    end
    gateway:stop()
    local urls = {}
    for i, request in ipairs(endpoint:requests()) do
      urls[i] = request.url
      if request.url ~= "/token" then
        assert.same({ "PUT", "as it came", ("x"):rep(100000) },
          { request.method, request.headers["x-test"], request.body })
      end
    end
    assert.same({ "/token", "/token", "/headers?a=%2F+b", "/headers?a=%2F+b" }, urls)
  end)

  it("lets nobody bring a token of their own", function()
    local gateway = start(environment())
    gateway:request("GET", "/headers", { Authorization = "Bearer mine" })
    gateway:stop()
    assert.same({ "Bearer access-1" }, (received()))
  end)

  it("repeats what the API refuses with another token", function()
    local gateway = start(environment())
    assert.equal(401, gateway:request("GET", "/invalid-client").status) -- the API's own, again
    gateway:stop()
    assert.same({ "Bearer access-1", "Bearer access-1" }, (received())) -- it is new
  end)

  it("answers 503 while the provider is away, and passes nothing on", function()
    local gateway = start(environment(endpoint.refused_url))
    local answer = gateway:request("GET", "/headers")
    assert.is_nil(gateway.child:output():find("can be waited for", 1, true))
    gateway:stop { errors = "transient: http://127.0.0.1:%d+" }
    assert.equal(503, answer.status)
    assert.equal("1", answer.headers["retry-after"])
    assert.same({}, (received()))
  end)

  it("is one configuration of fewer than 40 lines, as that of the login gateway is", function()
    for _, name in ipairs { "gateway", "login" } do
      local text = process.read_file("examples/nginx/" .. name .. ".conf")
      assert.is_true(select(2, text:gsub("\n", "")) < 40, name)
    end
    assert.equal("", select(2, process.run { "sh", "-c", "ls examples/nginx | grep lua" }))
  end)

  it("needs nothing else, and leaves nothing running", function()
    local gateway = start { TOKEN_URL = "" }
    local body = gateway:request("GET", "/things?id=1").body
    assert.matches("^The API got /things%?id=1 with Bearer [%w_-]+%.%.%.\n$", body)
    body = gateway:request("GET", "/metrics").body
    assert.matches('tokencache_refresh_duration_seconds_count{[^}]*} 1\n', body)
    local ready = io.open(gateway.directory:file("ready"))
    local provider_port = tonumber(ready:read("*l"):match("%d+$"))
    ready:close()
    gateway:stop()
    assert.is_nil((socket.connect("127.0.0.1", gateway.port)))
    assert.is_nil((socket.connect("127.0.0.1", provider_port)))
  end)
end)
