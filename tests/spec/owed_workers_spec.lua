-- What two workers of one nginx make of a login that one of them owes the store, with nginx, store,
-- lock and provider played. #once

local debt = require "tokencache.account.debt"
local environment = require "tokencache.environment"
local leave = require "tokencache.account.leave"
local logins = require "support.logins"
local new_store = require "support.table_store"
local payment = require "tokencache.account.debt_payment"
local settings = require "tokencache.nginx.settings"
local stages = require "support.stage"
local tokencache = require "tokencache"

local KEY = "anna"

--- A dictionary in which there is always room.
local function new_dict()
  local entries = {}
  return {
    get = function(_, name) return entries[name] end,
    delete = function(_, name) entries[name] = nil end,
    safe_set = function(_, name, text)
      entries[name] = text
      return true
    end,
  }
end

--- A store with locks that another machine could find too.
local function new_locked_store()
  local store = new_store()
  store.identity = "a server"
  function store:replace(key, old, bytes)
    if self.entries[key] ~= old then
      return false
    end
    self.entries[key] = bytes
    return true
  end
  function store:try_lock()
    if self.holder then
      return false
    end
    self.holder = {}
    return self.holder
  end
  function store:unlock(handle)
    self.holder = self.holder ~= handle and self.holder or nil
    return true
  end
  return store
end

--- Calls a function at the next call of the store's method with that key.
local function before_next(store, name, key, change)
  local method = store[name]
  store[name] = function(self, ...)
    if (...) ~= key then
      return method(self, ...)
    end
    store[name] = method
    local result, err = change(...)
    if err ~= nil then
      return result, err
    end
    return method(self, ...)
  end
end

describe("a login that a worker owes", function()
  local store, one, other

  --- A user logs in at the worker.
  local function log_in(worker)
    local flow = worker.flow
    local url, pending = flow:get_authorize_url()
    return flow:exchange("https://app.example/callback?code=c&state=" .. url:match("state=([^&]+)"),
      pending, function() return KEY end)
  end

  local function saved()
    return (tokencache.cache.from_store(store, KEY):get_cached_token())
  end

  before_each(function()
    store = new_locked_store()
    one, other = stages.new(), stages.new()
    logins.rotate(one)
    logins.rotate(other, { access_token = "renewed", refresh_token = "refresh-of-other" })
    for _, worker in ipairs { one, other } do
      worker.flow = worker:user_flow { store = store }
    end
    environment.nginx, settings.owed = true, new_dict() -- for account/shared.lua
  end)

  after_each(function()
    environment.nginx, settings.owed = nil, false
    tokencache.set_logger(nil)
  end)

  it("is not saved over what another has renewed of it, though nothing can be read", function()
    before_next(store, "try_lock", KEY, function()
      assert.equal("renewed", other.flow:account(KEY):get_access_token { check_cache = false })
      before_next(store, "get", KEY, function() return nil, "away" end)
    end)
    assert.equal("access-1", log_in(one).access_token)
    assert.equal("renewed", saved().access_token)
    assert.equal("refresh-2", logins.sent(other))
  end)

  it("is not taken by others for one before a log out that it comes after", function()
    local handler = tokencache.cache.from_store(store, KEY)
    assert(handler:set_mark("out 1005.000", 60)) -- by the clock of another machine
    before_next(store, "replace", KEY, function() return nil, "away" end)
    assert.equal("access-1", log_in(one).access_token)
    assert.is_nil(saved())
    store.holder = nil -- `one` is gone, and its lock with it
    assert.equal("access-1", other.flow:account(KEY):get_access_token())
    assert.equal("renewed", other.flow:account(KEY):get_access_token { check_cache = false })
    assert.equal("refresh-2", logins.sent(other))
  end)

  it("is over where its worker was stopped until the user had logged out", function()
    before_next(store, "get", "tokencache-mark:" .. KEY, function()
      one.now = 1007 -- it wakes up
      assert(tokencache.cache.from_store(store, KEY):set_mark("out 1004.000", 60))
    end)
    local info, err = log_in(one)
    logins.expect_reauthorize(info, err)
    assert.is_nil(saved())
  end)

  it("is not saved again after a log out, where an old read comes late", function()
    assert.equal("access-1", log_in(one).access_token)
    local old = store.entries[KEY]
    local account = one.flow:account(KEY)
    one.now = 1000.5
    assert.equal("access-2", account:get_access_token { check_cache = false })
    store.entries[KEY] = nil
    assert(tokencache.cache.from_store(store, KEY):set_mark("out 1000.800", 60))
    one.now = 1003
    local get = store.get
    function store.get()
      store.get = get
      return old
    end
    account:get_access_token { check_cache = false }
    assert.is_nil(saved())
    logins.expect_reauthorize(account:get_access_token())
  end)

  it("is no new one to who takes it over after the user has logged out", function()
    before_next(store, "replace", KEY, function() return nil, "away" end)
    assert.equal("access-1", log_in(one).access_token)
    local account = other.flow:account(KEY)
    local state = account.process:state(account.id)
    assert.equal("access-1", debt.resolve(account, state, nil, nil, true).access_token)
    other.now = 1004
    assert(tokencache.cache.from_store(store, KEY):set_mark("out 1003.000", 60))
    assert.is_true(payment.attempt(state, state.owed))
    assert.is_nil(saved())
  end)

  it("is named to a call of the same worker that leaves before it is saved", function()
    before_next(store, "replace", KEY, function() return nil, "away" end)
    log_in(one)
    local account = one.flow:account(KEY)
    local state = account.process:state(account.id)
    local run = { account = account, state = state, flow = one.flow, infos = {}, options = {},
      waited = true, busy = false } -- it has taken over the lock that the debt keeps
    local _, err = leave(run)
    assert.same({ "cache", "the last token is not saved yet, so no other is asked for" },
      { err.kind, err.message })
    debt.clear(state)
    assert.equal("timeout", select(2, leave(run)).kind)
  end)
end)
