--- Ports of the loopback.

local socket = require "socket"

local loopback = {}

-- Below those that a kernel gives out by itself (on Linux from 32768 on): until our server is up
-- nobody gets its port by chance. One after the other, so that no two servers of a spec share one:
-- the clients of Redis and memcached keep their connections by address, and to one that remembers
-- the former server a new one on its port has just hung up.
local FIRST, COUNT = 11000, 21000

--- Programs that run side by side begin far apart.
local function beginning()
  local file = io.open("/proc/self/stat")
  local pid = file and file:read("*n") or 0
  if file then
    file:close()
  end
  return math.floor(pid * 1009 + socket.gettime() * 1000) % COUNT
end

local last = beginning()

--- One that nobody listens on.
---@return integer
function loopback.free_port()
  local listener
  repeat
    last = (last + 1) % COUNT
    listener = socket.bind("127.0.0.1", FIRST + last)
  until listener
  listener:close()
  return FIRST + last
end

local kept -- a socket that is bound, and does not listen

--- One where connections are refused as long as this program lives: nobody else can have it.
---@return integer
function loopback.refusing_port()
  if not kept then
    kept = assert(socket.tcp4())
    assert(kept:bind("127.0.0.1", 0))
  end
  return tonumber((select(2, kept:getsockname())))
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
