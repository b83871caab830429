-- Who owes a token to the store keeps the account's lock, and the lock says so: another process
-- that waits for it in vain learns the reason.

local deadline = require "support.deadline"
local leave = require "tokencache.account.leave"
local log = require "tokencache.log"
local logins = require "support.logins"
local process = require "support.process"
local real_stores = require "support.real_stores"
local stages = require "support.stage"

local compile = loadstring or load -- luacheck: ignore 113

local real = real_stores.use()

--- Lua that makes a flow with the account in `store`, or in `cache`. The provider gives one token.
local FLOW = [[
  local tokencache = require "tokencache"
  local store, cache, is_broken = %s, %s, nil
  local flow = tokencache.flow.pkce {
    provider = { authorize_url = "https://127.0.0.1/authorize",
      token_url = "https://127.0.0.1/token" },
    client_id = "c", redirect_uri = "http://127.0.0.1:8080/callback", authorize = false,
    store = store, cache = cache,
    http = { request = function()
      is_broken = true
      return { status = 200, body = '{"access_token":"new","token_type":"Bearer",'
        .. '"refresh_token":"two","expires_in":3600}' }
    end },
  }
  local account = store and flow:account("ann") or flow
  local handler = cache or tokencache.cache.from_store(store, "ann")
]]

local function redis()
  return ("tokencache.store.redis { port = %d }"):format(real.redis.port)
end

local function memcached()
  return ("tokencache.store.memcached { servers = { %q } }"):format(real.memcached.address)
end

local function files()
  return ("tokencache.store.file { directory = %q }"):format(real:directory())
end

local function sealed(inner)
  return function()
    return ("tokencache.store.encrypted(%s, { keys = { a = ('k'):rep(32) }, use = 'a' })")
      :format(inner())
  end
end

local function tiered(back)
  return function()
    return ("tokencache.store.tiered { front = tokencache.store.memory(), back = %s }")
      :format(back())
  end
end

local function over(store)
  return function() return FLOW:format(store(), "nil") end
end

local kinds = {
  ["Redis"] = over(redis),
  ["memcached"] = over(memcached),
  ["a directory"] = over(files),
  ["a file"] = function()
    return FLOW:format("nil", ("tokencache.cache.file { cache_path = %q }")
      :format(real.dir:file("token")))
  end,
  ["a sealed Redis"] = over(sealed(redis)),
  ["a sealed directory"] = over(sealed(files)),
  ["memory before memcached"] = over(tiered(memcached)),
  ["two tiers of handlers"] = function()
    return FLOW:format("nil", ("tokencache.cache.tiered { front = tokencache.cache.memory(), "
      .. "back = tokencache.cache.from_store(%s, 'ann') }"):format(redis()))
  end,
}

--- A process that renews the token and cannot save it.
local OWE = [[
  local breaks = store or cache
  local name = store and "replace" or "replace_cached_token"
  local replace = breaks[name]
  breaks[name] = function(...)
    if is_broken then
      return nil, "the disk is full"
    end
    return replace(...)
  end
  tokencache.set_logger(false)
  assert(assert(account:get_access_token()) == "new")
  local ready = assert(io.open(os.getenv("READY_FILE"), "w"))
  ready:write("owes\n")
  ready:close()
  local core = require "tokencache._core"
  repeat
    core.sleep(0.02)
    local there = io.open(os.getenv("READY_FILE") .. "-mended")
  until there
  is_broken = false
  assert(account:get_access_token() == "new")
  os.exit(0)
]]

