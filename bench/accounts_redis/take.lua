--- take.lua account|flow PORT USERS: from Redis, see bench.accounts.many.

local many = require "bench.accounts.many"
local tokencache = require "tokencache"

many.take(arg[1], tokencache.store.redis { port = tonumber(arg[2]) },
  many.keys(tonumber(arg[3])))
