-- What happens to logins in a Redis Cluster while it is changed.

local fake_endpoint = require "support.fake_endpoint"
local folder = require "support.folder"
local log = require "tokencache.log"
local login_trial = require "support.login_trial"
local new_process = require("tokencache.account.process").new
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"
local redis_cluster = require "support.redis_cluster"
local stampede = require "support.stampede"
local tokencache = require "tokencache"

local function list_of(group)
  return '{ "' .. table.concat(group:options().cluster, '", "') .. '" }'
end

describe("#once in a Redis Cluster", function()
  local group, directory
  setup(function() group, directory = redis_cluster.start(), folder.new() end)
  teardown(function()
    group:stop()
    directory:remove()
  end)

  --- Counts up under the lock of each of 200 keys, which lie in 20 slots, until the file is there;
  --- prints how far it came.
  local LOAD = [[
    local cluster, file = ...
    local core = require "tokencache._core"
    local store = require("tokencache").store.redis {
      cluster = (loadstring or load)("return " .. cluster)(), timeout = 30 }
    local function stops() return io.open(file) ~= nil end
    local round = 0
    repeat
      round = round + 1
      for i = 1, 200 do
        local key, old = ("{tag%d}:%d"):format(i % 20, i), round > 1 and tostring(round - 1) or nil
        local handle = assert(store:try_lock(key, 60))
        local found, err = store:get(key)
        assert(found == old, tostring(err or found))
        assert(store:replace(key, old, tostring(round), nil, handle))
        assert(store:unlock(handle))
      end
      if round == 1 then
        print "started"
      end
    until stops()
    print("rounds " .. round)]]

  it("200 keys are moved slot by slot while they are used: no error, and none is lost", function()
    local file = directory:file("stop")
    local child = process.start(process.lua(LOAD, list_of(group), file))
    process.wait_until("the load", function()
      return child:output():find "started" or not child:is_running()
    end, 60)
    for i = 0, 19 do
      local slot = group:slot_of(("{tag%d}"):format(i))
      local to = group:master_of_slot((slot + 5462) % 16384)
      local from = group:begin_to_move(slot, to)
      while group:move_keys(slot, from, to, 4) do end
      group:finish_move(slot, from, to)
      assert.are_not.equal(from, group:master_of_slot(slot))
    end
    process.write_file(file, "")
    child:wait(60)
    local rounds = child:output():match "rounds (%d+)"
    assert(rounds, child:output())
    local store = tokencache.store.redis(group:options())
    for i = 1, 200 do
      assert.equal(rounds, store:get(("{tag%d}:%d"):format(i % 20, i)))
    end
  end)

  it("64 processes whose master is killed in mid-refresh make one refresh", function()
    local endpoint, now = fake_endpoint.start(), os.time()
    local code = ('return require("tokencache").cache.redis { key = "login", '
      .. "connect_timeout = 60, cluster = %s }"):format(list_of(group))
    local cache = assert(load(code))()
    assert(cache:save_token_to_cache { access_token = "old", refresh_token = "refresh",
      scope = "read", expires_at = now - 100, client_id = "i" })
    endpoint:behave("once?held=1", "token")
    local crowd = stampede.new { cache = code, now = now, processes = 64,
      client = { client_id = "i", client_secret = "s" },
      provider = { authorize_url = endpoint:url("authorize"), token_url = endpoint:url("token") } }
    crowd:start()
    process.wait_until("the request", function() return #endpoint:requests() == 1 end, 60)
    local master = group:master_of "login"
    local replica = group:replica_of(master)
    process.wait_until("the replica to have the lock", function() -- else it would be lost
      return replica:cli "DBSIZE" == master:cli "DBSIZE"
    end)
    master:kill()
    endpoint:release()
    crowd:wait(60)
    local results, requests = crowd:results(), endpoint:requests()
    crowd:remove()
    endpoint:stop()
    process.wait_until("all nodes to know the new master", function()
      return group:master_of "login" ~= master
    end)
    assert.same({ ["token " .. cache:get_cached_token().access_token] = 64 }, results)
    assert.equal(1, #requests)
    master:restart()
  end)

  it("a login lives through a master that is killed between the answer and the save", function()
    local provider = oidc_provider.start()
    finally(function()
      log.set_logger(nil)
      provider:stop()
    end)
    group:wait_until_ready()
    local trial = login_trial.new { server = provider,
      options = { timeout = 60, io = { process = new_process() } },
      store = function()
        return tokencache.store.redis(group:options { replicas = 1 })
      end }
    local killed = group:master_of "users:anna"
    trial:log_in()
    trial:survives_failed_save(function() killed:kill() end, function()
      killed:restart()
      group:wait_until_ready()
    end)
    assert.are_not.equal(killed, group:master_of "users:anna")
  end)
end)
