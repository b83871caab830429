--- Inside nginx: handlers over the servers at two ports, by what they are called, to be run by
--- contract_servers_spec.lua.

local tokencache = require "tokencache"

local cache, store = tokencache.cache, tokencache.store

--- A client object, connected, as one request would use it.
local function connected(module, port)
  local client = assert(require(module):new())
  client:set_timeout(5000)
  assert(client:connect("127.0.0.1", port))
  return client
end

---@param redis_port integer
---@param redis_path string
---@param memcached_port integer
---@return table<string, fun(name: string): table>
return function(redis_port, redis_path, memcached_port)
  local redis = store.redis { port = redis_port, db = 1 }
  local encrypted = store.encrypted(store.redis { port = redis_port, db = 2 },
    { keys = { one = ("k"):rep(32) }, use = "one" })
  local front = store.shared_dict(ngx.shared.tokens, { evict = true })
  local memcached = store.memcached { servers = { "127.0.0.1:" .. memcached_port } }

  return {
    ["cache.redis"] = function(name)
      return cache.redis { port = redis_port, key = name }
    end,
    ["cache.redis by a Unix socket"] = function(name)
      return cache.redis { path = redis_path, db = 3, key = name }
    end,
    ["from_store over Redis"] = function(name)
      return cache.from_store(redis, { "user", name })
    end,
    ["encrypted over Redis"] = function(name)
      return cache.from_store(encrypted, name)
    end,
    ["tiered over Redis"] = function(name)
      return cache.tiered {
        front = cache.from_store(front, name),
        back = cache.redis { port = redis_port, db = 4, key = name },
      }
    end,
    ["nginx.redis as client"] = function(name)
      return cache.redis { client = connected("nginx.redis", redis_port), key = "client:" .. name }
    end,
    ["nginx.memcached as client"] = function(name)
      return cache.memcached { client = connected("nginx.memcached", memcached_port),
        key = "client:" .. name }
    end,
    ["cache.memcached"] = function(name)
      return cache.from_store(memcached, name)
    end,
  }
end
