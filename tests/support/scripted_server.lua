--- A server on the loopback that says what it was told to, whatever it hears: for answers that no
--- real server gives.
---
---     local server = scripted_server.start {
---       { "+OK\r\n", "+PO", "close" },   -- the first connection
---       { { drip = "$10\r\n", every = 0.1 } },
---     }
---     server.port
---     server:heard()  -- all that was sent to it, over all connections
---     server:stop()
---
--- Each step waits for something to come and then sends its text, or sends it byte by byte. After
--- the last step the connection stays open and silent, or is closed by "close"; "hang up" closes
--- without waiting. Further connections do as the last one. One connection is served at a time.

local loopback = require "support.loopback"
local process = require "support.process"

local scripted_server = {}

---@class ScriptedServer
---@field port integer
local Server = {}
Server.__index = Server

local CODE = [==[
  local socket = require "socket"
  local text, directory, port = ...
  local script = (loadstring or load)(text)()

  local function write(name, mode, text)
    local file = assert(io.open(directory .. "/" .. name, mode))
    file:write(text)
    file:close()
  end

  local function hear(connection)
    connection:settimeout(nil)
    local byte, problem = connection:receive(1)
    if not byte then
      return nil, problem
    end
    connection:settimeout(0)
    local all, _, part = connection:receive("*a")
    connection:settimeout(nil)
    write("heard", "ab", byte .. (all or part or ""))
    return true
  end

  local function drip(connection, text, seconds)
    for byte in text:gmatch "." do
      if not connection:send(byte) then
        return
      end
      socket.sleep(seconds)
    end
  end

  local function serve(connection, steps)
    for _, step in ipairs(steps) do
      if step == "hang up" or not hear(connection) or step == "close" then
        return
      elseif type(step) == "table" then
        drip(connection, step.drip, step.every)
      else
        connection:send(step)
      end
    end
    while hear(connection) do end
  end

  local listener = assert(socket.bind("127.0.0.1", tonumber(port)))
  write("heard", "wb", "")
  local served = 0
  while true do
    local connection = listener:accept()
    served = math.min(served + 1, #script)
    serve(connection, script[served])
    connection:close()
  end
]==]

local function literal(value)
  if type(value) ~= "table" then
    return type(value) == "string" and ("%q"):format(value) or tostring(value)
  end
  local parts = {}
  for name, member in pairs(value) do
    parts[#parts + 1] = ("[%s] = %s"):format(literal(name), literal(member))
  end
  return "{" .. table.concat(parts, ", ") .. "}"
end

---@param script table[]  a list of steps for each connection
---@return ScriptedServer
function scripted_server.start(script)
  local self = setmetatable({ directory = process.temporary_directory(),
    port = loopback.free_port() }, Server)
  self.child = process.start(process.lua(CODE, "return " .. literal(script), self.directory,
    tostring(self.port)))
  process.wait_until("the scripted server to listen", function()
    assert(self.child:is_running(), self.child:output())
    return process.read_file(self.directory .. "/heard")
  end)
  return self
end

---@return string
function Server:heard()
  return process.read_file(self.directory .. "/heard")
end

function Server:stop()
  self.child:stop()
  process.remove_directory(self.directory)
end

return scripted_server
