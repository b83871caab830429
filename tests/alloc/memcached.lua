-- memcached, while allocations fail; see alloc.c. $MEMCACHED_SERVER is one's address.

local judge = dofile "tests/alloc/judge.lua"
local check, expect = judge.check, judge.expect

local address = os.getenv "MEMCACHED_SERVER"
local KEY = "alloc-key"

--- Clients of its own: the worker would hand out the connections that there are.
local function new_client(servers)
  return check(require("tokencache._memcached").open(servers, nil, 5, 5))
end

local function use_server(server)
  local client = new_client { server }
  check(client:set(KEY, ("some bytes"):rep(2000), 10))
  expect(("some bytes"):rep(2000), client:get(KEY))
  local bytes, version = client:gets(KEY)
  check(bytes)
  check(client:cas(KEY, "other bytes", 10, version))
  expect(false, client:add(KEY, "bytes", 10))
  check(client:delete(KEY))
  expect(false, client:get(KEY))
  client:close()
end

-- Not in the trial, as in redis.lua.
local checked = require("tokencache.store.memcached_options").check("alloc",
  { servers = { address } })
local load_worker = assert(loadfile "lua/tokencache/worker/memcached.lua")

local function use_store()
  local worker = load_worker()
  local store = require "tokencache.store.memcached_base"(checked, worker)
  check(store:set(KEY, "old", 10))
  expect(true, store:replace(KEY, "old", "new", 10))
  expect(false, store:replace(KEY, "old", "newer", 10))
  expect(check(store:can_save(KEY, "new", 10)), store:get(KEY))
  check(store:delete(KEY))
  expect(true, store:replace(KEY, nil, "new", 10))
  worker.near(checked).client:close()
end

--- libmemcached allocates most where something is wrong.
local function use_lost_server()
  local client = new_client { "127.0.0.1:1", "/nowhere" }
  for i = 1, 4 do
    local bytes, err = client:get(KEY .. i)
    if bytes ~= nil or type(err) ~= "table" or err.kind ~= "cache" then
      error("WRONG: " .. tostring(err), 0)
    end
  end
  client:close()
end

local function use()
  use_server(address)
  judge.look_up(function() -- in a thread
    use_server((address:gsub("^127.0.0.1", "localhost")))
  end, "localhost")
  use_store()
  use_lost_server()
end

dofile "tests/alloc/luajit.lua"
use() -- what the resolver keeps

return use, use
