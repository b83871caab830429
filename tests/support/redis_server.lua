--- A Redis server of the tests' own, on a free port of the loopback and a Unix socket.
---
---     local server = redis_server.start({ "--maxmemory", "5mb" }, "word")  -- its password
---     server.port, server.path   -- the socket's path
---     redis_server.start_tls(directory, "leaf")  -- port speaks TLS; see support.certificates
---     server:cli("PTTL", "key")  -- what redis-cli prints
---     server:stop()
---     server:restart()           -- on the same port, empty

local loopback = require "support.loopback"
local process = require "support.process"

local unpack = table.unpack or unpack -- luacheck: ignore 143 113

local redis_server = {}

---@class RedisServer
---@field port integer
---@field path string
---@field password? string  for cli
---@field child Child
local Server = {}
Server.__index = Server

--- Raises where the server ended by itself: somebody else may have taken the port meanwhile.
local function launch(self)
  local command = { "redis-server", self.port_option, self.port, "--bind", "127.0.0.1",
    "--unixsocket", self.path, "--dir", self.directory, "--save", "", "--appendonly", "no" }
  for _, word in ipairs(self.arguments) do
    command[#command + 1] = word
  end
  self.child = process.start(command)
  process.wait_until("redis-server to be ready", function()
    return not self.child:is_running() or self.child:output():find("Ready to accept connections")
  end)
  return self.child:is_running()
end

local function start(arguments, port_option)
  local self = setmetatable({ arguments = arguments, port_option = port_option }, Server)
  self.directory = process.temporary_directory()
  self.path = self.directory .. "/socket"
  for _ = 1, 5 do
    self.port = loopback.free_port()
    if launch(self) then
      return self
    end
    self.log = self.child:output()
    self.child:stop()
  end
  process.remove_directory(self.directory)
  error("redis-server does not start:\n" .. self.log)
end

---@param arguments? string[]  more of redis-server's
---@param password? string  of clients, masters and replicas
---@return RedisServer
function redis_server.start(arguments, password)
  local words = { unpack(arguments or {}) }
  for _, name in ipairs(password and { "--requirepass", "--masterauth" } or {}) do
    words[#words + 1] = name
    words[#words + 1] = password
  end
  local server = start(words, "--port")
  server.password = password
  return server
end

---@param directory string
---@param name string  of the certificate
---@param asks? "yes"|"no"  whether clients need a certificate
---@param more? string[]  of redis-server's arguments
---@return RedisServer
function redis_server.start_tls(directory, name, asks, more)
  local file = directory .. "/" .. name
  local words = { "--port", "0", "--tls-cert-file", file .. ".pem", "--tls-key-file",
    file .. ".key", "--tls-ca-cert-file", directory .. "/ca.pem", "--tls-auth-clients",
    asks or "no" }
  for _, word in ipairs(more or {}) do
    words[#words + 1] = word
  end
  return start(words, "--tls-port")
end

--- The kernel may not have let go of the former one's port yet.
function Server:restart()
  self.child:stop()
  process.wait_until("redis-server to start again", function()
    return launch(self) or self.child:stop()
  end)
end

--- Kills it at once; `restart` brings it back. Its threads may outlive the process by a moment.
function Server:kill()
  self.child:signal("KILL")
  self.child:wait()
  process.wait_until("the port to be free", function()
    return not loopback.is_listening(self.port)
  end)
end

--- Asks by redis-cli, through the Unix socket.
---@param ... string|integer
---@return string  what it prints
function Server:cli(...)
  local code, output = process.run({ "redis-cli", "-s", self.path, ... },
    { environment = { REDISCLI_AUTH = self.password } })
  assert(code == 0, output)
  return (output:gsub("\n$", ""))
end

function Server:stop()
  self.child:stop()
  process.remove_directory(self.directory)
end

return redis_server
