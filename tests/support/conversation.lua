--- Raw TCP clients of something that is served by polling in this same process.
---
---     local client = conversation.new(port, "GET / HTTP/1.1\r\n...")
---     client:step()       -- sends and receives what can be, without blocking
---     client.received     -- so far
---     client.closed       -- by the other side

local socket = require "socket"

local conversation = {}

---@class Conversation
---@field received string
---@field closed boolean
local Conversation = {}
Conversation.__index = Conversation

---@param port integer
---@param words string    what to send
---@param host? string    default "127.0.0.1"
---@return Conversation
function conversation.new(port, words, host)
  local client = assert(host == "::1" and socket.tcp6() or socket.tcp())
  assert(client:connect(host or "127.0.0.1", port))
  client:settimeout(0)
  return setmetatable({
    socket = client, words = words, sent = 0, received = "", closed = false,
  }, Conversation)
end

function Conversation:step()
  if self.closed then
    return
  end
  if self.sent < #self.words then
    local last, _, partial = self.socket:send(self.words, self.sent + 1)
    self.sent = last or partial or self.sent
  end
  local data, problem, partial = self.socket:receive(65536)
  self.received = self.received .. (data or partial or "")
  if not data and problem ~= "timeout" then
    self.closed = true
    self.socket:close()
  end
end

---@return integer?
function Conversation:status()
  return tonumber((self.received:match("^HTTP/1%.[01] (%d%d%d) ")))
end

---@param name string  in lower case
---@return string?
function Conversation:header(name)
  for key, value in (self.received:match("^(.-\r\n)\r\n") or ""):gmatch("\n([^:\r]+): ([^\r]*)") do
    if key:lower() == name then
      return value
    end
  end
end

---@return string
function Conversation:body()
  return self.received:match("^.-\r\n\r\n(.*)$") or ""
end

--- Tells the other side that nothing more comes, once all was sent.
function Conversation:hang_up()
  if not self.closed and self.sent == #self.words then
    self.socket:shutdown("send")
  end
end

--- Ends it at once, with a reset.
function Conversation:reset()
  self.socket:setoption("linger", { on = true, timeout = 0 })
  self.socket:close()
  self.closed = true
end

return conversation
