-- flow:accounts(): the keys of all logins that a store holds, each once.

local new_table_store = require "support.table_store"
local real_stores = require "support.real_stores"
local stages = require "support.stage"
local suite = require "support.suite"
local tokencache = require "tokencache"

local COUNT = suite.is_in_full and 2000 or 600 -- a page has 200
local BYTES = '{"access_token":"t","expires_at":9e9}'

describe("flow:accounts", function()
  local real = real_stores.use { parent = "/dev/shm" }
  local encrypted, tiered = real_stores.encrypted, real_stores.tiered

  local backends = {
    memory = tokencache.store.memory,
    file = real.new.file,
    Redis = real.new.Redis,
    ["encrypted memory"] = function() return encrypted(tokencache.store.memory()) end,
    ["encrypted file"] = real.new["encrypted file"],
    ["encrypted Redis"] = real.new["encrypted Redis"],
    ["memory before Redis"] = real.new["memory before Redis"],
    ["memory before encrypted Redis"] = function()
      return tiered(encrypted(real.new.Redis()))
    end,
  }

  local function listed(flow, prefix)
    local seen, count = {}, 0
    for key in flow:accounts(prefix) do
      assert.is_nil(seen[key], key)
      seen[key] = true
      count = count + 1
    end
    return seen, count
  end

  --- The most keys that the store returns at once: a worker of nginx serves nobody meanwhile.
  local function most_in_a_step(flow)
    local store, most = flow.store, 0
    local keys = store.keys
    function store.keys(...)
      local page, more = keys(...)
      most = math.max(most, #page)
      return page, more
    end
    listed(flow)
    store.keys = keys
    return most
  end

  for name, new_store in pairs(backends) do
    describe("over " .. name, function()
      local store, flow

      before_each(function()
        store = new_store()
        flow = stages.new():user_flow { store = store }
      end)

      it("lists each key once, and those that begin with a prefix", function()
        local wanted = {}
        for i = 1, COUNT do
          local key = ("users:%d@example.org*?[%d]"):format(i, i)
          wanted[key] = true
          assert(store:set(key, BYTES, 1000))
        end
        local long = "long:" .. ("x"):rep(300)
        assert(store:set(long, BYTES, 1000))
        assert.same(wanted, (listed(flow, "users:")))
        local _, count = listed(flow)
        assert.equal(COUNT + 1, count)
        assert.is_true(most_in_a_step(flow) <= 250)
        assert.same({ [long] = true }, (listed(flow, "long:")))
        assert.same({}, (listed(flow, "users:x")))
        assert.same({ ["users:7@example.org*?[7]"] = true }, (listed(flow, "users:7@")))
        assert.same({}, (listed(flow, "users:*")))
        for key in pairs((listed(flow, "users:199"))) do
          assert.equal("users:199", key:sub(1, 9))
          assert.equal("t", flow:account(key):get_access_token())
        end
      end)

      it("leaves out locks and marks", function()
        assert(store:set("anna", BYTES, 1000))
        assert(store:try_lock("anna", 1000))
        flow:account("ben"):remove()
        assert.same({ anna = true }, (listed(flow)))
      end)

      it("goes on while accounts come and go", function()
        for i = 1, 500 do
          assert(store:set("user" .. i, BYTES, 1000))
        end
        local seen, count = {}, 0
        for key in flow:accounts() do
          assert.is_nil(seen[key])
          seen[key], count = true, count + 1
          if count % 50 == 0 then
            store:set("new" .. count, BYTES, 1000)
          end
          if key:find("^user") then
            flow:account(key):remove()
          end
        end
        for i = 1, 500 do
          assert.is_true(seen["user" .. i], i)
        end
        for key in flow:accounts() do
          assert.matches("^new", key)
        end
      end)

      it("lists none where there are none", function()
        assert.same({}, (listed(flow)))
      end)
    end)
  end

  it("raises what goes wrong", function()
    local flow = stages.new():user_flow { store = real.new.file() }
    real.dir:shell("rmdir logins")
    assert.error_matches(function() listed(flow) end, "accounts: .*/logins: .*does not exist")
    real.dir:shell("mkdir logins")
    local cut = real.new.Redis()
    flow = stages.new():user_flow { store = cut }
    assert(cut:set("anna", BYTES))
    real.redis:cli("ACL", "SETUSER", "default", "-scan")
    finally(function() real.redis:cli("ACL", "SETUSER", "default", "+@all") end)
    assert.error_matches(function() listed(flow) end, "accounts: .*NOPERM")
  end)

  it("raises in the middle of a list too, and blames whoever iterates", function()
    local store = new_table_store()
    function store.keys(_, prefix, cursor)
      assert.equal("u", prefix)
      if cursor == nil then
        return { "ua", "ub" }, 1
      elseif cursor == 1 then
        return {}, 2
      end
      return nil, "the connection was lost"
    end
    local flow = stages.new():user_flow { store = store }
    local seen = {}
    local ok, err = pcall(function()
      for key in flow:accounts("u") do
        seen[#seen + 1] = key
      end
    end)
    assert.is_false(ok)
    assert.matches("accounts: the connection was lost$", err)
    assert.same({ "ua", "ub" }, seen)
    assert.error_matches(function() flow:accounts(1) end, "prefix must be a string, not a number")
  end)

  it("says what is wrong with what the store's keys() returns, in place of going on", function()
    local RETURN_LIST = "it returned %s.*; return a list"
    for _, case in ipairs {
      { { n = 0 }, RETURN_LIST:format "nil" },
      { { "abc" }, RETURN_LIST:format "a string" },
      { { true }, RETURN_LIST:format "a boolean" },
      { { { "a", nil, "c" } }, "its list has a hole" },
      { { { "a", 1 } }, "its list .* holds something else than strings" },
      { { { "a" }, false }, "its next cursor is false, so the list has no end" },
      { { { "a" }, "same" }, "its next cursor is one that .* before, so the list has no end" },
      { { {}, 5 }, "its next cursor is one that .* before, so the list has no end" },
    } do
      local store, calls = new_table_store(), 0
      function store.keys()
        calls = calls + 1
        assert(calls < 9, "asked without end")
        return case[1][1], case[1][2]
      end
      local flow = stages.new():user_flow { store = store }
      assert.error_matches(function() for _ in flow:accounts() do end end, "accounts: the store's "
        .. "keys%(%) is wrong: " .. case[2])
    end
    local store = new_table_store()
    function store.keys() return nil, { kind = "cache", message = "the server is away" } end
    assert.error_matches(function() stages.new():user_flow({ store = store }):accounts()() end,
      "accounts: the server is away$")
  end)
end)
