--- twemproxy before two Redis servers.
---
---     local proxy = twemproxy.start()
---     proxy.port, proxy.servers
---     proxy:stop()

local loopback = require "support.loopback"
local process = require "support.process"
local redis_server = require "support.redis_server"

local Proxy = {}
Proxy.__index = Proxy

local CONFIG = [[
tokens:
  listen: 127.0.0.1:%d
  hash: fnv1a_64
  distribution: ketama
  redis: true
  hash_tag: "{}"
  servers:
   - 127.0.0.1:%d:1
   - 127.0.0.1:%d:1
]]

local function start()
  local self = setmetatable({ directory = process.temporary_directory(),
    port = loopback.free_port(), servers = { redis_server.start(), redis_server.start() } }, Proxy)
  local file = self.directory .. "/nutcracker.yml"
  process.write_file(file, CONFIG:format(self.port, self.servers[1].port,
    self.servers[2].port))
  self.child = process.start { "/usr/sbin/nutcracker", "--conf-file", file, "--output",
    self.directory .. "/log", "--stats-addr", "127.0.0.1", "--stats-port", loopback.free_port() }
  process.wait_until("twemproxy to be ready", function()
    assert(self.child:is_running(), process.read_file(self.directory .. "/log"))
    return loopback.is_listening(self.port)
  end)
  return self
end

function Proxy:stop()
  self.child:stop()
  for _, server in ipairs(self.servers) do
    server:stop()
  end
  process.remove_directory(self.directory)
end

return { start = start }
