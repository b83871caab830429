-- Logged out stays logged out: at the provider, here, and in processes that still owe a token.

local core = require "tokencache._core"
local keep_log = require "support.keep_log"
local log = require "tokencache.log"
local login_trial = require "support.login_trial"
local new_process = require("tokencache.account.process").new
local new_table_store = require "support.table_store"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"
local real_stores = require "support.real_stores"
local tokencache = require "tokencache"

local real = real_stores.use()
local new_redis, new_file = real.new.Redis, real.new.file
local server

setup(function() server = oidc_provider.start() end)
teardown(function() server:stop() end)
after_each(function() log.set_logger(nil) end)

--- Each returns what makes the store: anew, or where it is itself the place, the same again.
local function always(store)
  return function() return store end
end

local backends = {
  { "memory", function() return always(tokencache.store.memory()) end },
  { "a user's table", function() return always(new_table_store()) end },
}
for name, new_store in pairs(real.new) do
  if name ~= "encrypted memcached" then
    backends[#backends + 1] = { name, function() return new_store end }
  end
end

--- The same store, which takes nothing new while the switch is on, cannot be read while its
--- `read_on` is, and takes no marks of log outs while its `marks_on` is.
local function over_switch(new_store, switch)
  return function()
    local store = new_store()
    local function saves_by(name)
      return store[name] and function(_, ...)
        if switch.on then
          return nil, "this process may not write"
        end
        return store[name](store, ...)
      end
    end
    local identity = store.identity
    if identity == nil then
      identity = store
    end
    local function get(_, ...)
      if switch.read_on then
        return nil, "this process may not read"
      end
      return store:get(...)
    end
    local save = saves_by "set"
    local function set(_, key, ...)
      if switch.marks_on and key:find("tokencache-mark", 1, true) then
        return nil, "this process may not write marks"
      end
      return save(_, key, ...)
    end
    return setmetatable({ get = get, set = set, replace = saves_by "replace",
      delete = saves_by "delete", identity = identity }, { __index = store })
  end
end

--- The io of another process, whose sleeps move its clock on in no time: it waits in vain for a
--- lock, and still has all the time that a busy provider takes.
local function sleepless()
  local slept = 0
  return {
    process = new_process(),
    monotonic = function() return core.monotonic() + slept end,
    sleep = function(seconds) slept = slept + seconds end,
  }
end

--- A trial whose saves fail while the switch is on, and another process over the same store.
local function two_processes(new_store)
  local switch = { on = false }
  local here = login_trial.new { server = server, store = over_switch(new_store, switch),
    options = { io = { process = new_process() } } }
  local there = login_trial.new { server = server, store = new_store,
    options = { io = sleepless(), timeout = 60 } }
  return here, there, switch
end

local function expect_logged_out(trial)
  local token, err = trial:account():get_access_token()
  assert.is_nil(token)
  assert.equal("reauthorize", err.kind, tostring(err))
  assert.is_nil(trial:saved())
end

for _, backend in ipairs(backends) do
  describe("over " .. backend[1], function()
    local here, there, switch

    before_each(function()
      here, there, switch = two_processes(backend[2]())
    end)

    it("who is not known leaves nothing behind by logging out, where there are locks", function()
      local store, flow = here.new_store(), here:flow()
      for i = 1, 20 do
        assert.same({ true }, { flow:account("forged " .. i):log_out() })
        assert.same({ true }, { flow:account("forged " .. i):remove() })
        assert.equal(not store.try_lock, store:get("tokencache-mark:forged " .. i) ~= nil)
      end
    end)

    it("a login that is logged out is revoked at the provider, and removed", function()
      local info = here:log_in()
      assert.is_true(server:introspect(info.access_token).active)
      assert.same({ true }, { there:account():log_out() })
      assert.is_false(server:introspect(info.access_token).active)
      expect_logged_out(here)
      expect_logged_out(there)
      assert.equal(0, here.sent)
      here:log_in()
      assert(there:account():get_access_token())
    end)

    it("a login that is removed is forgotten here, and the provider not asked", function()
      local info = here:log_in()
      assert.same({ true }, { here:account():remove() })
      expect_logged_out(here)
      expect_logged_out(there)
      assert.is_true(server:introspect(info.access_token).active)
      assert.same({ true }, { here:account():remove() })
    end)

    for _, case in ipairs { { "log_out", true }, { "log_out", false }, { "remove", true } } do
      local method, is_mended = case[1], case[2]
      it(("what another process owes is dropped after a %s, its saves %s"):format(method,
        is_mended and "working again" or "failing still"), function()
        here:log_in()
        local logged = keep_log()
        here:expire()
        there.now = here.now - 5 -- the clocks of two machines
        here.on_request = function()
          here.on_request, switch.on = nil, true
        end
        local owed = assert(here:account():get_access_token())
        local account = there:account()
        assert.same({ true }, { account[method](account) })
        assert.is_nil(there:saved())
        switch.on = not is_mended
        expect_logged_out(here)
        switch.on = false
        expect_logged_out(here)
        expect_logged_out(there)
        assert.equal(1, here.sent)
        assert.matches("the user has logged out", table.concat(logged, "\n"), 1, true)
        assert.is_false(server:introspect(owed).active)
      end)
    end

    it("a login that cannot be read stays, one that is damaged is removed", function()
      local info = here:log_in()
      log.set_logger(false)
      for _, method in ipairs { "remove", "log_out" } do
        switch.read_on = true
        local ok, err = here:account()[method](here:account())
        switch.read_on = false
        assert.is_nil(ok)
        assert.equal("cache", err.kind)
        assert.equal(info.access_token, there:saved().access_token)
      end
      local raw = here.new_store()
      raw = raw.back or raw.store or raw -- of a tiered or an encrypted one, what is behind
      raw:set(here:handler().key, "no token")
      assert.is_nil(here:saved())
      assert.same({ true }, { here:account():remove() })
      local token, err = there:account():get_access_token()
      assert.is_nil(token)
      assert.equal("reauthorize", err.kind, tostring(err))
    end)

    it("a log out that could not be noted says so, and the next one is", function()
      here:log_in()
      switch.marks_on = true
      local ok, err = here:account():log_out()
      switch.marks_on = false
      assert.is_true(ok)
      assert.equal("cache", err.kind)
      assert.matches("log out again: .*this process may not write marks", tostring(err))
      expect_logged_out(here)
      assert.is_nil(here:handler():get_mark())
      assert.same({ true }, { here:account():remove() })
      assert.matches("^out %d", here:handler():get_mark())
    end)

    it("a login that cannot be removed is not revoked, and serves until it is", function()
      local info = here:log_in()
      log.set_logger(false)
      switch.on = true
      local ok, err = here:account():log_out()
      switch.on = false
      assert.is_nil(ok)
      assert.equal("cache", err.kind)
      assert.matches("could not be removed, so it was not revoked either: .*may not write",
        tostring(err))
      assert.is_true(server:introspect(info.access_token).active)
      assert.equal(info.access_token, here:account():get_access_token())
      assert.same({ true }, { here:account():log_out() })
      assert.is_false(server:introspect(info.access_token).active)
      expect_logged_out(here)
    end)

    it("what this process owes is dropped by its own log out", function()
      here:log_in()
      log.set_logger(false)
      here:expire()
      here.on_request = function()
        here.on_request, switch.on = nil, true
      end
      local owed = assert(here:account():get_access_token())
      switch.on = false
      assert.same({ true }, { here:account():log_out() })
      expect_logged_out(here)
      assert.is_false(server:introspect(owed).active)
    end)
  end)
end

describe("a log out", function()
  it("stays, though the store brings the entry back that was removed", function()
    local here, there, switch = two_processes(new_redis)
    here:log_in()
    log.set_logger(false)
    here:expire()
    local old = here:saved()
    here.on_request = function()
      here.on_request, switch.on = nil, true
    end
    assert(here:account():get_access_token())
    there.now = here.now
    assert.same({ true }, { there:account():log_out() })
    switch.on = false
    expect_logged_out(here)
    assert(there:handler():save_token_to_cache(old))
    local token, err = here:account():get_access_token()
    assert.is_nil(token)
    assert.equal("reauthorize", err.kind)
    assert.equal(1, here.sent)
  end)
end)

describe("two processes", function()
  local SCRIPT = [[
    local shell = require("support.process")
    local gate, said = ...
    local broken = false
    local function new_store()
      local store = %s
      local replace = store.replace
      store.replace = function(...)
        if broken then
          return nil, "this process may not write"
        end
        return replace(...)
      end
      return store
    end
    local trial = require("support.login_trial").new {
      store = new_store, server = require("support.oidc_provider").at(%q) }
    require("tokencache").set_logger(function() end)
    trial:expire()
    trial.on_request = function() broken = true end
    local owed = assert(trial:account():get_access_token())
    shell.write_file(os.getenv("READY_FILE"), owed .. "\n")
    shell.wait_until("the other to log out", function() return shell.read_file(gate) end)
    broken = false
    local token, err = trial:account():get_access_token()
    print(token, err.kind, trial:saved(), trial.sent)
  ]]

  for name, backend in pairs {
    Redis = { new_redis, function()
      return ("require('tokencache').store.redis { port = %d }"):format(real.redis.port)
    end },
    files = { new_file, function()
      return ("require('tokencache').store.file { directory = %q }"):format(real:directory())
    end },
  } do
    it("over " .. name .. " agree that the user has logged out", function()
      local trial = login_trial.new { server = server, store = backend[1],
        options = { io = sleepless(), timeout = 60 } }
      trial:log_in()
      log.set_logger(false)
      local gate = real.dir:file("gate")
      local child = process.start(process.lua(SCRIPT:format(backend[2](), server.url), gate),
        { ready = true, environment = process.lua("").environment })
      finally(function() child:stop() end)
      trial.now = trial.now + 10
      assert.same({ true }, { trial:account():log_out() })
      process.write_file(gate, "")
      child:wait()
      assert.equal("nil\treauthorize\tnil\t1\n", child:output())
      assert.is_nil(trial:saved())
      assert.is_false(server:introspect(child.ready).active)
    end)
  end
end)

it("marks that have ended are removed from a directory at another log out", function()
  local trial = login_trial.new { server = server, store = new_file }
  local function log_out(...)
    for _, key in ipairs { ... } do
      local account = trial:flow():account(key)
      assert(tokencache.cache.from_store(new_file(), key):save_token_to_cache({
        access_token = "a", refresh_token = "r", expires_at = 5 }))
      assert(account:remove())
    end
  end
  local long = ("x"):rep(300)
  log_out("ann", "bob", long)
  real.dir:shell("touch -d '25 hours ago' logins/*%3aann.token logins/*%3a[0-9a-f][0-9a-f]*.token")
  local store = new_file()
  assert(store:set("tokencache-markfoo", "an entry"))
  assert(store:set("fred", "an entry"))
  real.dir:shell("touch -d '25 hours ago' logins/tokencache-markfoo.token logins/fred.token")
  process.run(process.lua([[
    local store = require("tokencache").store.file { directory = ... }
    assert(require("tokencache").cache.from_store(store, "eve"):set_mark("out 1", 86400))
  ]], real:directory()))
  assert.equal("fred.token tokencache-mark%3abob.token tokencache-mark%3aeve.token "
    .. "tokencache-markfoo.token", (real.dir:shell("ls logins"):gsub("\n", " ")))
end)
