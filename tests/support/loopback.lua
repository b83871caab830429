--- Ports of the loopback.

local socket = require "socket"

local loopback = {}

-- Below those that a kernel gives out by itself (on Linux from 32768 on): until our server is up
-- nobody gets its port by chance, nor does a program that runs beside this one: each has blocks of
-- its own, of which it keeps the first port bound. One after the other, so that no two servers of a
-- spec share one: the clients of Redis and memcached keep their connections by address, and to one
-- that remembers the former server a new one on its port has just hung up.
local FIRST, SIZE, BLOCKS = 11000, 50, 420
local MOST = 10 -- blocks of one program, which it goes round in

local owners, blocks, given = {}, {}, -1 -- sockets; the first ports of blocks; how many but one

local function take_block()
  local number = math.floor(socket.gettime() * 1000)
  while true do
    number = (number + 1) % BLOCKS
    local owner = assert(socket.tcp4())
    if owner:bind("127.0.0.1", FIRST + number * SIZE) then
      owners[#owners + 1] = owner
      return FIRST + number * SIZE
    end
    owner:close()
  end
end

--- One that nobody listens on.
---@return integer
function loopback.free_port()
  local port, listener
  repeat
    given = given + 1
    local i = math.floor(given / (SIZE - 1)) % MOST + 1
    blocks[i] = blocks[i] or take_block()
    port = math.floor(blocks[i] + 1 + given % (SIZE - 1))
    listener = socket.bind("127.0.0.1", port)
  until listener
  listener:close()
  return port
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
