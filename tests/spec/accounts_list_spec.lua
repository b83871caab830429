-- flow:accounts(): the keys of all logins that a store holds, each once.

local folder = require "support.folder"
local new_table_store = require "support.table_store"
local redis_server = require "support.redis_server"
local stages = require "support.stage"
local tokencache = require "tokencache"

local COUNT = 2000
local BYTES = '{"access_token":"t","expires_at":9e9}'

describe("flow:accounts", function()
  local redis, dir

  setup(function()
    redis = redis_server.start()
    dir = folder.new("/dev/shm")
  end)

  teardown(function()
    redis:stop()
    dir:remove()
  end)

  before_each(function()
    redis:cli("FLUSHALL")
    dir:shell("rm -rf *; mkdir many")
  end)

  local function encrypted(store)
    return tokencache.store.encrypted(store,
      { keys = { a = "a secret of the tests' own" }, use = "a" })
  end

  local function new_file() return tokencache.store.file { directory = dir:file("many") } end
  local function new_redis() return tokencache.store.redis { port = redis.port } end

  local backends = {
    memory = tokencache.store.memory,
    file = new_file,
    Redis = new_redis,
    ["encrypted memory"] = function() return encrypted(tokencache.store.memory()) end,
    ["encrypted file"] = function() return encrypted(new_file()) end,
    ["encrypted Redis"] = function() return encrypted(new_redis()) end,
    ["memory before Redis"] = function()
      return tokencache.store.tiered { front = tokencache.store.memory(), back = new_redis() }
    end,
    ["memory before encrypted Redis"] = function()
      return tokencache.store.tiered { front = tokencache.store.memory(),
        back = encrypted(new_redis()) }
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
    local flow = stages.new():user_flow { store = new_file() }
    dir:shell("rmdir many")
    assert.error_matches(function() listed(flow) end, "accounts: .*/many: .*does not exist")
    dir:shell("mkdir many")
    local cut = new_redis()
    flow = stages.new():user_flow { store = cut }
    assert(cut:set("anna", BYTES))
    redis:cli("ACL", "SETUSER", "default", "-scan")
    finally(function() redis:cli("ACL", "SETUSER", "default", "+@all") end)
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
end)
