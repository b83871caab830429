--- A memcached of the tests' own, on a free port of the loopback or on a Unix socket.
---
---     local server = memcached_server.start { "-I", "2m" }
---     server.port, server.address        -- "127.0.0.1:PORT"
---     server:ask("mg key t v")           -- what it answers to these lines
---     server:kill()  server:restart()    -- on the same port, empty
---     server:stop()
---
---     memcached_server.start({}, "/path/of/socket").address
---
---     local servers = memcached_server.several(3)   -- a list of them
---     servers.addresses  servers:stop()

local loopback = require "support.loopback"
local process = require "support.process"
local socket = require "socket"

local memcached_server = {}

---@class MemcachedServer
---@field address string
---@field port integer
---@field child Child
local Server = {}
Server.__index = Server

local function is_listening(self)
  if self.path then
    local code = process.run({ "test", "-S", self.path })
    return code == 0
  end
  return loopback.is_listening(self.port)
end

--- False where the server ended by itself: somebody else may have taken the port meanwhile.
local function launch(self)
  local command = { "memcached", "-u", "root", "-t", "1" }
  local place = self.path and { "-s", self.path } or { "-l", "127.0.0.1", "-p", self.port, "-U", 0 }
  for _, words in ipairs { place, self.arguments } do
    for _, word in ipairs(words) do
      command[#command + 1] = word
    end
  end
  self.child = process.start(command)
  process.wait_until("memcached to be ready", function()
    return not self.child:is_running() or is_listening(self)
  end)
  return self.child:is_running()
end

---@param arguments? string[]  more of memcached's
---@param path? string         of a Unix socket to listen on, instead of a port
---@return MemcachedServer
function memcached_server.start(arguments, path)
  local self = setmetatable({ arguments = arguments or {}, path = path, address = path }, Server)
  local log
  for _ = 1, 5 do
    if not path then
      self.port = loopback.free_port()
      self.address = "127.0.0.1:" .. self.port
    end
    if launch(self) then
      return self
    end
    log = self.child:output()
    self.child:stop()
  end
  error("memcached does not start:\n" .. log)
end

---@param count integer
---@return table servers  a list, with all `addresses` and a method `stop`
function memcached_server.several(count)
  local servers = { addresses = {} }
  for i = 1, count do
    servers[i] = memcached_server.start()
    servers.addresses[i] = servers[i].address
  end
  function servers:stop()
    for _, server in ipairs(self) do
      server:stop()
    end
  end
  return servers
end

--- Kills it at once; `restart` brings it back.
function Server:kill()
  self.child:signal("KILL")
  self.child:wait()
end

--- The kernel may not have let go of the former one's port yet.
function Server:restart()
  self.child:stop()
  process.wait_until("memcached to start again", function()
    return launch(self) or self.child:stop()
  end)
end

--- Speaks memcached's own protocol, as another program would.
---@param ... string  lines of a request
---@return string     the answer's lines
function Server:ask(...)
  local client = assert(socket.connect("127.0.0.1", self.port))
  client:settimeout(10)
  assert(client:send(table.concat({ ... }, "\r\n") .. "\r\nquit\r\n"))
  local answer = assert(client:receive("*a"))
  client:close()
  return (answer:gsub("\r\n$", ""):gsub("\r\n", "\n"))
end

--- Kills it: asked to end, it takes until its next full second.
function Server:stop()
  self.child:signal("KILL")
  self.child:stop()
end

return memcached_server