for name, code in pairs(kinds) do
  it("the lock of a token that is owed to " .. name .. " says so #c", function()
    local flow_code = code()
    local account, handler = assert(compile(flow_code .. "return account, handler"))()
    assert(handler:save_token_to_cache({ access_token = "old", refresh_token = "one",
      expires_at = 1000 }))
    local owing = process.start(process.lua(flow_code .. OWE), { ready = true })
    finally(function() owing:stop() end)
    for _ = 1, 2 do
      local token, err
      deadline.enough(0.1, function(seconds) -- to find the lock taken
        token, err = account:get_access_token { timeout = seconds }
        return err and err.kind ~= "timeout"
      end)
      assert.is_nil(token)
      assert.equal("cache", err.kind, tostring(err))
      assert.matches("another process keeps the cache's lock, for it has a token that it could "
        .. "not save yet", tostring(err), 1, true)
    end
    process.write_file(owing.directory .. "/ready-mended", "")
    owing:wait()
    assert.equal("new", account:get_access_token { timeout = 0.1 })
    local handle, guard = assert(handler:try_lock(10))
    assert.same({ false }, { handler:try_lock(10) })
    handler:unlock(handle, guard)
  end)
end

it("a debt is named to who leaves a run that had sent a request before #once", function()
  local _, err = leave { flow = {}, infos = {}, options = {}, state = {}, waited = true, asked = 1,
    busy = "owed" }
  assert.equal("cache", err.kind)
  assert.matches("for it has a token that it could not save yet", err.message, 1, true)
end)

it("a lock is let go of where the token is saved while the lock is being kept #once", function()
  local stage = stages.new { lock = "extendable", token_info = logins.LOGIN }
  finally(function() log.set_logger(nil) end)
  logins.rotate(stage)
  stage.on.save = function(info)
    stage.stored = info
    return nil, "the reply was lost"
  end
  stage.handler.keep_lock = function()
    assert.equal("access-1", stage.account:get_access_token()) -- another coroutine's call
    return true
  end
  stage.account = stage:user_flow()
  assert.equal("access-1", stage.account:get_access_token())
  assert.is_nil(stage.holder)
  assert.equal(0, stage.io.process.owing)
end)

it("a lock of a debt of which its store cannot tell is not let go of #once", function()
  local stage = stages.new { lock = "extendable", token_info = logins.LOGIN }
  finally(function() log.set_logger(nil) end)
  logins.rotate(stage)
  stage.on.save = logins.fail
  local account = stage:user_flow()
  assert.equal("access-1", account:get_access_token())
  local holder = assert(stage.holder)
  stage.monotonic = stage.monotonic + 100 -- for all that is known here it has ended
  stage.on.extend_lock = function() return nil, "away" end
  assert.equal("access-1", account:get_access_token())
  assert.equal(holder, stage.holder)
  stage.on.extend_lock, stage.on.save = nil, nil
  assert.equal("access-1", account:get_access_token())
  assert.equal("access-1", stage.stored.access_token)
  assert.is_nil(stage.holder)
end)

it("a busy lock without a debt is waited for up to the deadline #c", function()
  for _, code in pairs(kinds) do
    local account, handler = assert(compile(code() .. "return account, handler"))()
    assert(handler:save_token_to_cache({ access_token = "old", refresh_token = "one",
      expires_at = 1000 }))
    local handle, guard = assert(handler:try_lock(10))
    local _, err = account:get_access_token { timeout = 0.1 }
    assert.equal("timeout", err.kind, tostring(err))
    handler:unlock(handle, guard)
  end
end)

it("a lock is kept by a Redis that has no memory to tell so #once", function()
  local store = assert(compile('local tokencache = require "tokencache" return ' .. redis()))()
  local handle = assert(store:try_lock("ann", 10))
  real.redis:cli("CONFIG", "SET", "maxmemory", 1)
  finally(function() real.redis:cli("CONFIG", "SET", "maxmemory", 0) end)
  assert.is_true(store:keep_lock(handle, 1000))
  real.redis:cli("CONFIG", "SET", "maxmemory", 0)
  assert.is_true(tonumber(real.redis:cli("TTL", "tokencache-lock:ann")) > 900)
  assert.same({ false }, { store:try_lock("ann", 10) })
  assert.is_true(store:keep_lock(handle, 10))
  assert.same({ false, "owed" }, { store:try_lock("ann", 10) })
end)
