-- Accounts: many logins over one store, and what the process keeps of each beyond any object.

local log = require "tokencache.log"
local logins = require "support.logins"
local merged = require "support.merged"
local new_store = require "support.table_store"
local stages = require "support.stage"
local tokencache = require "tokencache"

local LOGIN = logins.LOGIN
local expect_reauthorize = logins.expect_reauthorize

after_each(function()
  log.set_logger(nil)
end)

--- A stage whose provider rotates refresh tokens, and a store that holds logins of these keys.
local function scene(...)
  local stage, store = stages.new(), new_store()
  logins.rotate(stage)
  for _, key in ipairs { ... } do
    local handler = tokencache.cache.from_store(store, key)
    assert(handler:save_token_to_cache(merged(LOGIN, { access_token = "old of " .. key })))
  end
  return stage, store
end

local function saved(store, key)
  return tokencache.cache.from_store(store, key):get_cached_token()
end

describe("flow:account", function()
  it("leads to a login of its own for each key", function()
    local stage, store = scene("anna", "ben")
    stage.now = 900
    local flow = stage:user_flow { store = store }
    assert.equal("old of anna", flow:account("anna"):get_access_token { timeout = 5 })
    assert.equal("old of ben", flow:account("ben"):get_access_token())
    assert.equal("old of ben", flow:account("ben"):peek_access_token())
    expect_reauthorize(flow:account("nobody"):get_access_token())
    assert.equal(0, #stage.requests)
  end)

  it("is the same object for the same key, and takes lists", function()
    local stage, store = scene("a:b")
    stage.now = 900
    local flow = stage:user_flow { store = store }
    assert.equal(flow:account("a:b"), flow:account { "a", "b" })
    assert.equal("old of a:b", flow:account({ "a", "b" }):get_access_token())
    assert.not_equal(flow:account("a"), flow:account("b"))
  end)

  it("takes a cache handler, of a flow with a cache too", function()
    local stage = stages.new { token_info = merged(LOGIN, { expires_at = 9000 }) }
    local handler = tokencache.cache.memory { token_info = { access_token = "his",
      expires_at = 9000, refresh_token = "r" } }
    local flow = stage:user_flow()
    assert.equal("his", flow:account(handler):get_access_token())
    assert.equal("old", flow:get_access_token())
    assert.equal("his", flow:account(handler):get_token_info().access_token)
  end)

  it("renews each by itself", function()
    local stage, store = scene("anna", "ben")
    local flow = stage:user_flow { store = store }
    assert.equal("access-1", flow:account("anna"):get_access_token())
    assert.equal("access-2", flow:account("ben"):get_access_token())
    assert.equal("access-1", flow:account("anna"):get_access_token())
    assert.equal("access-1", saved(store, "anna").access_token)
    assert.equal("access-2", saved(store, "ben").access_token)
  end)

  it("has the methods of a flow", function()
    local stage, store = scene("anna")
    local account = stage:user_flow({ store = store }):account("anna")
    assert.equal("access-1", account:refresh_access_token().access_token)
    assert.is_nil(account:reauthorization_due_in())
    assert.is_nil(account:validate_token({ access_token = "x", expires_at = 10 }))
    assert.equal("access-1", account:get_token_info().access_token)
    assert.equal("tokencache.account: anna", tostring(account))
  end)

  it("returns the token_info or nil and an error, and nothing more", function()
    local stage = stages.new()
    local flow = stage:user_flow()
    assert.equal(2, select("#", flow:refresh_access_token()))
    assert.equal(2, select("#", flow:refresh_access_token("r")))
    stage.on.request = stages.refuse
    assert.equal(2, select("#", flow:validate_token { access_token = "x", expires_at = 10,
      refresh_token = "r" }))
  end)

  it("knows a store from a cache handler, where one is given as the other", function()
    local stage = stages.new()
    assert.error_matches(function() stage:user_flow { cache = tokencache.store.memory {} } end,
      "cache is a store, not a cache handler; give it as store=", 1, true)
    assert.error_matches(function() stage:user_flow { store = tokencache.cache.memory {} } end,
      "store is a cache handler, which keeps one token; use one of tokencache.store", 1, true)
  end)

  it("says what is wrong with the name that a handler gives its account", function()
    local stage = stages.new()
    for _, wrong in ipairs { {}, { nil, "key" }, { 0 / 0, "key" }, { "place" } } do
      function stage.handler.account_id() return wrong[1], wrong[2] end
      assert.error_matches(function() stage:user_flow() end,
        "the cache handler's account_id%(%) must return what the storage is known by")
    end
    stage.handler.account_id, stage.handler.identity = nil, 0 / 0
    assert.error_matches(function() stage:user_flow() end, "the cache handler's identity is NaN")
  end)

  it("says what is wrong with a call, and whose call it was", function()
    local stage, store = scene()
    local many, one = stage:user_flow { store = store }, stage:user_flow()
    local wrong = {
      { "get_access_token: this flow keeps many accounts (store=); call it on flow:account(key)",
        function() many:get_access_token() end },
      { "peek_access_token: this flow keeps many accounts (store=); call it on flow:account(key)",
        function() many:peek_access_token() end },
      { "refresh_access_token: this flow keeps many accounts (store=); call it on "
        .. "flow:account(key)", function() many:refresh_access_token() end },
      { "exchange: key is required: this flow keeps many accounts (store=)",
        function() many:exchange("u", "p") end },
      { "exchange: this flow has one cache, and so one account; leave the key out",
        function() one:exchange("u", "p", "key") end },
      { "account: this flow has one cache, and so one account; give it store= instead of cache= "
        .. "for accounts by key", function() one:account("key") end },
      { "account: key must be a string that is not empty, or a list of strings",
        function() many:account("") end },
      { "account: the cache handler has no method get_cached_token; use one of tokencache.cache, "
        .. "or give yours both methods", function() many:account(setmetatable({}, {})) end },
      { "exchange: key must be a string that is not empty, or a list of strings",
        function() many:exchange("u", "p", 5) end },
      { "account: call it on a flow, with a colon", function() many.account("key") end },
      { "get_access_token: unknown option timout; did you mean timeout?",
        function() many:account("k"):get_access_token { timout = 1 } end },
      { "get_access_token: code and response_url are for a flow with cache=; call exchange",
        function() many:account("k"):get_access_token { code = "c" } end },
      { "accounts: the store cannot list its keys", function() many:accounts() end },
      { "accounts: this flow has one cache, and so one account", function() one:accounts() end },
    }
    for _, case in ipairs(wrong) do
      local ok, message = pcall(case[2])
      assert.is_false(ok)
      assert.equal(case[1], (message:gsub("^tests/spec/account_spec.lua:%d+: ", "")))
      assert.matches("^tests/spec/account_spec.lua:%d+: ", message)
    end
    assert.error_matches(function() stage:user_flow { store = {} } end, "store has no method get; "
      .. "use one of tokencache.store, or give yours get and set", 1, true)
    assert.error_matches(function()
      tokencache.flow.client_credentials { provider = { token_url = "https://a.example/t" },
        client_id = "i", client_secret = "s", store = store, cache = stage.handler }
    end, "give cache, for one account, or store, for many; not both", 1, true)
  end)
end)

describe("what a process knows of an account", function()
  local function fail_once(store)
    local set, failed = store.set, false
    store.set = function(...)
      if failed then
        return set(...)
      end
      failed = true
      return nil, "the disk is full"
    end
  end

  it("outlives a flow that was made for one request", function()
    local stage, store = scene("anna")
    fail_once(store)
    assert.equal("access-1", stage:user_flow({ store = store }):account("anna"):get_access_token())
    assert.equal("refresh-1", saved(store, "anna").refresh_token)
    assert.equal("access-1", stage:user_flow({ store = store }):account("anna"):get_access_token())
    assert.equal("refresh-1", logins.sent(stage))
    assert.equal("refresh-2", saved(store, "anna").refresh_token)
  end)

  it("is found by a handler over the same store and key", function()
    local stage, store = scene("anna")
    fail_once(store)
    stage:user_flow({ store = store }):account("anna"):get_access_token()
    local flow = stage:user_flow { cache = tokencache.cache.from_store(store, "anna") }
    assert.equal("access-1", flow:get_access_token())
    assert.equal("refresh-1", logins.sent(stage))
    assert.equal("refresh-2", saved(store, "anna").refresh_token)
  end)

  it("is found by tiers that are made anew over a handler of the user's", function()
    local stage = stages.new { token_info = LOGIN }
    logins.rotate(stage)
    stage.on.save = logins.fail
    local function flow()
      return stage:user_flow { cache = tokencache.cache.tiered {
        front = tokencache.cache.memory {}, back = stage.handler } }
    end
    assert.equal("access-1", flow():get_access_token())
    stage.on.save = nil
    assert.equal("access-1", flow():get_access_token())
    assert.equal("refresh-1", logins.sent(stage))
    assert.equal("refresh-2", stage.stored.refresh_token)
  end)

  it("is found by handlers that are made anew over a client of the user's", function()
    for _, name in ipairs { "redis", "memcached" } do
      local stage, entries, failing = stages.new(), {}, false
      local client = {
        get = function(_, key) return entries[key] end,
        set = function(_, key, bytes)
          if failing then
            return nil, "the disk is full"
          end
          entries[key] = bytes
          return true
        end,
      }
      logins.rotate(stage)
      local function cache()
        return tokencache.cache[name] { client = client, key = "anna" }
      end
      assert(cache():save_token_to_cache(LOGIN))
      failing = true
      assert.equal("access-1", stage:user_flow({ cache = cache() }):get_access_token())
      failing = false
      assert.equal("access-1", stage:user_flow({ cache = cache() }):get_access_token())
      assert.equal("refresh-1", logins.sent(stage))
      assert.equal("refresh-2", cache():get_cached_token().refresh_token)
    end
  end)

  it("ends with the request where the login is in that one's session", function()
    local stage = stages.new { token_info = LOGIN }
    logins.rotate(stage)
    local process = stage.io.process
    process:set_limit(10)
    for _ = 1, 100 do
      local handler = { in_request = true, get_cached_token = function() return LOGIN end,
        save_token_to_cache = logins.fail }
      assert(stage:user_flow({ cache = handler }):get_access_token())
    end
    local count = 0
    for _ in pairs(process.states) do
      count = count + 1
    end
    assert.equal(10, count)
    assert.equal(10, process.owing)
  end)

  it("is not mixed up with that of another store or key", function()
    local stage, store = scene("anna", "ben")
    local _, other = scene("anna")
    fail_once(store)
    stage:user_flow({ store = store }):account("anna"):get_access_token()
    assert.equal("access-2", stage:user_flow({ store = other }):account("anna"):get_access_token())
    assert.equal("access-3", stage:user_flow({ store = store }):account("ben"):get_access_token())
  end)

  it("is that a refresh token is spent: what a store brings back is put right", function()
    local stage, store = scene("anna")
    local account = stage:user_flow({ store = store }):account("anna")
    local old = store.entries.anna
    assert.equal("access-1", account:get_access_token())
    store.entries.anna = old
    assert.equal("access-1", account:get_access_token())
    assert.equal("refresh-2", saved(store, "anna").refresh_token)
    store.entries.anna = old
    stage.now = 9000
    assert.equal("access-2", account:get_access_token())
    assert.equal("refresh-1 refresh-2", logins.sent(stage))
  end)

  it("is that a refresh token is dead, where it cannot be removed", function()
    local stage, store = scene("anna")
    stage.on.request = logins.dead
    store.delete, store.set = nil, function() return nil, "read only" end
    local flow = stage:user_flow { store = store }
    expect_reauthorize(flow:account("anna"):get_access_token())
    expect_reauthorize(stage:user_flow({ store = store }):account("anna"):get_access_token())
    assert.equal(1, #stage.requests)
  end)

  it("is bounded", function()
    local stage, store = scene()
    local process = require("tokencache.account.process").new()
    process:set_limit(100)
    stage.io.process = process
    local flow = stage:user_flow { store = store }
    for i = 1, 1000 do
      flow:account("user" .. i):get_access_token()
    end
    local count = 0
    for _ in pairs(flow.accounts_by_key) do
      count = count + 1
    end
    assert.is_true(count <= 100, count)
    for _ in pairs(process.states) do
      count = count + 1
    end
    assert.is_true(count <= 200, count)
  end)

  it("keeps what is owed, however many accounts come after", function()
    local stage, store = scene("anna")
    local process = require("tokencache.account.process").new()
    process:set_limit(10)
    stage.io.process = process
    fail_once(store)
    local flow = stage:user_flow { store = store }
    assert.equal("access-1", flow:account("anna"):get_access_token())
    for i = 1, 100 do
      flow:account("user" .. i):get_access_token()
    end
    assert.equal("access-1", flow:account("anna"):get_access_token())
    assert.equal("refresh-1", logins.sent(stage))
    assert.equal("refresh-2", saved(store, "anna").refresh_token)
  end)
end)

describe("a log out", function()
  local function scene_with_revocation()
    local stage, store = scene("anna")
    local renew, revoked = stage.on.request, {}
    stage.on.request = function(request)
      if request.url == "https://login.example/revoke" then
        revoked[#revoked + 1] = request.body:match("^token=([^&]+)&token_type_hint=")
        return stages.answer({})
      end
      return renew(request)
    end
    local provider = { token_url = "https://login.example/token",
      authorize_url = "https://login.example/authorize",
      revocation_url = "https://login.example/revoke" }
    return stage, store, stage:user_flow { store = store, provider = provider }, revoked
  end

  it("revokes the refresh token, then the access token, and forgets both", function()
    local _, store, flow, revoked = scene_with_revocation()
    assert.is_true(flow:account("anna"):log_out())
    assert.same({ "refresh-1", "old+of+anna" }, revoked)
    assert.is_nil(store.entries.anna)
    expect_reauthorize(flow:account("anna"):get_access_token())
  end)

  it("tells where the provider is away, and ends the login here all the same", function()
    local stage, store, flow = scene_with_revocation()
    stage.on.request = stages.refuse
    local ok, err = flow:account("anna"):log_out()
    assert.is_true(ok)
    assert.equal("transient", err.kind)
    assert.is_nil(store.entries.anna)
  end)

  it("tells both where neither the provider nor other processes can be told", function()
    local stage, store, flow = scene_with_revocation()
    stage.on.request = stages.refuse
    store.set = function() return nil, "the disk is full" end
    local ok, err = flow:account("anna"):log_out()
    assert.is_true(ok)
    assert.equal("cache", err.kind)
    assert.matches("log out again: .*the disk is full; nor could it be revoked: no connection",
      tostring(err))
  end)

  it("counts for a renewal that is under way: its token is revoked", function()
    local stage, store, flow, revoked = scene_with_revocation()
    local renew = stage.on.request
    stage.on.request = function(request)
      stage.on.request = renew
      stage.now = stage.now + 1
      assert(flow:account("anna"):remove())
      return renew(request)
    end
    expect_reauthorize(flow:account("anna"):get_access_token())
    assert.same({ "refresh-2", "access-1" }, revoked)
    assert.is_nil(store.entries.anna)
  end)

  it("counts for a token that is owed", function()
    local stage, store, flow = scene_with_revocation()
    local set = store.set
    store.set = function() return nil, "the disk is full" end
    assert(flow:account("anna"):get_access_token())
    store.set = set
    stage.now = stage.now + 1
    local other = merged(stage.io, { process = require("tokencache.account.process").new() })
    assert(stage:user_flow({ store = store, io = other }):account("anna"):remove())
    expect_reauthorize(flow:account("anna"):get_access_token())
    assert.is_nil(store.entries.anna)
  end)

  it("does not count for who logs in after it", function()
    local stage, store, flow = scene_with_revocation()
    assert(flow:account("anna"):remove())
    stage.now = stage.now + 1
    local url, pending = flow:get_authorize_url()
    local answer = "https://app.example/callback?code=c&state=" .. url:match("state=([^&]+)")
    assert.equal("access-1", flow:exchange(answer, pending, "anna").access_token)
    assert.equal("access-1", flow:account("anna"):get_access_token())
    assert.equal("access-1", saved(store, "anna").access_token)
  end)
end)

describe("an exchange with a key that the token tells", function()
  local function login(flow)
    local url, pending = flow:get_authorize_url()
    return "https://app.example/callback?code=c&state=" .. url:match("state=([^&]+)"), pending
  end

  it("saves the login there", function()
    local stage, store = scene()
    local flow = stage:user_flow { store = store }
    local answer, pending = login(flow)
    local info = assert(flow:exchange(answer, pending, function(info)
      return { "user", info.access_token }
    end))
    assert.equal("access-1", info.access_token)
    assert.equal("access-1", saved(store, "user:access-1").access_token)
    assert.equal("access-1", flow:account("user:access-1"):get_access_token())
  end)

  it("revokes the login that is nobody's", function()
    local stage, store = scene()
    local flow = stage:user_flow { store = store }
    for _, case in ipairs {
      { function() end, "the key's function returned no key" },
      { function() return nil, "not one of us" end, "returned no key: not one of us" },
      { function() error("a bug", 0) end, "the key's function raised: a bug" },
      { function() return 7 end, "key must be a string that is not empty" },
    } do
      local answer, pending = login(flow)
      local info, err = flow:exchange(answer, pending, case[1])
      assert.is_nil(info)
      assert.equal("config", err.kind)
      assert.matches(case[2], tostring(err), 1, true)
    end
    assert.same({}, store.entries)
  end)

  it("owes the login that could not be saved", function()
    local stage, store = scene()
    local flow, set = stage:user_flow { store = store }, store.set
    local answer, pending = login(flow)
    store.set = function() return nil, "the disk is full" end
    assert.equal("access-1", flow:exchange(answer, pending, function() return "k" end).access_token)
    store.set = set
    assert.equal("access-1", flow:account("k"):get_access_token())
    assert.equal("access-1", saved(store, "k").access_token)
  end)
end)

describe("refused", function()
  it("renews the token that the API refuses, and no other", function()
    local stage, store = scene("anna")
    local account = stage:user_flow({ store = store }):account("anna")
    assert.equal("access-1", account:get_access_token())
    stage.now = 1100
    assert.equal("access-2", account:get_access_token { refused = "access-1" })
    assert.equal("access-2", account:get_access_token { refused = "access-1" })
    assert.equal("access-2", account:get_token_info({ refused = "access-1" }).access_token)
    assert.equal(2, #stage.requests)
  end)

  it("is denied for a token that was issued a moment ago", function()
    local stage, store = scene("anna")
    local account = stage:user_flow({ store = store }):account("anna")
    assert.equal("access-1", account:get_access_token())
    stage.now = 1004
    local token, err = account:get_access_token { refused = "access-1" }
    assert.is_nil(token)
    assert.equal("denied", err.kind)
    assert.equal(1, #stage.requests)
  end)

  it("never gives that token back, though it has seconds left", function()
    local stage, store = scene("anna")
    local account = stage:user_flow({ store = store }):account("anna")
    assert.equal("access-1", account:get_access_token())
    stage.now = 2000
    stage.on.request = stages.refuse
    local token, err = account:get_access_token { refused = "access-1", timeout = 1 }
    assert.is_nil(token)
    assert.equal("transient", err.kind)
    assert.equal("access-1", account:get_access_token())
  end)

  it("works for a client's own token", function()
    local stage = stages.new { lock = true }
    local flow = stage:flow()
    assert.equal("access-1", flow:get_access_token())
    stage.now = 1100
    assert.equal("access-2", flow:get_access_token { refused = "access-1" })
    assert.equal("access-2", flow:get_access_token { refused = "access-1" })
    assert.equal(2, #stage.requests)
  end)
end)
