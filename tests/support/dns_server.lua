--- A DNS server on a free port of the loopback, which says of every name that it is 127.0.0.1.
---
---     local server = dns_server.start()
---     server.port
---     server:stop()

local process = require "support.process"

local dns_server = {}

---@class DnsServer
---@field port integer
local Server = {}
Server.__index = Server

-- RFC 1035 §4.1. The question is answered with an A record; for anything else there is none.
local CODE = [==[
  local socket = require "socket"
  local udp = assert(socket.udp())
  assert(udp:setsockname("127.0.0.1", 0))
  local _, port = udp:getsockname()
  io.stdout:write(port, "\n")
  io.stdout:flush()
  while true do
    local query, address, from = udp:receivefrom()
    local question = query:match("^[^%z]+%z....", 13)
    local is_a = question:sub(-4, -3) == "\0\1"
    local count = is_a and "\1" or "\0"
    local answer = is_a and "\192\12\0\1\0\1\0\0\0\60\0\4\127\0\0\1" or ""
    udp:sendto(query:sub(1, 2) .. "\129\128\0\1\0" .. count .. "\0\0\0\0" .. question .. answer,
      address, from)
  end
]==]

---@return DnsServer
function dns_server.start()
  local self = setmetatable({ child = process.start(process.lua(CODE)) }, Server)
  self.port = process.wait_until("the DNS server to listen", function()
    assert(self.child:is_running(), self.child:output())
    return tonumber((self.child:output():match("^(%d+)\n")))
  end)
  return self
end

function Server:stop()
  self.child:stop()
end

return dns_server
