-- Redis, while allocations fail; see alloc.c. $REDIS_SOCKET and $REDIS_PORT lead to a server.

local judge = dofile "tests/alloc/judge.lua"
local check, expect = judge.check, judge.expect

local path, port = os.getenv "REDIS_SOCKET", tonumber(os.getenv "REDIS_PORT")
local KEY = "alloc-key"

--- A lock that a failed attempt left behind is no fault: it has an end.
local function lock(store)
  local handle = check(store:try_lock(KEY, 0.001))
  if handle then
    check(store:extend_lock(handle, 0.001))
    check(store:keep_lock(handle, 0.001))
    check(store:unlock(handle))
  end
end

--- Over a client of its own: the worker would hand out the connections that there are.
local function new_store(options)
  local client = check(require("tokencache._redis").open(options))
  return require "tokencache.store.redis_base"(options, function(_, ...)
    return client:command(...)
  end)
end

local function replace(store)
  check(store:set(KEY, "old", 10))
  expect(true, store:replace(KEY, "old", "new", 10))
  expect(false, store:replace(KEY, "old", "newer"))
  local padded = check(store:can_save(KEY, "new"))
  expect(padded, store:get(KEY))
  expect(KEY, check(store:keys(KEY))[1])
end

local function use_store(options)
  local store = new_store(options)
  replace(store)
  check(store:set(KEY, "some bytes", 10))
  expect("some bytes", store:get(KEY))
  check(store:delete(KEY))
  expect(nil, store:get(KEY))
  lock(store)
end

--- What a conversation wants next is this; returns what goes with it.
local function step(wanted, action, _, result, err)
  if action == "done" and result == nil then
    error(tostring(err), 0)
  end
  expect(wanted, action)
  return result
end

--- The same with a cluster.
local function converse_with_nodes()
  local slots = "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$1\r\na\r\n:1\r\n"
  local talk = require("tokencache._redis").known({ place = "place", cluster = {
    { host = "one", port = 1 }, { host = "two", port = 2 } } }):talk()
  talk:begin(0, "GET", KEY)
  step("use", talk:failed("CONNECT", "none", nil, 0))
  step("send", talk:go_on(0, true))
  step("use", talk:go_on(0, slots))
  step("send", talk:go_on(0, true))
  step("use", talk:go_on(0, "-MOVED 1 b:1\r\n"))
  step("send", talk:go_on(0, true))
  step("use", talk:go_on(0, "-ASK 1 c:1\r\n"))
  step("send", talk:go_on(0, true))
  step("send", talk:go_on(0, "+OK\r\n"))
  step("sleep", talk:go_on(0, "-TRYAGAIN no\r\n"))
  step("use", talk:go_on(1))
  step("send", talk:go_on(1, true))
  step("use", talk:go_on(1, slots))
  talk:begin(2, "CLUSTER", "SLOTS")
  step("send", talk:go_on(2, true))
  expect("a:1 ", step("done", talk:go_on(2, slots)))
end

--- By hand, with the replies of a server that is not there.
local function converse()
  local known = require("tokencache._redis").known {
    place = "place", host = "there", password = "word", db = 3, replicas = 1,
  }
  local asking = require("tokencache._redis").known {
    place = "place", path = "there", asks_password = true,
  }
  local talk = asking:talk()
  talk:begin(0, "GET", KEY)
  step("password", talk:go_on(0, true))
  step("send", talk:go_on(0, "word"))
  talk = require("tokencache._redis").known({ place = "place", master = "name", sentinels = {
    { host = "one", port = 1 }, { host = "two", port = 2 } } }):talk()
  talk:begin(0, "GET", KEY)
  step("use", talk:failed("CONNECT", "none", nil, 0))
  step("send", talk:go_on(0, true))
  step("use", talk:go_on(0, "*2\r\n$4\r\nhost\r\n$1\r\n3\r\n"))
  step("send", talk:go_on(0, true))
  step("sleep", talk:go_on(0, "*1\r\n$5\r\nslave\r\n"))
  talk = known:talk()
  talk:begin(0, "SET", KEY, "some bytes")
  step("send", talk:go_on(0, true))
  step("send", talk:go_on(0, "+OK\r\n"))
  step("send", talk:go_on(0, "+OK\r\n"))
  for byte in ("$2\r\nok\r"):gmatch "." do
    step("receive", talk:go_on(0, byte))
  end
  step("send", talk:go_on(0, "\n"))
  expect("ok", step("done", talk:go_on(0, ":1\r\n")))
  talk:begin(0, "SET", KEY, "some bytes")
  step("send", talk:go_on(0, false))
  step("use", talk:failed("CLOSED", "it broke", nil, 0))
  step("send", talk:go_on(0, true))
  step("send", talk:go_on(0, "+OK\r\n"))
  step("send", talk:go_on(0, "+OK\r\n"))
  local _, _, _, err = talk:go_on(0, "-ERR no some bytes\r\n")
  expect("ERR no **********", err.description)
end

-- Not in the trial: LuaJIT crashes there without any code of ours.
local checked = require("tokencache.store.redis_options").check
local by_path = checked("alloc", { path = path, password = "word-7f3a" })
local by_port = checked("alloc", { port = port, db = 1, password = "word-7f3a" })

local by_name = checked("alloc", { host = "localhost", port = port, password = "word-7f3a" })

local function use()
  converse()
  converse_with_nodes()
  use_store(by_path)
  use_store(by_port)
  judge.look_up(function() use_store(by_name) end, " name") -- in a thread
end

dofile "tests/alloc/luajit.lua"
use() -- what the resolver and libcrypto keep

return use, use
