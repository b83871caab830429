--- Applications of Flask's and Django's, with sessions that are really theirs.
---
---     local python = python_sessions.start()
---     local answer = python:ask { app = { SECRET_KEY = "dev" }, token = { ... } }
---     answer.set_cookie, answer.token, answer.session
---     python:stop()

local json = require "tokencache.json"
local process = require "support.process"
local socket = require "socket"

local python_sessions = {}
local Python = {}
Python.__index = Python

function python_sessions.start()
  local child = process.start({ "/usr/bin/python3", "tests/servers/python_sessions.py",
    "tests/vendor/spotipy" }, { ready = true })
  local connection = assert(socket.connect("127.0.0.1", tonumber(child.ready)))
  connection:settimeout(20)
  return setmetatable({ child = child, connection = connection }, Python)
end

---@param request table  see tests/servers/python_sessions.py
---@return table
function Python:ask(request)
  assert(self.connection:send(assert(json.encode(request)) .. "\n"))
  local line = self.connection:receive "*l"
  return assert(json.decode(line or error(self.child:output())))
end

function Python:stop()
  self.connection:close()
  self.child:stop()
end

--- The value of the cookie that an answer sets.
function python_sessions.value(set_cookie)
  return (set_cookie:match "^[^=]+=([^;]*)")
end

return python_sessions
