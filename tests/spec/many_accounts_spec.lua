-- What a process keeps of its accounts is bounded, however many there are.

local collect = require "support.collect"
local stages = require "support.stage"
local suite = require "support.suite"
local tokencache = require "tokencache"

local DEFAULT = 10000 -- accounts that a process remembers unless told otherwise
local LIMIT = (suite.is_in_full or suite.is_jit) and DEFAULT or 2000

--- A store of which every key holds a login that expires, and that keeps nothing: all memory is the
--- process's.
local function endless_store()
  return {
    get = function(_, key)
      return ('{"access_token":"old of %s","expires_at":990,"refresh_token":"r-%s","scope":"a b"}')
        :format(key, key)
    end,
    set = function() return true end,
    delete = function() return true end,
  }
end

local function kilobytes()
  collect()
  return collectgarbage("count")
end

describe("a process", function()
  --- Asks for accounts from..to once, and what is in use after that.
  local function visit(flow, from, to)
    for i = from, to do
      assert(flow:account("user" .. i):get_access_token())
    end
    return kilobytes()
  end

  local function count(map)
    local n = 0
    for _ in pairs(map) do
      n = n + 1
    end
    return n
  end

  for _, case in ipairs {
    { "whose tokens are fresh", 900, suite.is_in_full and 50000 or 2 * LIMIT, 4 },
    { "each of which is renewed", 2000, suite.is_in_full and 15000 or 1.5 * LIMIT, 8 },
  } do
    local name, now, round, kilobytes_each = case[1], case[2], case[3], case[4]
    it(("of %d accounts %s has memory for %d of them"):format(2 * round, name, LIMIT),
      function()
        local stage = stages.new()
        stage.transport.request = function()
          return stages.answer { access_token = "new", refresh_token = "next", expires_in = 3600 }
        end
        stage.now = now
        if LIMIT ~= DEFAULT then
          stage.io.process:set_limit(LIMIT)
        end
        local flow = stage:user_flow { store = endless_store(), http = stage.transport }
        local process = stage.io.process
        local before = kilobytes()
        local filled = visit(flow, 1, LIMIT)
        local first = visit(flow, LIMIT + 1, round)
        local second = visit(flow, round + 1, 2 * round)
        print(("# %s: %.0f KB for %d accounts, %.0f KB after %d, %.0f KB after %d"):format(
          rawget(_G, "jit") and "LuaJIT" or _VERSION, filled - before, LIMIT, first - before,
          round, second - before, 2 * round))
        assert.is_true(count(flow.accounts_by_key) <= LIMIT)
        assert.is_true(count(process.states) <= LIMIT)
        assert.is_true(second <= first * 1.05 + 512, second)
        assert.is_true(second - before <= LIMIT * kilobytes_each, second - before)
      end)
  end

  it("has memory for fewer where it is told so, and goes on with those in use", function()
    local stage = stages.new()
    stage.now = 900
    stage.io.process:set_limit(100)
    local flow = stage:user_flow { store = endless_store() }
    local mine = flow:account("mine")
    for i = 1, 1000 do
      assert(flow:account("user" .. i):get_access_token())
      assert.equal(mine, flow:account("mine"))
    end
    assert.is_true(count(flow.accounts_by_key) <= 100)
  end)

  it("lets go of a flow, its store and its accounts", function()
    local held = setmetatable({}, { __mode = "k" })
    local function one()
      local stage, store = stages.new(), endless_store()
      stage.now, stage.io.process = 900, nil
      local flow = stage:user_flow { store = store }
      for i = 1, 100 do
        assert(flow:account("user" .. i):get_access_token())
      end
      held[flow], held[store], held[flow:account("user1")] = true, true, true
    end
    one()
    collect()
    assert.is_nil(next(held))
  end)

  it("forgets what is too much when it is told so, and no debt", function()
    local stage, fails = stages.new(), true
    local process, store = stage.io.process, endless_store()
    stage.transport.request = function()
      return stages.answer { access_token = "new", refresh_token = "next", expires_in = 3600 }
    end
    function store.set()
      return not fails, fails and "the disk is full" or nil
    end
    stage.now = 2000
    local flow = stage:user_flow { store = store }
    for i = 1, 10 do
      assert(flow:account("owing" .. i):get_access_token())
    end
    fails = false
    for i = 1, 90 do
      assert(flow:account("user" .. i):get_access_token())
    end
    local mine = flow:account("user3")
    assert.equal(mine, flow:account("user3"))
    assert.equal(10, process.owing)
    process:set_limit(20)
    assert.equal(20, count(process.states))
    assert.equal(20, count(flow.accounts_by_key))
    assert.equal(mine, flow:account("user3"))
    process:set_limit(5)
    assert.equal(10, count(process.states))
    assert.equal(5, count(flow.accounts_by_key))
    assert.equal(10, process.owing)
    for i = 1, 10 do
      assert.equal("new", flow:account("owing" .. i):get_access_token())
    end
    assert.equal(0, process.owing)
    process:set_limit(200)
    for i = 1, 300 do
      assert(flow:account("user" .. i):get_access_token())
    end
    assert.equal(200, count(process.states))
  end)

  it("is told how many by set_max_accounts", function()
    finally(function() tokencache.set_max_accounts(DEFAULT) end)
    tokencache.set_max_accounts(50)
    local stage = stages.new()
    stage.now, stage.io.process = 900, nil
    local flow = stage:user_flow { store = endless_store() }
    for i = 1, 200 do
      assert(flow:account("user" .. i):get_access_token())
    end
    assert.is_true(count(flow.accounts_by_key) <= 50)
  end)
end)
