-- Redis from nginx's event loop. What the store does with the replies, tests/spec/redis_spec.lua
-- shows.

local dns_server = require "support.dns_server"
local nginx = require "support.nginx"
local redis_server = require "support.redis_server"
local scripted_server = require "support.scripted_server"
local socket = require "socket"

local HTTP = [[
  lua_socket_log_errors off;
  init_by_lua_block {
    tokencache = require "tokencache"
    function answer(result, err)
      ngx.say(result == nil and err and ("%s %s"):format(err.code or err.kind, err)
        or tostring(result))
    end
  }
]]

local SERVER = [[
  location /run {
    content_by_lua_block {
      ngx.req.read_body()
      answer(assert(loadstring(ngx.req.get_body_data()))())
    }
  }
  location /quick { content_by_lua_block { ngx.say("here") } }
]]

describe("inside nginx, store.redis", function()
  local server, redis, other

  setup(function()
    server = nginx.start { http = HTTP, server = SERVER, thread_pool = false }
  end)

  teardown(function() server:stop() end)

  before_each(function() redis = redis_server.start() end)

  after_each(function()
    redis:stop()
    if other then
      other:stop()
      other = nil
    end
    server:check()
  end)

  --- Lua for nginx, where PORT is the server's, or that of the other one.
  local function code(text)
    local values = { PORT = (other or redis).port, SOCKET = redis.path, PID = redis.child.pid }
    return { method = "POST", body = (text:gsub("%u+", values)) }
  end

  local function run(text)
    local status, body = server:get("/run", code(text))
    assert.equal(200, status, server:log())
    return (body:gsub("\n$", ""))
  end

  local function script(steps)
    other = scripted_server.start(steps)
  end

  --- How often the server was sent that command, or what else of that name it counted.
  local function count(command)
    local counts = redis:cli("INFO", "all")
    return tonumber(counts:match("cmdstat_" .. command .. ":calls=(%d+)")
      or counts:match(command .. ":(%d+)")) or 0
  end

  it("makes its modules ready in a request, where nothing may yield meanwhile", function()
    local fresh = nginx.start { server = SERVER, thread_pool = false,
      http = "init_by_lua_block { function answer(ok) ngx.say(tostring(ok)) end }" }
    finally(function() fresh:stop() end)
    local _, body = fresh:get("/run", code [[
      return require("tokencache").cache.redis({ port = PORT }):save_token_to_cache {
        access_token = "a" }]])
    assert.equal("true\n", body)
  end)

  it("keeps its connection from request to request", function()
    run [[ return tokencache.store.redis({ port = PORT }):set("k", "v") ]]
    local before = count "total_connections_received"
    for _ = 1, 20 do
      assert.equal("v", run [[ return tokencache.store.redis({ port = PORT }):get "k" ]])
    end
    assert.equal(before + 1, count "total_connections_received") -- that of redis-cli
  end)

  it("gives each of many at once the reply to its own command", function()
    assert.equal("0 wrong of 2000", run [[
      local store = tokencache.store.redis { port = PORT }
      local wrong, all, threads = 0, 0, {}
      for i = 1, 100 do
        threads[i] = ngx.thread.spawn(function()
          local key = "key" .. i
          store:set(key, key:rep(100 * i))
          for _ = 1, 20 do
            all = all + 1
            wrong = wrong + (store:get(key) == key:rep(100 * i) and 0 or 1)
          end
        end)
      end
      for _, thread in ipairs(threads) do
        ngx.thread.wait(thread)
      end
      return wrong .. " wrong of " .. all]])
  end)

  it("keeps large bytes, and any", function()
    assert.equal("true", run [[
      local store = tokencache.store.redis { port = PORT }
      local bytes = ("\0\r\n$-1\r\n\255"):rep(300000)
      assert(store:set("k", bytes))
      return store:get "k" == bytes]])
  end)

  it("logs in and selects its database once for each connection", function()
    redis:cli("ACL", "SETUSER", "one", "on", ">secret", "~*", "+@all")
    for _ = 1, 5 do
      assert.equal("true", run [[ return tokencache.store.redis({ port = PORT, db = 3,
        username = "one", password = "secret" }):set("k", "of one") ]])
    end
    assert.same({ 1, 1 }, { count "auth", count "select" })
    assert.equal("nil", run [[ return tokencache.store.redis({ port = PORT }):get "k" ]])
    assert.equal("of one", redis:cli("-n", "3", "GET", "k"))
  end)

  it("lends nobody a connection that another user is logged in to", function()
    redis:cli("CONFIG", "SET", "requirepass", "hunter22")
    redis.password = "hunter22"
    assert.equal("true",
      run [[ return tokencache.store.redis({ port = PORT, password = "hunter22" }):set("k", "v") ]])
    assert.truthy(run [[ return tokencache.store.redis({ port = PORT }):get "k" ]]:find(
      "^NOAUTH 127.0.0.1:%d+: Redis answered NOAUTH Authentication required.; give password=$"))
    for _ = 1, 2 do
      local refused = run [[
        return tokencache.store.redis({ port = PORT, password = "hunter23" }):get "k" ]]
      assert.truthy(refused:find("^WRONGPASS "), refused)
      assert.is_nil(refused:find("hunter", 1, true))
    end
    assert.equal("v",
      run [[ return tokencache.store.redis({ port = PORT, password = "hunter22" }):get "k" ]])
  end)

  it("asks for a password that changes at each connection, and once more where it is refused",
    function()
      redis:cli("CONFIG", "SET", "requirepass", "first")
      redis.password = "first"
      local ask = [[
        asked = asked or {}
        kept = kept or function(is_refused)
          asked[#asked + 1] = tostring(is_refused)
          ngx.sleep(0.001) -- it may wait
          word = is_refused and "second" or word or "first"
          return word
        end
        local store = tokencache.store.redis { port = PORT, password = kept }
        local ok, err = store:set("k", "v")
        return ok and table.concat(asked, " ") or err]]
      assert.equal("false", run(ask))
      assert.equal("false", run(ask))
      redis:cli("CONFIG", "SET", "requirepass", "second")
      redis.password = "second"
      redis:cli("CLIENT", "KILL", "TYPE", "normal")
      assert.equal("false false true", run(ask))
      assert.truthy(run [[ return tokencache.store.redis({ port = PORT,
        password = { file = "/nowhere/word" } }):get "k" ]]
        :find("Redis: no password: /nowhere/word: No such file or directory; check the path"))
    end)

  it("loses no call to a server that was killed and restarted", function()
    local set = [[ return tokencache.store.redis({ port = PORT }):set("k", "v") ]]
    server:announce "recv%(%) failed %(104" -- of a connection that is in the pool
    for _ = 1, 3 do
      assert.equal("true", run(set))
      redis:kill()
      local message = run(set)
      assert.truthy(message:find("^CONNECT 127.0.0.1:%d+: Redis: no connection: "
        .. "connection refused; check that the server runs, and the address$"), message)
      redis:restart()
    end
    assert.equal("true", run(set))
  end)

  it("sends a command again, once, where the connection broke after it was sent", function()
    script { { "close" }, { "$1\r\nv\r\n" } }
    assert.equal("v", run [[ return tokencache.store.redis({ port = PORT }):get "k" ]])
    assert.equal(("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"):rep(2), other:heard())
    other:stop()
    script { { "close" } }
    assert.truthy(run [[ return tokencache.store.redis({ port = PORT }):get "k" ]]
      :find("^CLOSED .*; try again later$"))
    assert.equal(("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"):rep(2), other:heard())
  end)

  it("sends a command again where the server closed idle connections meanwhile", function()
    assert.equal("true v", run [[
      local store = tokencache.store.redis { port = PORT }
      local ok = store:set("k", "v")
      os.execute "redis-cli -s SOCKET CLIENT KILL TYPE normal" -- nginx's loop sees nothing of it
      return tostring(ok) .. " " .. store:get "k"]])
  end)

  it("makes no use of a reply that comes in part, or in excess", function()
    script { { "$5\r\nab", "close" }, { "$5\r\nab", "close" } }
    assert.truthy(run [[ return tokencache.store.redis({ port = PORT, timeout = 0.3 }):get "k" ]]
      :find("^TIMEOUT "))
    other:stop()
    script { { "$1\r\na\r\n$1\r\nb\r\n" }, { "$1\r\nc\r\n" } }
    assert.truthy(run [[ return tokencache.store.redis({ port = PORT }):get "k" ]]
      :find("^PROTOCOL .*more came than was asked for; check that it is a Redis server$"))
    assert.equal("c", run [[ return tokencache.store.redis({ port = PORT }):get "k" ]])
  end)

  it("reads a reply that comes byte by byte", function()
    script { { { drip = "$5\r\nhello\r\n", every = 0.01 } } }
    assert.equal("hello", run [[ return tokencache.store.redis({ port = PORT }):get "k" ]])
  end)

  it("has one deadline for a whole reply, however it trickles in", function()
    script { { { drip = "$100\r\n" .. ("x"):rep(300), every = 0.1 } } }
    assert.truthy(run [[ return tokencache.store.redis({ port = PORT, timeout = 0.5 }):get "k" ]]
      :find("^TIMEOUT .*no answer in time; try again later, or raise the timeout$"))
  end)

  it("tells what is no Redis server", function()
    script { { "HTTP/1.1 400 Bad Request\r\n\r\n" } }
    assert.truthy(run [[ return tokencache.store.redis({ port = PORT }):get "k" ]]
      :find("^PROTOCOL 127.0.0.1:%d+: Redis: an answer that is not Redis's protocol; check"))
  end)

  it("asks a replica that has become the master on a new connection", function()
    assert.equal("true", run [[ return tokencache.store.redis({ port = PORT }):set("k", "v") ]])
    redis:cli("REPLICAOF", "127.0.0.1", "1")
    local before = count "total_connections_received"
    for _ = 1, 2 do
      assert.truthy(run [[ return tokencache.store.redis({ port = PORT }):set("k", "w") ]]
        :find("^READONLY .*name the master$"))
    end
    assert.is_true(count "total_connections_received" >= before + 2)
  end)

  it("says what nginx needs to look up a name", function()
    assert.truthy(run [[ return tokencache.store.redis({ host = "redis.test" }):get "k" ]]
      :find("^CONNECT redis.test:%d+: Redis: no connection: nginx has no resolver; add the "
        .. "directive resolver to nginx.conf, or give an address$"))
  end)

  describe("with a name server", function()
    local named, dns

    local function start(port)
      named = nginx.start {
        http = HTTP .. ("resolver 127.0.0.1:%d ipv6=off; resolver_timeout 1h;"):format(port),
        server = SERVER, thread_pool = false,
      }
    end

    after_each(function()
      named:stop()
      dns:close()
      dns = nil
    end)

    local function ask(text)
      local status, body = named:get("/run", code(text))
      assert.equal(200, status, named:log())
      return (body:gsub("\n$", ""))
    end

    it("that answers, finds the server and keeps its connections", function()
      local server_of_names = dns_server.start()
      dns = { close = function() server_of_names:stop() end }
      start(server_of_names.port)
      local before = count "total_connections_received"
      for _ = 1, 3 do
        assert.equal("true", ask [[
          return tokencache.store.redis({ host = "redis.test", port = PORT }):set("k", "v") ]])
      end
      assert.equal(before + 1, count "total_connections_received" - 1) -- that of `count` itself
      named:check()
    end)

    it("that does not answer, gives up at the connection's deadline", function()
      dns = assert(socket.udp())
      assert(dns:setsockname("127.0.0.1", 0))
      start((select(2, dns:getsockname())))
      assert.equal("true", ask [[
        local store = tokencache.store.redis { host = "redis.test", connect_timeout = 0.3 }
        local _, err = store:get "k"
        return err.code == "TIMEOUT" and tostring(err):find("no connection in time", 1, true)
          ~= nil
      ]])
      named:check()
    end)
  end)

  describe("with a server that is frozen", function()
    local waiting

    local function freeze()
      assert.equal("true", run [[ return tokencache.store.redis({ port = PORT }):set("k", "v") ]])
      redis.child:freeze()
    end

    after_each(function() redis.child:signal("CONT") end)

    local function check_others()
      for _ = 1, 50 do
        assert.equal("here\n", select(2, server:get("/quick")))
      end
      assert.is_false(waiting:is_answered())
    end

    it("holds up nobody else, and goes on when the server does", function()
      freeze()
      waiting = server:begin("/run", code [[
        return tokencache.store.redis({ port = PORT, timeout = 30 }):get "k" ]])
      check_others()
      redis.child:signal("CONT")
      assert.equal("v\n", select(2, waiting:finish()))
    end)

    it("gives up at its deadline, and never takes the late reply for another", function()
      freeze()
      assert.truthy(run [[ return tokencache.store.redis({ port = PORT, timeout = 1 }):get "k" ]]
        :find("^TIMEOUT .*no answer in time; try again later, or raise the timeout$"))
      redis.child:signal("CONT")
      redis:cli("PING") -- it is awake
      assert.equal("nil",
        run [[ return tokencache.store.redis({ port = PORT, timeout = 30 }):get "l" ]])
    end)

    it("gives up a login at the connection's deadline", function()
      freeze()
      assert.truthy(run [[ return tokencache.store.redis({ port = PORT, timeout = 30,
        connect_timeout = 0.3, password = "secret" }):get "k" ]]:find("^TIMEOUT "))
    end)

    it("leaves nothing behind in a thread that is killed", function()
      freeze()
      assert.equal("nil", run [[
        local store = tokencache.store.redis { port = PORT }
        local thread = ngx.thread.spawn(function() return store:get "k" end)
        ngx.thread.kill(thread)
        os.execute("kill -CONT PID")
        return store:get "l"]])
    end)
  end)
end)
