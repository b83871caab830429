--- Ports of the loopback.

local socket = require "socket"

local loopback = {}

--- One that nobody listens on; somebody else may take it at any time.
---@return integer
function loopback.free_port()
  local listener = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  listener:close()
  return math.floor(tonumber(port))
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
