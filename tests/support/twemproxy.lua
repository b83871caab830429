--- twemproxy before a Redis server.
---
---     local proxy = twemproxy.start()
---     proxy.port
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
  servers:
   - 127.0.0.1:%d:1
]]

local function start()
  local self = setmetatable({ directory = process.temporary_directory(),
    port = loopback.free_port(), server = redis_server.start() }, Proxy)
  local file = self.directory .. "/nutcracker.yml"
  process.write_file(file, CONFIG:format(self.port, self.server.port))
  self.child = process.start { "/usr/sbin/nutcracker", "--conf-file", file, "--stats-addr",
    "127.0.0.1", "--stats-port", loopback.free_port() }
  process.wait_until("twemproxy to be ready", function()
    assert(self.child:is_running(), self.child:output())
    return loopback.is_listening(self.port)
  end)
  return self
end

function Proxy:stop()
  self.child:stop()
  self.server:stop()
  process.remove_directory(self.directory)
end

return { start = start }
