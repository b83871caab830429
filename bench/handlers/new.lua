--- Makes handlers for 100,000 users over one store, again and again; their keys are there already.

local tokencache = require "tokencache"

local USERS = 100000

local store = tokencache.store.memory()
local from_store = tokencache.cache.from_store
local keys, handlers = {}, {}
for i = 1, USERS do
  keys[i], handlers[i] = "token:" .. i, false
end

local function make(times)
  for i = 1, times do
    local user = (i - 1) % USERS + 1
    handlers[user] = from_store(store, keys[user])
  end
end

if arg[1] == "bytes" then
  collectgarbage()
  local before = collectgarbage("count")
  make(USERS)
  collectgarbage()
  print(("%.1f"):format((collectgarbage("count") - before) * 1024 / USERS))
  assert(#handlers == USERS)
else
  require "bench.contestant"(make)
end
