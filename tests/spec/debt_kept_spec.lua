-- What a process keeps of its accounts is its own: no program changes it, no handler that is of no
-- use any more keeps it from the cache, and no crowd of other accounts puts it out. #once

local logins = require "support.logins"
local merged = require "support.merged"
local new_store = require "support.table_store"
local stages = require "support.stage"
local tokencache = require "tokencache"

local KEY = "anna"

--- A handler of one entry, made for one request as over its connection.
local function new_handler(row, request)
  return {
    identity = "anna's row",
    get_cached_token = function()
      if request.is_over then
        return nil, "the connection is closed"
      end
      return row.info
    end,
    save_token_to_cache = function(_, info)
      if request.is_over or request.is_full then
        return nil, request.is_over and "the connection is closed" or "the disk is full"
      end
      row.info = info
      return true
    end,
    try_lock = function()
      if row.holder then
        return false
      end
      row.holder = "held"
      return row.holder
    end,
    unlock = function(_, handle)
      if request.is_over then
        return nil, "the connection is closed"
      end
      row.holder = row.holder ~= handle and row.holder or nil
      return true
    end,
  }
end

describe("what is owed to a cache", function()
  local stage, store

  before_each(function()
    stage, store = stages.new(), new_store()
    logins.rotate(stage)
    function store:replace(key, old, bytes)
      if self.is_full then
        return nil, "the disk is full"
      elseif self.entries[key] ~= old then
        return false
      end
      self.entries[key] = bytes
      return true
    end
    assert(tokencache.cache.from_store(store, KEY):save_token_to_cache(logins.LOGIN))
  end)

  after_each(function()
    tokencache.set_logger(nil)
  end)

  local function saved()
    return assert(tokencache.cache.from_store(store, KEY):get_cached_token())
  end

  it("is not lost with a field that cannot be copied", function()
    local flow, request = stage:user_flow { store = store }, { is_full = true }
    local row = { info = merged(logins.LOGIN, { extra = {} }) }
    row.info.extra.itself = row.info.extra
    local account = flow:account(new_handler(row, request))
    assert.equal("access-1", account:get_access_token())
    assert.equal("access-1", account:get_access_token())
    request.is_full = false
    assert.equal("access-1", account:get_access_token())
    assert.equal("access-1", row.info.access_token)
    assert.equal(1, #stage.requests)
  end)

  it("is saved by the handler of who asks next", function()
    local flow, row = stage:user_flow { store = store }, { info = logins.LOGIN }
    local first, second = { is_full = true }, {}
    assert.equal("access-1", flow:account(new_handler(row, first)):get_access_token())
    assert.equal(logins.LOGIN, row.info)
    first.is_over = true
    assert.equal("access-1", flow:account(new_handler(row, second)):get_access_token())
    assert.equal("access-1", row.info.access_token)
    assert.is_nil(row.holder)
    assert.equal(1, #stage.requests)
  end)

  it("is not changed by what the program does to its own table", function()
    local account = stage:user_flow({ store = store }):account(KEY)
    store.is_full = true
    local info = account:get_token_info()
    info.refresh_token, info.hello = nil, print
    info = account:get_token_info() -- out of what is owed
    info.refresh_token = nil
    store.is_full = false
    account:get_access_token()
    assert.equal("refresh-2", saved().refresh_token)
  end)

  it("is not changed by what the program does to the successor of a spent token", function()
    local account, before = stage:user_flow({ store = store }):account(KEY), store.entries[KEY]
    account:get_token_info().refresh_token = nil
    store.entries[KEY] = before -- a copy is restored
    account:get_token_info().refresh_token = nil
    assert.equal("refresh-2", saved().refresh_token)
  end)

  it("is not changed by what the program does to the table of a login", function()
    local flow = stage:user_flow { store = store }
    local url, pending = flow:get_authorize_url()
    store.is_full = true
    local info = flow:exchange("https://app.example/callback?code=c&state="
      .. url:match("state=([^&]+)"), pending, function(token)
      token.name = "Bob" -- which is kept with it
      return "bob"
    end)
    info.refresh_token = nil
    store.is_full = false
    flow:account("bob"):get_access_token()
    local kept = tokencache.cache.from_store(store, "bob"):get_cached_token()
    assert.same({ "refresh-2", "Bob" }, { kept.refresh_token, kept.name })
  end)

  it("is found where a crowd of others came while its token was asked for", function()
    stage.io.process:set_limit(3)
    local flow = stage:user_flow { store = store }
    local rotate = stage.on.request
    stage.on.request = function(...)
      for i = 1, 10 do
        flow:account("other" .. i):get_access_token()
      end
      collectgarbage()
      return rotate(...)
    end
    store.is_full = true
    assert.equal("access-1", flow:account(KEY):get_access_token())
    collectgarbage()
    store.is_full = false
    stage.on.request = rotate
    assert.equal("access-1", flow:account(KEY):get_access_token())
    assert.equal("access-1", saved().access_token)
    assert.equal(1, #stage.requests)
    assert.equal(0, stage.io.process.owing)
  end)

  it("is what counts also where the store brings back what was judged before", function()
    local fresh = { access_token = "old", refresh_token = "refresh-1", client_id = "an-id",
      expires_at = 5000, expires_in = 4500 }
    assert(tokencache.cache.from_store(store, KEY):save_token_to_cache(fresh))
    local account, before = stage:user_flow({ store = store }):account(KEY), store.entries[KEY]
    assert.equal("old", account:get_access_token())
    assert.equal("access-1", account:get_access_token { refused = "old" })
    store.entries[KEY] = before
    assert.equal("access-1", account:get_access_token())
    assert.equal("access-1", saved().access_token)
  end)
end)
