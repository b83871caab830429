-- nginx's stream {}: its ngx_lua is a module of its own, which Debian has no package of, so what
-- tokencache sees of it is played. It has the phase preread, and no threads.

local process = require "support.process"

local PLAYED = [[
  local phase
  package.loaded.ngx = {
    config = { subsystem = "stream" },
    get_phase = function() return phase end,
    sleep = function() error("no need to wait") end,
  }
  local pool, phases = require "tokencache.nginx.pool", require "tokencache.nginx.phase"
  for _, name in ipairs { "preread", "content", "timer", "balancer", "log" } do
    phase = name
    print(name, (phases.refusal()))
  end
  phase = "preread"
  for _, worker in ipairs { "http", "file", "memcached", "redis" } do
    local result, err = pool.call(worker, "any")
    print(worker, result, err.kind, err.sent, err)
  end
  print("signature", require("tokencache.flow.assertion").signature()
    == require "tokencache.worker.signature")
]]

local REFUSED = "in nginx's phase %s nothing can be waited for; get the token in "
  .. "preread_by_lua, content_by_lua or a timer\n"

local THREADS = "%s\tnil\tconfig\tfalse\tnginx has no threads for Lua in stream {}; %s\n"

describe("in nginx's stream {}", function()
  local lines

  setup(function()
    local code, output = process.run(process.lua(PLAYED))
    assert(code == 0, output)
    lines = output
  end)

  local function has(line)
    assert.truthy(lines:find(line, 1, true), lines)
  end

  it("what waits may be done in preread, in content and in a timer", function()
    has "preread\tnil\n"
    has "content\tnil\n"
    has "timer\tnil\n"
    for _, phase in ipairs { "balancer", "log" } do
      has(REFUSED:format(phase))
    end
  end)

  it("what is signed is signed here", function()
    has "signature\ttrue\n"
  end)

  it("there are no threads, and each error says what to take instead", function()
    has(THREADS:format("http", 'give the flow http = require("tokencache.transport.resty_http")'
      .. ".new()"))
    has(THREADS:format("file", "keep tokens there in a shared dictionary or in Redis"))
    has(THREADS:format("memcached", "keep tokens there in a shared dictionary or in Redis"))
    has(THREADS:format("redis", "connect to Redis by its name, without ca_file and cert_file"))
  end)
end)
