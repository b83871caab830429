--- Applications of Flask's and Django's, with sessions that are really theirs.
---
---     local python = python_sessions.start()
---     local answer = python:ask { app = { SECRET_KEY = "dev" }, token = { ... } }
---     answer.set_cookie, answer.token, answer.session
---     python.directory   -- for their files; Django's database is db.sqlite3 there
---     python:stop()

local json = require "tokencache.json"
local process = require "support.process"
local socket = require "socket"

local python_sessions = {}
local Python = {}
Python.__index = Python

---@param postgres? PostgresServer  Django's database, in place of SQLite's file
function python_sessions.start(postgres)
  local directory = process.temporary_directory()
  local child = process.start({ "/usr/bin/python3", "tests/servers/python_sessions.py",
    "tests/vendor/spotipy", directory, postgres and postgres.port }, { ready = true })
  local connection = assert(socket.connect("127.0.0.1", tonumber(child.ready)))
  connection:settimeout(200) -- a thousand requests of a loaded machine
  return setmetatable({ child = child, connection = connection, directory = directory }, Python)
end

---@param request table  see tests/servers/python_sessions.py
---@return table
function Python:ask(request)
  return self:begin(request)()
end

--- Does not wait: the function that is returned does, and returns the answer.
function Python:begin(request)
  assert(self.connection:send(assert(json.encode(request)) .. "\n"))
  return function() return self:answer() end
end

function Python:answer()
  local line = self.connection:receive "*l"
  return assert(json.decode(line or error(self.child:output())))
end

function Python:stop()
  self.connection:close()
  self.child:stop()
  process.remove_directory(self.directory)
end

--- The value of the cookie that an answer sets.
function python_sessions.value(set_cookie)
  return (set_cookie:match "^[^=]+=([^;]*)")
end

return python_sessions
