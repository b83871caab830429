-- What an observer is told of the work of flows.

local log = require "tokencache.log"
local logins = require "support.logins"
local new_store = require "support.table_store"
local stages = require "support.stage"
local tokencache = require "tokencache"

describe("an observer of flows", function()
  local stage, store, events

  before_each(function()
    stage, store, events = stages.new(), new_store(), {}
    logins.rotate(stage)
    tokencache.cache.from_store(store, "user:anna"):save_token_to_cache(logins.LOGIN)
    tokencache.set_observer(function(event) events[#events + 1] = event end)
  end)

  after_each(function()
    tokencache.set_observer(nil)
    log.set_logger(nil)
  end)

  --- The names of what happened since the last time.
  local function happened()
    local names = {}
    for i, event in ipairs(events) do
      names[i] = event.event
    end
    events = {}
    return table.concat(names, " ")
  end

  it("hears of hits, misses, renewals and saves", function()
    local account = stage:user_flow({ store = store }):account("user:anna")
    account:get_access_token()
    local refresh = events[2]
    assert.equal("miss refresh save", happened())
    assert.equal("authorization_code", refresh.flow)
    assert.equal("an-id", refresh.client_id)
    assert.matches("^user:#%x+$", refresh.key)
    assert.equal(3600, refresh.left)
    assert.equal(0, refresh.seconds)
    account:get_access_token()
    assert.equal(3600, events[1].left)
    assert.equal("hit", happened())
    account:get_token_info()
    assert.equal("hit", happened())
  end)

  it("hears of a flow over memory, too", function()
    stage.on.request = nil
    local flow = tokencache.flow.client_credentials {
      provider = { token_url = "https://login.example/token" }, client_id = "c",
      client_secret = "s", cache = tokencache.cache.memory(), http = stage.transport,
    }
    flow:get_access_token()
    flow:get_access_token()
    flow:get_access_token()
    assert.equal("miss refresh save hit hit", happened())
  end)

  it("hears of refused tokens, debts and failures", function()
    local account = stage:user_flow({ store = store }):account("user:anna")
    local set = store.set
    store.set = function() return nil, "the disk is full" end
    account:get_access_token()
    assert.equal("cache", events[3].kind)
    assert.equal("miss refresh owed", happened())
    store.set = set
    account:get_access_token()
    assert.equal("miss save", happened())
    stage.now = 1100
    account:get_access_token { refused = "access-1" }
    assert.equal("refused refresh save", happened())
    stage.now, stage.on.request = 9000, logins.dead
    account:get_access_token()
    assert.equal("reauthorize", events[2].kind)
    assert.equal("miss failure", happened())
  end)

  it("hears of a wait for another's lock, and of a log out", function()
    stage = stages.new { lock = true, token_info = logins.LOGIN }
    logins.rotate(stage)
    stage.holder = {}
    stage.on.sleep = function() stage.holder = nil end
    local flow = stage:user_flow()
    flow:get_access_token()
    assert.is_true(events[2].seconds > 0)
    assert.equal("miss wait refresh save", happened())
    flow:log_out()
    assert.equal("log_out", happened())
  end)
end)
