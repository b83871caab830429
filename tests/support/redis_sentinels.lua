--- A Redis master with a replica, and three sentinels that watch them.
---
---     local group = redis_sentinels.start()
---     tokencache.store.redis(group:options { timeout = 1 })
---     group:master(), group:replica()   -- servers, as the sentinels see them; see redis_server
---     group:wait_until_ready()          -- once something was killed, or is to be
---     group:switch()                    -- the two, as an operator does it
---     group:stop()

local core = require "tokencache._core"
local loopback = require "support.loopback"
local merged = require "support.merged"
local process = require "support.process"
local redis_server = require "support.redis_server"

local NAME = "tokens"

local Group = {}
Group.__index = Group

local CONFIG = [[
port %d
bind 127.0.0.1
dir %s
sentinel monitor tokens 127.0.0.1 %d 2
sentinel down-after-milliseconds tokens 500
sentinel failover-timeout tokens 2000
]]

local function start_sentinel(directory, master_port, more)
  local port = loopback.free_port()
  local file = ("%s/sentinel-%d.conf"):format(directory, port)
  process.write_file(file, CONFIG:format(port, directory, master_port) .. more)
  return { port = port, child = process.start { "redis-server", file, "--sentinel" } }
end

--- What a sentinel says, by redis-cli.
function Group:ask(sentinel, ...)
  local code, output = process.run({ "redis-cli", "-p", sentinel.port, ... },
    { environment = { REDISCLI_AUTH = self.sentinel_password } })
  return code == 0 and output or ""
end

--- Whether all sentinels see each other, and a replica that may follow the master.
local function is_ready(self)
  for _, sentinel in ipairs(self.sentinels) do
    local state = self:ask(sentinel, "SENTINEL", "MASTER", NAME)
    local replica = self:ask(sentinel, "SENTINEL", "REPLICAS", NAME)
    if not state:find "num%-other%-sentinels\n2\n" or not state:find "\nflags\nmaster\n"
      or not replica:find "\nflags\nslave\n" or not replica:find "master%-link%-status\nok\n" then
      return false
    end
  end
  return true
end

---@param settings? { password?: string, sentinel_password?: string }
local function start(settings)
  settings = settings or {}
  local self = setmetatable({ directory = process.temporary_directory(),
    sentinel_password = settings.sentinel_password, servers = {}, sentinels = {} }, Group)
  local words = { "--repl-diskless-sync-delay", "0", "--save", "", "--repl-timeout", "5" }
  local more = settings.password and "sentinel auth-pass tokens " .. settings.password .. "\n" or ""
  if settings.sentinel_password then
    more = more .. ("requirepass %s\nsentinel sentinel-pass %s\n"):format(
      settings.sentinel_password, settings.sentinel_password)
  end
  self.servers[1] = redis_server.start(words, settings.password)
  words[#words + 1] = "--replicaof"
  words[#words + 1] = "127.0.0.1 " .. self.servers[1].port
  self.servers[2] = redis_server.start(words, settings.password)
  for i = 1, 3 do
    self.sentinels[i] = start_sentinel(self.directory, self.servers[1].port, more)
  end
  self:wait_until_ready()
  return self
end

--- Until the sentinels see all, and nothing is under way.
function Group:wait_until_ready()
  process.wait_until("the sentinels to be at rest", function() return is_ready(self) end, 60)
end

---@param more? table
function Group:options(more)
  local addresses = {}
  for i, sentinel in ipairs(self.sentinels) do
    addresses[i] = "127.0.0.1:" .. sentinel.port
  end
  return merged({ sentinels = addresses, master = NAME, connect_timeout = 60,
    password = self.servers[1].password, sentinel_password = self.sentinel_password }, more)
end

--- The port of the master, as most sentinels have it.
local function master_port(self)
  local votes = {}
  for _, sentinel in ipairs(self.sentinels) do
    local port = tonumber(self:ask(sentinel, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)
      :match "\n(%d+)\n")
    votes[port or 0] = (votes[port or 0] or 0) + 1
    if port and votes[port] >= 2 then
      return port
    end
  end
end

function Group:master()
  local port
  process.wait_until("most sentinels to agree on a master", function()
    port = master_port(self)
    return port
  end)
  return self.servers[1].port == port and self.servers[1] or self.servers[2]
end

--- As of a cluster: it has all keys.
function Group:master_of()
  return self:master()
end

function Group:replica()
  return self:master() == self.servers[1] and self.servers[2] or self.servers[1]
end

--- SENTINEL FAILOVER, until the replica is the master. The sentinels leave the old one a master for
--- ten seconds more. They may give a failover up; then they are told again.
function Group:switch()
  local before, told = self:master(), -math.huge
  process.wait_until("the sentinels to fail over", function()
    if core.monotonic() - told > 5 then
      told = core.monotonic()
      self:ask(self.sentinels[1], "SENTINEL", "FAILOVER", NAME)
    end
    return self:master() ~= before
  end, 60)
end

function Group:stop()
  for _, sentinel in ipairs(self.sentinels) do
    sentinel.child:stop()
  end
  for _, server in ipairs(self.servers) do
    server:stop()
  end
  process.remove_directory(self.directory)
end

return { start = start, NAME = NAME }
