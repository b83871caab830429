--- Stores over real files and real servers, which a spec shares and each test finds empty.
---
---     local real = real_stores.use()      -- in a spec or in a describe
---     real.new.file()                     -- a store: file, Redis, memcached, each also as in
---     real.new["encrypted file"]()        -- and Redis as ["memory before Redis"]
---     real.redis, real.memcached          -- the servers
---     real:freeze_memcached()  real:thaw_memcached()
---     real.dir                            -- a folder; that of the store is real:directory()

local folder = require "support.folder"
local memcached_server = require "support.memcached_server"
local redis_server = require "support.redis_server"
local store = require("tokencache").store

local real_stores = {}

---@class RealStores
---@field new table<string, fun(): tokencache.Store>
---@field redis RedisServer
---@field memcached MemcachedServer
---@field dir Folder
local RealStores = {}
RealStores.__index = RealStores

---@param inner tokencache.Store
---@return tokencache.EncryptedStore
function real_stores.encrypted(inner)
  return store.encrypted(inner, { keys = { a = "a secret of the tests' own" }, use = "a" })
end

---@param back tokencache.Store
---@return tokencache.TieredStore
function real_stores.tiered(back)
  return store.tiered { front = store.memory(), back = back }
end

function RealStores:directory()
  return self.dir:file("logins")
end

--- A store of memcached, which gives up soon while that is frozen: each call waits in vain then.
local function in_memcached(self)
  local function new(timeout)
    return store.memcached { servers = { self.memcached.address }, timeout = timeout }
  end
  local patient, hasty = new(60), new(0.2)
  return setmetatable({}, { __index = function(_, name)
    local member = patient[name]
    if type(member) ~= "function" then
      return member
    end
    return function(_, ...)
      local one = self.is_frozen and hasty or patient
      return one[name](one, ...)
    end
  end })
end

function RealStores:freeze_memcached()
  self.memcached.child:freeze()
  self.is_frozen = true
end

--- Until all is done that it was asked while it was frozen.
function RealStores:thaw_memcached()
  self.memcached.child:signal "CONT"
  self.memcached:ask "version"
  self.is_frozen = false
end

--- Declares what busted does before and after.
---@param settings? { parent?: string, may_freeze?: boolean }  of the folder; memcached
---@return RealStores
function real_stores.use(settings)
  settings = settings or {}
  local busted = require "busted"
  local self = setmetatable({}, RealStores)
  local new = {
    file = function() return store.file { directory = self:directory() } end,
    Redis = function() return store.redis { port = self.redis.port } end,
    memcached = function()
      return settings.may_freeze and in_memcached(self)
        or store.memcached { servers = { self.memcached.address } }
    end,
    ["memory before Redis"] = function() return real_stores.tiered(self.new.Redis()) end,
  }
  for _, name in ipairs { "file", "Redis", "memcached" } do
    new["encrypted " .. name] = function() return real_stores.encrypted(new[name]()) end
  end
  self.new = new

  busted.setup(function()
    self.redis, self.memcached = redis_server.start(), memcached_server.start()
    self.dir = folder.new(settings.parent)
  end)
  busted.teardown(function()
    self.redis:stop()
    self.memcached:stop()
    self.dir:remove()
  end)
  busted.before_each(function()
    self.redis:cli("FLUSHALL")
    self.memcached:ask("flush_all")
    self.dir:shell("rm -rf *; mkdir logins")
  end)
  return self
end

return real_stores
