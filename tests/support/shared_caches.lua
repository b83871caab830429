--- Caches that processes can share, each over a real server or real files.
---
---     local shared = shared_caches.start()
---     for _, cache in ipairs(shared.list) do
---       cache.name, cache.code  -- Lua that returns a handler, in any process
---       cache.new()             -- a handler here
---     end
---     shared.list["encrypted Redis"]
---     shared:stop()

local folder = require "support.folder"
local memcached_server = require "support.memcached_server"
local redis_server = require "support.redis_server"

local shared_caches = {}

---@class SharedCache
---@field name string
---@field code string
---@field new fun(): table|userdata

shared_caches.names = { "file", "Redis", "Memcached", "encrypted file", "encrypted Redis",
  "encrypted Memcached" }

local ENCRYPTED = [[local tokencache = require "tokencache"
  local store = tokencache.store.encrypted(%s,
    { keys = { a = "a secret of the tests' own" }, use = "a" })
  return tokencache.cache.from_store(store, "login")]]

local compile = loadstring or load -- luacheck: ignore 113

local Shared = {}
Shared.__index = Shared

function shared_caches.start()
  local self = setmetatable({ folder = folder.new() }, Shared)
  self.redis = redis_server.start()
  self.memcached = memcached_server.start { "-c", "2048" }
  local redis = ("{ port = %d }"):format(self.redis.port)
  local memcached = ("{ servers = { %q } }"):format(self.memcached.address)
  local directory = ("{ directory = %q }"):format(self.folder.path)
  local codes = {
    file = ("return require('tokencache').cache.file { cache_path = %q }")
      :format(self.folder:file("token")),
    Redis = "return require('tokencache').cache.redis " .. redis,
    Memcached = "return require('tokencache').cache.memcached " .. memcached,
    ["encrypted file"] = ENCRYPTED:format("tokencache.store.file " .. directory),
    ["encrypted Redis"] = ENCRYPTED:format("tokencache.store.redis " .. redis),
    ["encrypted Memcached"] = ENCRYPTED:format("tokencache.store.memcached " .. memcached),
  }
  self.list = {}
  for i, name in ipairs(shared_caches.names) do
    local code = codes[name]
    self.list[i] = { name = name, code = code, new = compile(code) }
    self.list[name] = self.list[i]
  end
  return self
end

function Shared:stop()
  self.redis:stop()
  self.memcached:stop()
  self.folder:remove()
end

return shared_caches
