--- Ports of the loopback.

local socket = require "socket"

local loopback = {}

local had = {}

--- Whether no server of this process had the port before. The clients of Redis and memcached keep
--- their connections by address: to one that remembers the former server, a new one on its port has
--- just hung up.
---@param port integer
---@return boolean
function loopback.is_new(port)
  local is_new = not had[port]
  had[port] = true
  return is_new
end

--- One that nobody listens on, and none of this process's servers had; somebody else may take it at
--- any time.
---@return integer
function loopback.free_port()
  local port
  repeat
    local listener = assert(socket.bind("127.0.0.1", 0))
    local _, text = listener:getsockname()
    port = math.floor(tonumber(text))
    listener:close()
  until loopback.is_new(port)
  return port
end

---@param port integer
---@return boolean
function loopback.is_listening(port)
  local client = socket.connect("127.0.0.1", port)
  if client then
    client:close()
  end
  return client ~= nil
end

return loopback
