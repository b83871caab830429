--- Load on a gateway by wrk, and what is done to it meanwhile.
---
---     local load = loads.begin("http://127.0.0.1:8080/", 12, { "-H", "Connection: close" })
---     local load = loads.begin(url, 12, loads.by(cookie_headers, file))  -- of users, in turn
---     load:is_running()
---     local report = load:finish()
---     loads.tokens(server)         -- those that support.resource_server has been sent
---     local pid = loads.freeze_renewing_worker(provider)
---     loads.kill_worker(server, pid)

local process = require "support.process"

local loads = {}

---@class Load
---@field private child Child
local Load = {}
Load.__index = Load

---@class LoadReport
---@field requests integer
---@field refused integer  answers of another status than 2xx and 3xx
---@field broken integer   connections that ended without an answer
---@field late integer     answers that took longer than 30 s
---@field text string      wrk's

--- 100 connections, as fast as they are answered.
---@param url string
---@param seconds number
---@param arguments? string[]  more of wrk's; "-c10" for less
---@return Load
function loads.begin(url, seconds, arguments)
  local command = { "wrk", "-t1", "-c100", ("-d%ds"):format(seconds), "--timeout", "30s", url }
  for _, argument in ipairs(arguments or {}) do
    command[#command + 1] = argument
  end
  return setmetatable({ child = process.start(command), ends = seconds + 60 }, Load)
end

--- Arguments of wrk's: requests of these users in turn.
---@param cookies string[]  headers
---@param file string       a path to keep them at
---@param ... string        more of wrk's arguments
---@return string[]
function loads.by(cookies, file, ...)
  process.write_file(file, table.concat(cookies, "\n") .. "\n")
  local arguments = { ... }
  for _, argument in ipairs { "-s", "tests/support/rotate_cookies.lua", "--", file } do
    arguments[#arguments + 1] = argument
  end
  return arguments
end

---@return boolean
function Load:is_running()
  return self.child:is_running()
end

--- Ends it before its time; `finish` tells what there was until then.
function Load:interrupt()
  self.child:signal("INT")
end

---@return LoadReport
function Load:finish()
  self.child:wait(self.ends)
  local text = self.child:output()
  self:stop()
  local connect, read, write, timeout = text:match(
    "Socket errors: connect (%d+), read (%d+), write (%d+), timeout (%d+)")
  return {
    text = text,
    requests = tonumber((assert(text:match("(%d+) requests in"), text))),
    refused = tonumber(text:match("Non%-2xx or 3xx responses: (%d+)") or 0),
    broken = (connect or 0) + (read or 0) + (write or 0),
    late = tonumber(timeout or 0),
  }
end

function Load:stop()
  self.child:stop()
end

---@class SeenToken
---@field issued integer  Unix seconds
---@field ends integer    likewise
---@field user string     the header X-User that came with it, or ""

--- The tokens that the resource server has seen, by the time of their issue; and how many requests
--- it has refused.
---@param upstream Nginx
---@return SeenToken[]
---@return integer refused
function loads.tokens(upstream)
  local tokens = {}
  local _, body = upstream:get("/tokens")
  for issued, ends, user in body:gmatch("(%d+) (%d+) (%w*)\n") do
    tokens[#tokens + 1] = { issued = tonumber(issued), ends = tonumber(ends), user = user }
  end
  table.sort(tokens, function(a, b)
    return a.issued < b.issued
  end)
  return tokens, tonumber(body:match("refused (%d+)\n"))
end

--- For a gateway: a transport, as a Lua expression, that tells the provider which worker asks.
loads.TRANSPORT = [[
  (function()
    local transport = require("tokencache.nginx.http").new { proxy = "" }
    return { heartbeats = true, request = function(_, request)
      request.headers["X-Worker"] = tostring(ngx.worker.pid())
      return transport:request(request)
    end }
  end)()
]]

--- Stops the worker that renews a token next, before the provider has begun with it.
---@param provider OidcProvider
---@return integer pid
function loads.freeze_renewing_worker(provider)
  local pid
  provider:next_token { held = true }
  process.wait_until("a token request", function()
    pid = tonumber(provider:control("held_worker"))
    return pid
  end)
  process.freeze(pid)
  return pid
end

---@param server Nginx
---@param pid integer
---@return integer connections  that ended with it
function loads.kill_worker(server, pid)
  local _, names = process.run { "sh", "-c", "ls -l /proc/" .. pid .. "/fd" }
  os.execute("kill -KILL " .. pid)
  server:announce("worker process " .. pid .. " exited on signal 9")
  return select(2, names:gsub("socket:", ""))
end

return loads
