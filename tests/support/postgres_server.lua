--- A PostgreSQL server of the tests' own, on a free port of the loopback, whose user "tester" needs
--- no password.
---
---     local server = postgres_server.start()
---     server.port, server.database   -- "postgres"
---     server:stop()

local loopback = require "support.loopback"
local process = require "support.process"

local postgres_server = {}

---@class PostgresServer
---@field port integer
---@field database string
---@field child Child
local Server = {}
Server.__index = Server

--- Debian has each version's programs in a directory of their own.
local function directory_of_programs()
  local _, found = process.run { "sh", "-c", "ls -d /usr/lib/postgresql/*/bin | tail -n 1" }
  return found:match "^(/[^\n]+)\n$" or error("no PostgreSQL: tools/dependencies.sh test", 0)
end

--- It does not run as root.
local function command(...)
  local words = process.is_root()
    and { "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups" } or {}
  for _, word in ipairs { ... } do
    words[#words + 1] = word
  end
  return words
end

---@return PostgresServer
function postgres_server.start()
  local programs, directory = directory_of_programs(), process.temporary_directory()
  local self = setmetatable({ directory = directory, database = "postgres" }, Server)
  if process.is_root() then
    process.run { "chown", "nobody", directory }
  end
  local data = directory .. "/data"
  local code, output = process.run(command(programs .. "/initdb", "--no-sync", "--auth=trust",
    "--username=tester", "--encoding=UTF8", "--locale=C", "--pgdata=" .. data))
  assert(code == 0, output)
  for _ = 1, 5 do
    self.port = loopback.free_port()
    self.child = process.start(command(programs .. "/postgres", "-D", data, "-k", directory, "-F",
      "-h", "127.0.0.1", "-p", self.port))
    process.wait_until("PostgreSQL to be ready", function()
      return not self.child:is_running()
        or self.child:output():find("ready to accept connections", 1, true)
    end)
    if self.child:is_running() then
      return self
    end
    output = self.child:output()
    self.child:stop()
  end
  error("PostgreSQL does not start:\n" .. output)
end

--- Does not wait for who is still connected.
function Server:stop()
  self.child:signal "INT"
  self.child:wait()
  self.child:stop()
  process.remove_directory(self.directory)
end

return postgres_server
