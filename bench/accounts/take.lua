--- take.lua account|flow: from a store in memory, see bench.accounts.many.

local many = require "bench.accounts.many"
local tokencache = require "tokencache"

local USERS = 10000

local store, keys = tokencache.store.memory(), many.keys(USERS)
many.fill(store, keys)
many.take(arg[1], store, keys)
