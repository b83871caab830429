--- A redirect listener, and clients that talk to it while it is polled here.
---
---     local server = redirect_listener.open { fragment = true }
---     server:get("/callback?code=1&state=" .. redirect_listener.STATE):status()
---     server:wait_for_query()

local conversation = require "support.conversation"
local merged = require "support.merged"
local process = require "support.process"
local redirect = require "tokencache._redirect"

local redirect_listener = { STATE = "st-8Zk2_p~QvX" }

---@class RedirectListener
---@field listener userdata
---@field port integer
---@field query? string  once the callback was reported
local RedirectListener = {}
RedirectListener.__index = RedirectListener

--- What the module's own `open` is given: the defaults, and what `options` says instead.
---@param options? table
---@return table
function redirect_listener.options(options)
  return merged({
    host = "127.0.0.1", port = 0, path = "/callback", state = redirect_listener.STATE,
  }, options)
end

local last = setmetatable({}, { __mode = "v" }) -- the listener opened last, unless it is forgotten

---@param options? table
---@return RedirectListener
function redirect_listener.open(options)
  local listener = assert(redirect.open(redirect_listener.options(options)))
  last[1] = setmetatable({ listener = listener, port = listener:port() }, RedirectListener)
  return last[1]
end

--- For after_each.
function redirect_listener.close_last()
  if last[1] then
    last[1]:close()
    last[1] = nil
  end
end

--- The callback's target, with that code.
---@param code string
---@return string
function redirect_listener.callback(code)
  return "/callback?code=" .. code .. "&state=" .. redirect_listener.STATE
end

function RedirectListener:close()
  self.listener:close()
end

---@param seconds? number
---@return string?
function RedirectListener:poll(seconds)
  local problem
  if not self.query then
    self.query, problem = self.listener:poll(seconds or 0.002)
  end
  assert(problem == nil, tostring(problem))
  return self.query
end

---@return string
function RedirectListener:wait_for_query()
  return process.wait_until("the callback to be reported", function() return self:poll() end)
end

--- A request as a browser writes it, with the right Host header unless `headers` has one.
---@param method string
---@param target string
---@param headers? table<string, string>
---@param body? string
---@return string
function RedirectListener:http(method, target, headers, body)
  local lines = { method .. " " .. target .. " HTTP/1.1" }
  for name, value in pairs(headers or {}) do
    lines[#lines + 1] = name .. ": " .. value
  end
  if not (headers and headers.Host) then
    lines[#lines + 1] = "Host: 127.0.0.1:" .. self.port
  end
  if body then
    lines[#lines + 1] = "Content-Length: " .. #body
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (body or "")
end

--- Connects; nothing is sent yet.
---@param words string
---@param host? string
---@return Conversation
function RedirectListener:connect(words, host)
  return conversation.new(self.port, words, host)
end

--- Serves until the listener has closed that connection.
---@param client Conversation
---@return Conversation
function RedirectListener:finish(client)
  process.wait_until("the connection to be closed", function()
    self:poll()
    client:step()
    return client.closed
  end)
  return client
end

---@return Conversation
function RedirectListener:ask(words, host)
  return self:finish(self:connect(words, host))
end

---@return Conversation
function RedirectListener:get(target, headers)
  return self:ask(self:http("GET", target, headers))
end

---@return Conversation
function RedirectListener:post(target, body, headers)
  return self:ask(self:http("POST", target, headers, body))
end

--- Whether the listener has reported nothing yet, and still hears its callback.
---@return boolean
function RedirectListener:still_waits()
  local reported = self:poll(0)
  self:get(redirect_listener.callback("late"))
  return reported == nil and self:wait_for_query() == "code=late&state=" .. redirect_listener.STATE
end

return redirect_listener
