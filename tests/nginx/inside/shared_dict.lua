--- Run inside nginx by shared_dict_spec.lua. The dictionary `tokens` has 100 kB.

local busted = require "busted"
local keep_log = require "support.keep_log"
local tokencache = require "tokencache"

local dict = ngx.shared.tokens
local equal, it = require("support.in_nginx").equal, busted.it

local function new_store(options)
  dict:flush_all()
  dict:flush_expired()
  return tokencache.store.shared_dict(dict, options)
end

local function fails(pattern, fn, ...)
  local ok, problem = pcall(fn, ...)
  equal(false, ok)
  equal(true, tostring(problem):find(pattern, 1, true) ~= nil or problem)
end

local function wait_until(condition)
  local deadline = ngx.now() + 20
  while not condition() do
    if ngx.now() > deadline then
      busted.fail("waited in vain")
    end
    ngx.sleep(0.01)
  end
end

--- Sets tokens of 1 kB until one is not kept, a thousand at most.
local function fill(store)
  for i = 1, 1000 do
    local ok, err = store:set("user" .. i, ("x"):rep(1000))
    if not ok then
      return i - 1, err
    end
  end
  return 1000
end

it("keeps bytes until they are deleted", function()
  local store = new_store()
  equal(nil, store:get("a"))
  equal(true, store:set("a", "one\0two"))
  equal("one\0two", store:get("a"))
  equal(0, dict:ttl("a"))
  equal(true, store:delete("a"))
  equal(nil, store:get("a"))
  equal(true, store:delete("a"))
end)

it("keeps them no longer than asked", function()
  local store = new_store()
  store:set("a", "bytes", 60)
  equal(true, dict:ttl("a") > 30 and dict:ttl("a") <= 60)
  store:set("a", "bytes", 0.05)
  wait_until(function() return store:get("a") == nil end)
  store:set("a", "bytes", 0) -- not for good
  wait_until(function() return store:get("a") == nil end)
end)

it("reports that memory has run out, and evicts nothing", function()
  local store = new_store()
  local kept, err = fill(store)
  equal(true, kept > 10 and kept < 100 or kept)
  equal("cache", err.kind)
  equal("shared dictionary: no memory is left; enlarge the lua_shared_dict of the tokens",
    err.message)
  for i = 1, kept do
    equal(1000, #(store:get("user" .. i) or ""))
  end
  local handle
  handle, err = store:try_lock("another", 10)
  if handle == nil then -- locks are small: there may be room for one
    equal("cache", err.kind)
  end
end)

it("makes room by what has expired", function()
  local store = new_store()
  for i = 1, 1000 do
    if not dict:safe_set("old" .. i, ("x"):rep(1000), 0.01) then
      break
    end
  end
  dict:get("old1") -- used last, so that expired ones are not at the end
  wait_until(function() return not dict:get("old2") end)
  equal(true, (store:set("large", ("x"):rep(30000))))
end)

it("evicts those not used for longest where told to, and warns once", function()
  local warnings = keep_log()
  local store = new_store { evict = true }
  equal(1000, (fill(store)))
  tokencache.set_logger()
  equal(nil, store:get("user1"))
  equal(1000, #store:get("user1000"))
  equal(1, #warnings)
  equal("warning shared dictionary: no memory is left, tokens that are still good make room for "
    .. "others; enlarge the lua_shared_dict of the tokens", warnings[1])
end)

it("reports a token larger than the dictionary", function()
  local _, err = new_store { evict = true }:set("a", ("x"):rep(200000))
  equal("cache", err.kind)
end)

it("reports a value that is no text, and a key that is too long", function()
  local store = new_store()
  dict:rpush("list", "x")
  local bytes, err = store:get("list")
  equal(nil, bytes)
  equal("cache", err.kind)
  err = select(2, store:set(("k"):rep(70000), "bytes"))
  equal("cache", err.kind)
end)

it("refuses to keep what is no string", function()
  local store = new_store()
  fails("store.shared_dict: set: bytes must be a string, not nil", store.set, store, "a", nil, 60)
  fails("bytes must be a string, not a number", store.set, store, "a", 17)
  equal(nil, dict:get("a"))
end)

it("has a lock that one holds at a time", function()
  local store = new_store()
  local handle = store:try_lock("a", 10)
  equal(false, store:try_lock("a", 10))
  equal("table", type(store:try_lock("b", 10)))
  equal(true, store:unlock(handle))
  local other = store:try_lock("a", 10)
  equal("table", type(other))
  store:unlock(handle) -- no longer ours
  equal(false, store:try_lock("a", 10))
  equal(false, store:extend_lock(handle, 10))
  equal(true, store:unlock(other))
end)

it("has a lock that ends by itself, and lasts as long as it is extended", function()
  local store = new_store()
  local handle = store:try_lock("a", 0.05)
  equal(true, store:extend_lock(handle, 60))
  equal(true, dict:ttl("tokencache-lock:a") > 30)
  equal(true, store:extend_lock(handle, 0.05))
  local other
  wait_until(function()
    other = store:try_lock("a", 10)
    return other
  end)
  equal(false, store:extend_lock(handle, 10))
  equal(true, store:unlock(handle))
  equal(false, store:try_lock("a", 10))
  store:unlock(other)
end)

it("does not release by hand a lock that is about to end", function()
  local store = new_store()
  local handle = store:try_lock("a", 0.09)
  store:unlock(handle)
  equal(true, (dict:ttl("tokencache-lock:a") or 0) <= 0.09)
  wait_until(function() return store:try_lock("a", 10) end)
end)

it("keeps locks and tokens apart", function()
  local store = new_store()
  for _, method in ipairs { "get", "set", "delete" } do
    local ok, err = store[method](store, "tokencache-lock:a", "bytes")
    equal(nil, ok)
    equal("cache", err.kind)
  end
  store:set("a", "bytes")
  store:unlock(store:try_lock("a", 10))
  equal("bytes", store:get("a"))
end)

it("keeps the keys of lists and tokens apart", function()
  local store = new_store()
  for _, method in ipairs { "get", "set", "delete" } do
    local ok, err = store[method](store, "tokencache-keys:1", "bytes")
    equal(nil, ok)
    equal("shared dictionary: a key must not start with \"tokencache-keys:\", as lists of keys do; "
      .. "choose another", err.message)
  end
  equal(nil, (store:replace("tokencache-keys:1", nil, "bytes")))
  equal(nil, (store:can_save("tokencache-lock:1", "bytes")))
end)

it("refuses wrong arguments by name", function()
  fails("store.shared_dict: dict must be one of ngx.shared, not nil; is there a lua_shared_dict",
    tokencache.store.shared_dict, nil)
  fails("dict must be one of ngx.shared, not a table", tokencache.store.shared_dict, {})
  fails("unknown option evcit", tokencache.store.shared_dict, dict, { evcit = true })
end)
