-- A Redis Cluster that is real: three masters with a replica each. What is said to whom, and when,
-- redis_cluster_talk_spec.lua shows.

local by_node = require "tokencache.store.redis_cluster"
local codec = require "tokencache._redis"
local deadline = require "support.deadline"
local expect = require "support.cache_failure"
local loopback = require "support.loopback"
local process = require "support.process"
local redis_cluster = require "support.redis_cluster"
local redis_server = require "support.redis_server"
local scripted_server = require "support.scripted_server"
local tokencache = require "tokencache"

describe("store.redis in a cluster", function()
  it("refuses keys that could not be in a slot with their locks", function()
    local one = tokencache.store.redis { cluster = { "127.0.0.1:1" } }
    for _, key in ipairs { "", "}", "a}b", "{}a", "{}{a}" } do
      for method, words in pairs { get = {}, set = { "v" }, delete = {}, replace = { "v", "w" },
        try_lock = { 1 } } do
        local value, err = one[method](one, key, words[1], words[2])
        assert.is_nil(value)
        assert.truthy(tostring(err):find('in a cluster a key must not be empty, and holds a "}" '
          .. "only behind a hash tag such as {user}; choose another", 1, true), method)
      end
    end
  end)

  it("gives up where none is there, and says so", function()
    local address = "127.0.0.1:" .. loopback.free_port()
    local message = expect("CONNECT",
      tokencache.store.redis({ cluster = { address, address } }):get "k")
    assert.equal(("the cluster %s, %s (node %s): Redis: no connection: Connection refused; check "
      .. "that the server runs, and the address"):format(address, address, address), message)
  end)

  it("says that a server is in no cluster", function()
    local server = redis_server.start()
    local message = expect("ERR",
      tokencache.store.redis({ cluster = { "127.0.0.1:" .. server.port } }):get "k")
    assert.truthy(message:find("; where there is no cluster, name the server, host= and port=", 1,
      true), message)
    server:stop()
  end)

  it("lists keys also of who has taken over, and fails where a node only fails", function()
    local list, down = "a:1 b:2", nil
    local function call() return list end
    local function page(node)
      if node == down then
        return nil, "down"
      end
      return { "of " .. node }
    end
    local keys, cursor = by_node.keys(call, page)
    assert.same({ "of a:1" }, keys)
    down = "b:2"
    assert.same({ n = 2, nil, "down" }, { n = 2, by_node.keys(call, page, cursor) })
    list = "a:1 c:3"
    keys, cursor = by_node.keys(call, page, { done = { ["a:1"] = true }, node = "b:2", at = "7" })
    assert.same({ "of c:3" }, keys)
    keys, cursor = by_node.keys(call, page, cursor)
    assert.same({ 0, "nil" }, { #keys, type(cursor) })
  end)

  it("keeps its deadline where a node tells half of the slots", function()
    local server = scripted_server.start { { "*2\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0" } }
    local one = tokencache.store.redis { cluster = { "127.0.0.1:" .. server.port },
      connect_timeout = 0.5 }
    expect("TIMEOUT", deadline.takes(0.25, function() return one:get "k" end))
    server:stop()
  end)
end)

describe("#c store.redis in a cluster", function()
  local group
  setup(function() group = redis_cluster.start() end)
  teardown(function() group:stop() end)

  local function store(more)
    return tokencache.store.redis(group:options(more))
  end

  --- Whether a node had to send a command elsewhere since the last time.
  local function was_redirected()
    local is_redirected = false
    for _, server in ipairs(group.servers) do
      is_redirected = is_redirected or server:cli("INFO", "errorstats"):find "MOVED" ~= nil
      server:cli("CONFIG", "RESETSTAT")
    end
    return is_redirected
  end

  --- redis-cli, which follows MOVED and ASK, as the client of a program.
  local function client()
    local function run(_, ...)
      local code, said = process.run { "redis-cli", "-c", "-e", "-p", group.servers[1].port, ... }
      if code ~= 0 then
        return nil, said
      end
      said = said:gsub("\n$", "")
      return said ~= "" and said or nil
    end
    local made = {}
    for _, name in ipairs { "get", "set", "setex", "del" } do
      made[name] = function(self, ...) return run(self, name, ...) end
    end
    return made
  end

  describe("#once by a client of the program's own", function()
    local function make(name)
      return tokencache.cache.redis { client = client(), key = "client:" .. name }
    end
    tokencache.testing.contract(make, { reopen = make })
  end)

  --- A key for each slot, from 0, as CLUSTER KEYSLOT has it.
  local function key_for_each_slot()
    local keys = {}
    for key in group.servers[1]:cli("EVAL", [[
      local keys, count, number = {}, 0, 0
      while count < 16384 do
        number = number + 1
        local slot = redis.call("CLUSTER", "KEYSLOT", number)
        if not keys[slot + 1] then
          keys[slot + 1], count = tostring(number), count + 1
        end
      end
      return keys]], 0):gmatch "%d+" do
      keys[#keys + 1] = key
    end
    return keys
  end

  it("#once computes every slot as CLUSTER KEYSLOT does, and finds its node", function()
    local keys, found = key_for_each_slot(), {}
    assert.equal(16384, #keys)
    for _, digit in ipairs { 1, 128 } do -- a node for each digit of the slot's number
      local reply = { "*16384\r\n" }
      for slot = 0, 16383 do
        reply[#reply + 1] = ("*3\r\n:%d\r\n:%d\r\n*2\r\n$1\r\nh\r\n:%d\r\n"):format(slot, slot,
          1 + math.floor(slot / digit) % 128)
      end
      local talk = codec.known({ place = "my", cluster = { { host = "h", port = 1 } } }):talk()
      talk:begin(0, "GET", "k")
      talk:go_on(0, true)
      assert.equal("use", (talk:go_on(0, table.concat(reply))))
      for i, key in ipairs(keys) do
        local _, _, _, port = talk:begin(0, "GET", key)
        found[i] = (found[i] or 0) + (port - 1) * digit
      end
    end
    local one = store()
    assert.is_nil(one:get "k")
    was_redirected()
    for i, key in ipairs(keys) do
      assert.equal(i - 1, found[i])
      assert.is_true(one:set(key, key))
    end
    assert.is_false(was_redirected())
  end)

  it("knows the slot of odd keys", function()
    local one = store()
    assert.is_nil(one:get "k")
    was_redirected()
    local keys = { "a{b", "{a", "a{b}c", "{a{b}", "a{}b{c", "{\0}x", "\255", "k{a}{b}}" }
    for i = #keys + 1, 100 do
      keys[i] = "key " .. i .. (" "):rep(i % 40)
    end
    for _, key in ipairs(keys) do
      if not key:find "{}" then
        assert.is_true(one:set(key, key))
        assert.equal(key, one:get(key))
      end
    end
    assert.is_false(was_redirected())
  end)

  it("keeps locks and marks in the slot of their key", function()
    local one = store()
    for _, key in ipairs { "k", "a{user}b", "a{b" } do
      local handle = assert(one:try_lock(key, 10))
      assert.equal(group:slot_of(key), group:slot_of(handle.name))
      assert.equal(group:slot_of(key), group:slot_of(one:mark_key(key)))
      assert.is_true(one:set(key, "v"))
      assert.is_false((one:try_lock(key, 10)))
      assert.is_true(one:replace(key, "v", "w", nil, handle))
      assert.is_true(one:keep_lock(handle, 10))
      assert.same({ false, "owed" }, { one:try_lock(key, 10) })
      assert.is_true(one:unlock(handle))
    end
  end)

  --- How often each key is listed.
  local function listed(one, prefix, between)
    local counts, cursor = {}, nil
    repeat
      local keys, next_cursor = one:keys(prefix, cursor)
      assert(keys, tostring(next_cursor))
      for _, key in ipairs(keys) do
        counts[key] = (counts[key] or 0) + 1
      end
      cursor = next_cursor
      if between then
        between()
      end
    until not cursor
    return counts
  end

  it("lists the keys of all nodes, each once", function()
    local one, expected = store(), {}
    for i = 1, 700 do
      assert.is_true(one:set("list:" .. i, "v"))
      expected["list:" .. i] = 1
    end
    local handle = one:try_lock("list:1", 10)
    assert.same(expected, listed(one, "list:"))
    one:unlock(handle)
  end)

  it("lists also what a slot on its way holds", function()
    local one, slot = store(), group:slot_of "{way}"
    local expected = {}
    for i = 1, 10 do
      assert.is_true(one:set("{way}:" .. i, "v"))
      expected["{way}:" .. i] = 1
    end
    local to
    for _, server in ipairs(group.servers) do
      if server ~= group:master_of_slot(slot) and server:cli("ROLE"):find "^master" then
        to = server
      end
    end
    local from = group:begin_to_move(slot, to)
    group:move_keys(slot, from, to, 5)
    assert.same(expected, listed(one, "{way}:"))
    for key in pairs(expected) do
      assert.equal("v", one:get(key))
    end
    group:move_keys(slot, from, to)
    group:finish_move(slot, from, to)
    assert.same(expected, listed(one, "{way}:"))
  end)

  it("goes to a node that has come, and does without it once it has gone", function()
    local one, slot = store(), group:slot_of "{guest}"
    assert.is_true(one:set("{guest}", "v"))
    local home, guest = group:master_of_slot(slot), group:add()
    for _, to in ipairs { guest, home } do
      local from = group:begin_to_move(slot, to)
      group:move_keys(slot, from, to)
      group:finish_move(slot, from, to)
      assert.equal("v", one:get "{guest}")
      assert.is_true(one:set("{guest}", "v"))
      assert.same({ ["{guest}"] = 1 }, listed(one, "{guest}"))
    end
    group:remove()
    assert.equal("v", one:get "{guest}")
    assert.same({ ["{guest}"] = 1 }, listed(one, "{guest}"))
  end)

  it("needs no more rights than docs/redis.md says", function()
    for _, server in ipairs(group.servers) do
      server:cli("ACL", "SETUSER", "tokens", "reset", "on", ">word", "~token:*",
        "~tokencache-lock:{token:*", "~tokencache-mark:{token:*", "+get", "+set", "+del",
        "+pexpire", "+eval", "+scan", "+type", "+cluster|slots", "+asking")
    end
    local one = store { username = "tokens", password = "word" }
    local function use()
      local handle = assert(one:try_lock("token:1", 10))
      assert.is_true(one:set("token:1", "v"))
      assert.is_true(one:set(one:mark_key "token:1", "m", 10))
      assert.is_true(one:replace("token:1", "v", "w", nil, handle))
      assert.is_truthy(one:can_save("token:1", "w", nil, handle))
      assert.is_true(one:extend_lock(handle, 10))
      assert.is_true(one:unlock(handle))
      assert.same({ ["token:1"] = 1 }, listed(one, "token:"))
      assert.is_true(one:delete "token:1")
    end
    use()
    local slot = group:slot_of "token:1"
    local to = group:master_of_slot((slot + 5462) % 16384)
    local from = group:begin_to_move(slot, to)
    assert.is_true(one:set("token:1", "v"))
    assert.equal("v", one:get "token:1")
    group:finish_move(slot, from, to)
    use()
    expect("NOPERM", one:get "k")
    for _, server in ipairs(group.servers) do
      server:cli("ACL", "DELUSER", "tokens")
    end
  end)

  it("says that a node does not answer, and uses the others", function()
    local one = store { timeout = 3 }
    assert.is_true(one:set("k", "v"))
    local master, others = group:master_of "k", {}
    for _, key in ipairs { "a", "b", "c", "d", "e" } do
      others[#others + 1] = group:master_of(key) ~= master and key or nil
    end
    assert.is_true(#others > 1)
    master.child:freeze()
    local message = expect("TIMEOUT", one:get "k")
    assert.truthy(message:find(("(node 127.0.0.1:%d)"):format(master.port), 1, true), message)
    for _, key in ipairs(others) do
      assert.is_true(one:set(key, "v"))
    end
    master.child:signal "CONT"
    group:wait_until_ready()
  end)

  it("follows when a master is killed, and no call fails", function()
    local one = store()
    for i = 1, 9 do
      assert.is_true(one:set("k" .. i, "v"))
    end
    local before = group:master_of "k1"
    before:kill()
    for i = 1, 30 do
      assert.is_true(one:set("k" .. i % 10, tostring(i)))
    end
    process.wait_until("all nodes to know the new master", function()
      return group:master_of "k1" ~= before
    end)
    assert.equal("21", one:get "k1")
  end)

  it("says that the cluster is down, and is there when it is up again", function()
    local master, other = group:master_of "k1", "k1"
    while group:master_of(other) == master do
      other = other .. "x"
    end
    local replica = group:replica_of(master)
    if replica then -- it may be the one that was killed
      replica:kill()
    end
    master:kill()
    --- The last try has a quarter of a second, which a busy machine may take for itself.
    local function expect_soon(code, key)
      deadline.enough(1.2, function(seconds)
        local one = store { connect_timeout = seconds }
        local value, err = one:get(key)
        return err and err.code ~= "TIMEOUT" and expect(code, value, err)
      end)
    end
    expect_soon("CONNECT", "k1")
    process.wait_until("the others to notice", function()
      return group:master_of(other):cli("CLUSTER", "INFO"):find "cluster_state:fail"
    end)
    expect_soon("CLUSTERDOWN", other)
    master:restart()
    local patient = store { connect_timeout = 60 }
    assert.is_true(patient:set(other, "v"))
    assert.is_true(patient:set("k1", "v"))
  end)
end)
