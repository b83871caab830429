--- A Redis Cluster of the tests' own: three masters, each with a replica.
---
---     local group = redis_cluster.start()
---     tokencache.store.redis(group:options { timeout = 1 })
---     group:master_of "key"      -- the server, as the others see it; see redis_server
---     group:replica_of(master)
---     local from = group:begin_to_move(slot, to)
---     group:move_keys(slot, from, to)
---     group:finish_move(slot, from, to)
---     group:add(), group:remove()  -- a node that comes, and goes
---     group:stop()

local loopback = require "support.loopback"
local merged = require "support.merged"
local process = require "support.process"
local redis_server = require "support.redis_server"

local unpack = table.unpack or unpack -- luacheck: ignore 143 113

local MASTERS = 3
local SLOTS = 16384

local Group = {}
Group.__index = Group

local function start_node(password)
  local bus = loopback.free_port()
  local server = redis_server.start({ "--cluster-enabled", "yes", "--cluster-port", bus,
    "--cluster-node-timeout", "1000", "--cluster-replica-validity-factor", "0",
    "--repl-diskless-sync-delay", "0" }, password)
  server.bus = bus
  server.id = server:cli("CLUSTER", "MYID")
  return server
end

local function is_ready(self)
  for _, server in ipairs(self.servers) do
    local info, nodes = server:cli("CLUSTER", "INFO"), server:cli("CLUSTER", "NODES")
    local _, replicas = nodes:gsub("slave", "")
    if not info:find "cluster_state:ok" or replicas ~= MASTERS or nodes:find "handshake"
      or not info:find(("cluster_known_nodes:%d\r"):format(#self.servers))
      or server:cli("ROLE"):find "^slave" and not server:cli("ROLE"):find "\nconnected" then
      return false
    end
  end
  return true
end

---@param settings? { password?: string }
local function start(settings)
  local self = setmetatable({ servers = {} }, Group)
  for i = 1, 2 * MASTERS do
    self.servers[i] = start_node(settings and settings.password)
    self.servers[i]:cli("CLUSTER", "SET-CONFIG-EPOCH", i)
  end
  local first = self.servers[1]
  for i = 1, MASTERS do
    self.servers[i]:cli("CLUSTER", "ADDSLOTSRANGE", math.floor((i - 1) * SLOTS / MASTERS),
      math.floor(i * SLOTS / MASTERS) - 1)
  end
  for i = 2, 2 * MASTERS do
    first:cli("CLUSTER", "MEET", "127.0.0.1", self.servers[i].port, self.servers[i].bus)
  end
  for i = 1, MASTERS do
    process.wait_until("a replica to know its master", function()
      return self.servers[i + MASTERS]:cli("CLUSTER", "REPLICATE", self.servers[i].id) == "OK"
    end)
  end
  process.wait_until("the cluster to be ready", function() return is_ready(self) end)
  return self
end

---@param more? table
function Group:options(more)
  local addresses = {}
  for i, server in ipairs(self.servers) do
    addresses[i] = "127.0.0.1:" .. server.port
  end
  return merged({ cluster = addresses, connect_timeout = 60,
    password = self.servers[1].password }, more)
end

--- What one of the servers that run says.
local function ask(self, ...)
  for _, server in ipairs(self.servers) do
    if server.child:is_running() then
      return server:cli("CLUSTER", ...)
    end
  end
end

local function by_id(self, id)
  for _, server in ipairs(self.servers) do
    if server.id == id then
      return server
    end
  end
end

---@param key string
---@return integer
function Group:slot_of(key)
  return tonumber(ask(self, "KEYSLOT", key))
end

--- The master of a slot, by what a node says.
local function owner(self, nodes, slot)
  for line in nodes:gmatch "[^\n]+" do
    local id, flags, ranges = line:match "^(%S+) %S+ (%S+) %S+ %S+ %S+ %S+ %S+ ?(.*)$"
    for range in flags:find "master" and ranges:gmatch "%S+" or function() end do
      local from, to = range:match "^(%d+)%-?(%d*)$"
      from, to = tonumber(from), tonumber(to) or tonumber(from)
      if from and from <= slot and slot <= to then
        return by_id(self, id)
      end
    end
  end
end

---@param slot integer
function Group:master_of_slot(slot)
  return owner(self, ask(self, "NODES"), slot)
end

---@param key string
function Group:master_of(key)
  return self:master_of_slot(self:slot_of(key))
end

function Group:replica_of(master)
  for line in ask(self, "NODES"):gmatch "[^\n]+" do
    if line:find(" slave " .. master.id, 1, true) then
      return by_id(self, line:match "^%S+")
    end
  end
end

--- Moves a slot, as redis-cli --cluster reshard does, in three steps.
function Group:begin_to_move(slot, to)
  local from = self:master_of_slot(slot)
  to:cli("CLUSTER", "SETSLOT", slot, "IMPORTING", from.id)
  from:cli("CLUSTER", "SETSLOT", slot, "MIGRATING", to.id)
  return from
end

--- Moves some of the slot's keys; false: there are none left.
---@param most? integer  keys; default: all
---@return boolean
function Group:move_keys(slot, from, to, most) -- luacheck: ignore 212
  local words = { "AUTH", from.password or "", "KEYS" }
  if not from.password then
    words = { "KEYS" }
  end
  local before = #words
  for key in from:cli("CLUSTER", "GETKEYSINSLOT", slot, most or 1000):gmatch "[^\n]+" do
    words[#words + 1] = key
  end
  if #words == before then
    return false
  end
  local said = from:cli("MIGRATE", "127.0.0.1", to.port, "", 0, 5000, unpack(words))
  assert(said == "OK" or said == "NOKEY", said)
  return true
end

--- Until all nodes know of it.
function Group:finish_move(slot, from, to)
  for _, server in ipairs { to, from } do
    server:cli("CLUSTER", "SETSLOT", slot, "NODE", to.id)
  end
  for _, server in ipairs(self.servers) do
    process.wait_until("all nodes to know the slot's master", function()
      return not server.child:is_running()
        or owner(self, server:cli("CLUSTER", "NODES"), slot) == to
    end)
  end
end

--- What a server that was killed needs to be its master's replica again, or the cluster whole.
function Group:wait_until_ready()
  process.wait_until("the cluster to be at rest", function() return is_ready(self) end, 60)
end

--- A master without slots.
---@return RedisServer
function Group:add()
  local server = start_node(self.servers[1].password)
  self.servers[1]:cli("CLUSTER", "MEET", "127.0.0.1", server.port, server.bus)
  self.servers[#self.servers + 1] = server
  process.wait_until("the others to know it", function() return is_ready(self) end)
  return server
end

--- Takes away the one that was added, which has no slots.
function Group:remove()
  local gone = table.remove(self.servers)
  for _, server in ipairs(self.servers) do
    server:cli("CLUSTER", "FORGET", gone.id)
  end
  gone:stop()
end

function Group:stop()
  for _, server in ipairs(self.servers) do
    server:stop()
  end
end

return { start = start }
