local cache = require("tokencache").cache
local sessions = require("tokencache").session
local store = require("tokencache").store
local contract = require("tokencache.testing").contract
local broken_handlers = require "support.broken_handlers"
local broken_lists = require "support.broken_lists"
local folder = require "support.folder"
local keyring = require "support.keyring"
local lua_redis = require "support.lua_redis"
local memcached_server = require "support.memcached_server"
local process = require "support.process"
local redis_cluster = require "support.redis_cluster"
local redis_sentinels = require "support.redis_sentinels"
local redis_server = require "support.redis_server"
local resty_session = require "support.resty_session"
local twemproxy = require "support.twemproxy"

local directory -- for the handlers that keep files
local server -- for those that need one
local storage = {} -- for those that keep tables

local function table_at(name)
  storage[name] = storage[name] or {}
  return storage[name]
end

local function file(name)
  return cache.file { cache_path = directory:file(name) }
end

local table_store = {
  get = function(_, key) return storage[key] end,
  set = function(_, key, bytes) storage[key] = bytes end,
}

local function from_store(name)
  return cache.from_store(table_store, name)
end

--- A maker of handlers over a store, which is made at first use.
local function over(make_store)
  local made
  return function(name)
    made = made or make_store()
    return cache.from_store(made, { "token", name })
  end
end

local function memory_store()
  return store.memory { max_entries = 100 }
end

local function file_store()
  return store.file { directory = directory.path }
end

local function redis_store()
  return store.redis { port = server.port }
end

--- By sentinels, or in a cluster.
local function group_store()
  return store.redis(server:options())
end

local function memcached_store()
  return store.memcached { servers = { server.address } }
end

local function secret_service()
  return store.secret_service { application = "contract" }
end

local function encrypted(make_store)
  return function()
    return store.encrypted(make_store(), { keys = { a = "sixteen bytes..." }, use = "a" })
  end
end

--- As in two processes: each handler has a front of its own.
local function tiered(name)
  return cache.tiered { front = cache.memory {}, back = file(name) }
end

local shared_front = over(memory_store)

local function shared_front_tiered(name)
  return cache.tiered { front = shared_front(name), back = from_store(name) }
end

local function redis(name)
  return cache.redis { port = server.port, key = name }
end

local function redis_client(name)
  return cache.redis { client = lua_redis.connect("127.0.0.1", server.port), key = name }
end

local function memcached(name)
  return cache.memcached { servers = { server.address }, key = name }
end

local function memcached_binary(name)
  return cache.memcached { servers = { server.address }, key = name,
    options = "--BINARY-PROTOCOL --NAMESPACE=contract" }
end

local function memcached_client(name)
  return cache.memcached { client = store.memcached { servers = { server.address } }, key = name }
end

local function django_session(name)
  return cache.django_session { request = { session = table_at(name) } }
end

local function flask_session(name)
  return cache.flask_session { session = table_at(name) }
end

local function resty(name)
  return cache.resty_session { session = resty_session.open(storage, name) }
end

--- Sessions that a framework of Python's keeps on the server, by the name of the handler.
local cookies = {}

local function kept(framework, make_options)
  return function(name)
    local opts = make_options()
    opts.secret_key, opts.cookie = "secret", cookies[name]
    local session = assert(sessions[framework](opts))
    if not opts.cookie then
      session.begun = true
      assert(session:save())
      cookies[name] = session:set_cookie():match "=([^;]*)"
    end
    return cache.flask_session { session = session }
  end
end

local flask_in_redis = kept("flask", function() return { store = redis_store() } end)
local django_in_memcached = kept("django", function()
  return { engine = "cache", cache = memcached_store() }
end)
local flask_in_files = kept("flask", function()
  return { directory = directory.path, serializer = "msgpack" }
end)

--- A session as the example's framework has it.
local function adapter(name)
  local session = { values = table_at(name), write = function() return true end }
  return dofile("examples/adapter.lua")(session)
end

local function example(name)
  return dofile("examples/handler.lua")(storage, name)
end

--- Every handler there is: how to make one, and where storage is shared how to make another on it.
local handlers = {
  memory = { function() return cache.memory {} end },
  file = { file, reopen = file },
  from_store = { from_store, reopen = from_store },
  redis = { redis, reopen = redis, server = redis_server },
  ["redis, client="] = { redis_client, reopen = redis_client, server = redis_server },
  memcached = { memcached, reopen = memcached, server = memcached_server },
  ["memcached, binary protocol"] =
    { memcached_binary, reopen = memcached_binary, server = memcached_server },
  ["memcached, client="] =
    { memcached_client, reopen = memcached_client, server = memcached_server },
  tiered = { tiered, reopen = tiered },
  ["tiered, with a shared front"] = { shared_front_tiered, reopen = shared_front_tiered },
  django_session = { django_session, reopen = django_session },
  flask_session = { flask_session, reopen = flask_session },
  ["session.flask in Redis"] = { flask_in_redis, reopen = flask_in_redis, server = redis_server },
  ["session.flask in files"] = { flask_in_files, reopen = flask_in_files },
  ["session.django in memcached"] =
    { django_in_memcached, reopen = django_in_memcached, server = memcached_server },
  resty_session = { resty }, -- a session is read when it is opened
  ["examples/adapter.lua"] = { adapter, reopen = adapter },
  ["examples/handler.lua"] = { example, reopen = example },
  ["a store that lists pages of five"] =
    { broken_lists.sound, reopen = broken_lists.sound },
  ["a handler with every extra"] = { broken_handlers.sound, reopen = broken_handlers.sound },
}

--- Every store there is, and where it has a server, that.
local stores = {
  memory = { memory_store },
  file = { file_store },
  memcached = { memcached_store, server = memcached_server },
  redis = { redis_store, server = redis_server },
}

