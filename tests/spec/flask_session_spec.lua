-- Flask-Session: sessions on the server, under an id that a cookie holds.

local core = require "tokencache._core"
local json = require "tokencache.json"
local logins = require "support.logins"
local memcached_server = require "support.memcached_server"
local process = require "support.process"
local python_sessions = require "support.python_sessions"
local redis_server = require "support.redis_server"
local stages = require "support.stage"
local table_store = require "support.table_store"
local tokencache = require "tokencache"

local SECRET = "dev-secret"
local TOKEN = { access_token = "BQD\195\164-x", token_type = "Bearer", expires_in = 3600,
  refresh_token = "RT-1", scope = "a b", expires_at = 1800000000 }

local vectors = json.decode(
  process.read_file "tests/fixtures/sessions/flask_session_server_side.json").vectors

local function bytes_of(hex)
  return (hex:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

--- The options that open a vector.
local function options_of(vector, directory)
  local opts = { secret_key = SECRET, cookie = vector.cookie,
    clock = function() return 1795993900 end }
  if vector.file then
    opts.directory = directory
    process.write_file(directory .. "/" .. vector.file:match "[^/]+$", bytes_of(vector.file_hex))
  else
    opts.store, opts.use_signer = table_store(), vector.cookie:find(".", 1, true) ~= nil
    opts.store:set(vector.redis_key or vector.memcached_key, bytes_of(vector.value_hex))
  end
  return opts
end

describe("a session of Flask-Session's", function()
  local directory

  setup(function() directory = process.temporary_directory() end)
  teardown(function() process.remove_directory(directory) end)

  for _, vector in ipairs(vectors) do
    it("is read and written: " .. vector.name, function()
      local opts = options_of(vector, directory)
      local session = assert(tokencache.session.flask(opts))
      assert.equal("RT-1", session.token_info.refresh_token)
      assert.equal("BQD\195\164-xxxxxxxxxxxxxxxxxxxx", session.token_info.access_token)
      session.token_info = { access_token = "new" }
      assert(session:save())
      assert.equal(vector.cookie, python_sessions.value(session:set_cookie()))
      assert.same({ access_token = "new" }, assert(tokencache.session.flask(opts)).token_info)
    end)
  end

  for _, serializer in ipairs { "pickle", "msgpack", "json" } do
    it("is kept as " .. serializer, function()
      local opts = { secret_key = { SECRET }, store = table_store(), serializer = serializer,
        use_signer = true }
      local session = assert(tokencache.session.flask(opts))
      session.token_info, session.n = TOKEN, json.null
      assert(session:save())
      opts.cookie = python_sessions.value(session:set_cookie())
      local again = assert(tokencache.session.flask(opts))
      assert.same({ _permanent = true, token_info = TOKEN, n = json.null }, again.values)
      local id = opts.cookie:match "^[^.]+"
      assert.truthy(opts.store.entries["session:" .. id])
      assert.equal(31 * 86400, opts.store.ttls["session:" .. id])
      opts.secret_key = "other"
      local _, err = tokencache.session.flask(opts)
      assert.equal("BAD_SIGNATURE", err.code)
      opts.secret_key, opts.store.entries["session:" .. id] = SECRET, "\1\255"
      _, err = tokencache.session.flask(opts)
      assert.equal("DAMAGED", err.code)
    end)
  end

  it("in a file ends, and a damaged file is an error", function()
    local opts = options_of(vectors[4], directory)
    local path = directory .. "/" .. vectors[4].file:match "[^/]+$"
    opts.clock = function() return 1795993900 + 31 * 86400 end
    local session = assert(tokencache.session.flask(opts))
    assert.is_nil(session.token_info)
    assert.is_nil(session:set_cookie())
    process.write_file(path, "\255\255\255")
    local _, err = tokencache.session.flask(opts)
    assert.equal("TRUNCATED", err.code)
  end)

  it("that others change all the while is saved in the end, or is an error", function()
    local store, changes = table_store(), 0
    function store:replace(key, old, bytes, ttl)
      changes = changes - 1
      return changes < 0 and old == self:get(key) and (self:set(key, bytes, ttl) or true)
    end
    local session = assert(tokencache.session.flask { secret_key = SECRET, store = store })
    session.token_info, changes = TOKEN, 100
    assert(session:save())
    local monotonic = core.monotonic
    finally(function() core.monotonic = monotonic end)
    core.monotonic = function() return -changes end -- a second each
    session.token_info, changes = { access_token = "new" }, 1e6
    local saved, err = session:save()
    assert.is_nil(saved)
    assert.equal("BUSY", err.code)
    assert.equal(1e6 - 2, changes)
  end)

  it("is not looked for under what is no id", function()
    for _, cookie in ipairs { "a b", "../x", ("a"):rep(129), "a\n" } do
      local session, err = tokencache.session.flask { secret_key = SECRET, store = table_store(),
        cookie = cookie }
      assert.is_nil(session)
      assert.equal("DAMAGED", err.code)
    end
  end)
end)

describe("beside a running Flask-Session #once", function()
  local python, memcached, redis, formats

  setup(function()
    python = python_sessions.start()
    formats = python:ask({ app = { SECRET_KEY = SECRET } }).formats
    memcached, redis = memcached_server.start(), redis_server.start()
  end)

  teardown(function()
    memcached:stop()
    redis:stop()
    python:stop()
  end)

  local function renew(settings, opts, token)
    settings.SECRET_KEY, opts.secret_key, opts.cookie = SECRET, SECRET, nil
    local first = python:ask { app = settings, token = token or TOKEN,
      values = { nested = { { a = { "\226\130\172" } } }, empty = {}, none = json.null },
      python = opts.serializer == "pickle" and not settings.memcached -- there of protocol 0
        and { tuple = "(1, 'x')", bytes = "b'\\x00\\xff'", set = "{1}" } or nil }
    opts.cookie = python_sessions.value(first.set_cookie)
    local session = assert(tokencache.session.flask(opts))
    assert.same(token or TOKEN, session.token_info)
    local cache = tokencache.cache.flask_session { session = session }
    local info = assert(cache:get_cached_token())
    info.refresh_token = "RT-2"
    assert(cache:save_token_to_cache(info))
    local second = python:ask { app = settings, cookie = first.set_cookie:match "^[^;]*" }
    assert.equal("RT-2", second.token.refresh_token)
    local function others(answer)
      return (answer.shown:gsub("%('token_info', %b{}%)", ""))
    end
    assert.equal(others(first), others(second))
    local own = opts
    own.cookie = nil
    session = assert(tokencache.session.flask(own))
    session.token_info = TOKEN
    assert(session:save())
    local begun = session:set_cookie():match "^[^;]*"
    assert.same(TOKEN, python:ask({ app = settings, cookie = begun }).token)
    python:ask { app = settings, cookie = begun, token = { access_token = "third" } }
    own.cookie = python_sessions.value(begun)
    assert.same({ access_token = "third" }, assert(tokencache.session.flask(own)).token_info)
  end

  for _, use_signer in ipairs { false, true } do
    it("each reads what the other has renewed: Redis, signer " .. tostring(use_signer), function()
      for _, format in ipairs(formats) do
        renew({ SESSION_TYPE = "redis", redis = redis.port, SESSION_USE_SIGNER = use_signer,
          SESSION_SERIALIZATION_FORMAT = format }, { use_signer = use_signer, serializer = format,
          store = tokencache.store.redis { port = redis.port } })
      end
    end)
  end

  it("a token of 100,000 bytes passes", function()
    local long = { access_token = ("x"):rep(100000), expires_at = 1800000000 }
    renew({ SESSION_TYPE = "redis", redis = redis.port },
      { store = tokencache.store.redis { port = redis.port }, serializer = formats[1] }, long)
  end)

  it("each reads what the other has renewed: files", function()
    local directory = python.directory .. "/files"
    renew({ SESSION_TYPE = "filesystem", SESSION_FILE_DIR = directory },
      { directory = directory, serializer = "pickle" })
  end)

  it("each reads what the other has renewed: memcached", function()
    local store = tokencache.store.memcached { servers = { memcached.address } }
    for _, format in ipairs(formats) do
      renew({ SESSION_TYPE = "memcached", memcached = memcached.address,
        SESSION_SERIALIZATION_FORMAT = format }, { store = store, serializer = format })
    end
  end)
end)

describe("a session that its server has no room for #once", function()
  local server

  setup(function() server = memcached_server.start { "-I", "512k" } end)
  teardown(function() server:stop() end)

  local function new_store(options)
    return tokencache.store.memcached { servers = { server.address }, options = options }
  end

  --- What a program may have of its own; memcached drops what a `set` is too large for.
  local function setting_only()
    local store = new_store()
    return {
      get = function(_, ...) return store:get(...) end,
      set = function(_, ...) return store:set(...) end,
      delete = function(_, ...) return store:delete(...) end,
    }
  end

  for way, store in pairs {
    ["in memcached"] = function() return new_store() end,
    ["in memcached, binary protocol,"] = function() return new_store "--BINARY-PROTOCOL" end,
    ["in a store that only sets"] = setting_only,
  } do
    it(way .. " spends no refresh token, and loses none", function()
      local stage, place = stages.new(), store()
      logins.rotate(stage)
      local function begin(filling)
        local opts = { secret_key = SECRET, store = place }
        local session = assert(tokencache.session.flask(opts))
        session.filling, session.token_info = ("x"):rep(filling), logins.LOGIN
        assert(session:save())
        opts.cookie = session:set_cookie():match "=([^;]*)"
        return session, stage:user_flow { cache = tokencache.cache.flask_session {
          session = session } }, function() return tokencache.session.flask(opts).token_info end
      end
      local _, flow, kept = begin(2 ^ 19 - 1100)
      local token, err = flow:get_access_token()
      assert.is_nil(token)
      assert.same({ "cache", "E2BIG" }, { err.kind, err.code })
      assert.equal(0, #stage.requests)
      assert.same(logins.LOGIN, kept())
      _, flow, kept = begin(10)
      assert.equal("access-1", flow:get_access_token())
      assert.is_nil(kept().tokencache_room)
      assert.equal("refresh-2", kept().refresh_token)
    end)
  end
end)