--- A key with a hash tag is on the server of its lock. The proxy knows no SCAN.
local function proxied(name)
  local one = redis_store()
  one.keys = false
  return cache.from_store(one, "{" .. name .. "}")
end
handlers["store.redis through twemproxy"] =
  { proxied, reopen = proxied, server = twemproxy }
handlers["redis, client= through twemproxy"] =
  { redis_client, reopen = redis_client, server = twemproxy }

local in_keyring = over(secret_service)
handlers["store.secret_service"] = { in_keyring, reopen = in_keyring, server = keyring.session,
  need = not keyring.is_possible() and keyring.NEED }

for name, group in pairs { ["by sentinels"] = redis_sentinels, ["in a cluster"] = redis_cluster } do
  local made = over(group_store)
  handlers["store.redis " .. name] = { made, reopen = made, server = group }
end

for name, made in pairs(stores) do
  local plain, sealed = over(made[1]), over(encrypted(made[1]))
  handlers["store." .. name] = { plain, reopen = plain, server = made.server }
  handlers["store.encrypted over store." .. name] =
    { sealed, reopen = sealed, server = made.server }
  --- A front of its own for each handler, as in two processes.
  local back
  local function two_tiers(key)
    back = back or made[1]()
    return cache.from_store(store.tiered { front = memory_store(), back = back }, key)
  end
  handlers["store.tiered over store." .. name] =
    { two_tiers, reopen = two_tiers, server = made.server }
end

for name, handler in pairs(handlers) do
  describe(name .. ":", function()
    if handler.need then
      return it("keeps the contract", function() pending(handler.need) end)
    end
    setup(function()
      directory = folder.new()
      server = handler.server and handler.server.start()
    end)
    teardown(function()
      directory:remove()
      if server then
        server:stop()
      end
    end)
    contract(handler[1], { reopen = handler.reopen })
  end)
end

--- Runs busted in a process of its own, on this Lua. The closing line tells one that ran to its
--- end from one that died.
local function run_busted(spec)
  local path = directory:file("broken_spec.lua")
  process.write_file(path, spec)
  local config = directory:file("busted") -- our own names the modules of Lua 5.4
  process.write_file(config, "return {}")
  local code, output = process.run(process.lua([[
    arg = { [0] = "busted", "--ignore-lua", "--output=TAP", "--config-file", ... }
    require "busted.runner" { standalone = false }]], config, path))
  assert(output:find("\n1%.%.%d+\n"), output)
  return code, output
end

describe("testing.contract", function()
  setup(function() directory = folder.new() end)
  teardown(function() directory:remove() end)

  local function failures_of(output, name)
    local failures = {}
    for test in ("\n" .. output):gmatch("\nnot ok %d+ %- " .. name:gsub("%p", "%%%0")
      .. ": contract of cache handlers: ([^\n]+)") do
      failures[test] = true
    end
    return failures
  end

  it("is passed by a sound handler and failed by every broken one", function()
    local code, output = run_busted [[
      local contract = require("tokencache.testing").contract
      local handlers = require "support.broken_handlers"
      local io = require "tokencache.io"
      local now = 0 -- a clock of their own: what does not end is waited for in no time
      function io.monotonic() return now end
      function io.sleep(seconds) now = now + seconds end
      for name, case in pairs(handlers.broken) do
        describe(name .. ":", function() contract(case.make, { reopen = case.make }) end)
      end
      describe("sound:", function() contract(handlers.sound, { reopen = handlers.sound }) end)]]
    assert.is_true(code > 0, output)
    assert.same({}, failures_of(output, "sound"))
    for name, case in pairs(broken_handlers.broken) do
      local failures = failures_of(output, name)
      assert(failures[case.noticed_by], name .. " was not noticed: " .. output)
    end
  end)

  it("tells the author what is wrong and what to do", function()
    local _, output = run_busted [[
      local handlers = require "support.broken_handlers"
      require("tokencache.testing").contract(handlers.broken["cuts long strings"].make)]]
    assert.truthy(output:find("get_cached_token() did not return what was saved: access_token: "
      .. "a string of 8192 bytes expected, got a string of 4096 bytes. Access tokens that are JWTs "
      .. "grow long: allow entries of 64 KiB at least.", 1, true), output)
  end)

  for page, example_of in pairs { handlers = "handler", adapters = "adapter" } do
    it("is documented in " .. page .. ".md with an example that passes it", function()
      local text = process.read_file("docs/" .. page .. ".md")
      local code = process.read_file("examples/" .. example_of .. ".lua")
      assert.truthy(text:find("```lua\n" .. code .. "```\n", 1, true))
    end)
  end

  it("saves nothing that a storage forgets while the tests run", function()
    local checks, samples = require "tokencache.testing.checks", require "tokencache.testing.tokens"
    local recording = { get = function() end, set = function(_, _, _, ttl)
      assert.is_true(ttl == nil or ttl > 3600, "it ends after " .. tostring(ttl) .. " s")
    end }
    local handler = cache.from_store(recording, "key")
    handler:save_token_to_cache(checks.new_token(1))
    for _, sample in ipairs(samples) do
      handler:save_token_to_cache(sample.token)
    end
  end)

  it("raises outside of busted", function()
    local code, output = process.run(process.lua [[
      require("tokencache.testing").contract(function() end)]])
    assert.equal(1, code)
    assert.truthy(output:find("testing.contract: call it in a spec that busted runs", 1, true))
  end)

  it("names an argument that is missing or wrong", function()
    assert.error_matches(function() contract() end,
      "testing.contract: make_handler is required")
    assert.error_matches(function() contract(function() end, { skip_nested = true }) end,
      "testing.contract: unknown option skip_nested")
  end)
end)
