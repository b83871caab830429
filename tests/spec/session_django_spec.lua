-- Django's sessions: what Django has written is read, and what is written here Django reads.

local json = require "tokencache.json"
local memcached_server = require "support.memcached_server"
local process = require "support.process"
local python_sessions = require "support.python_sessions"
local redis_server = require "support.redis_server"
local table_store = require "support.table_store"
local tokencache = require "tokencache"

local SECRET = "django-dev-secret"
local TOKEN = { access_token = "BQD\195\164-x", token_type = "Bearer", expires_in = 3600,
  refresh_token = "RT-1", scope = "a b", expires_at = 1800000000 }

local vectors = json.decode(process.read_file "tests/fixtures/sessions/django_sessions.json")
  .vectors

local function bytes_of(hex)
  return (hex:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

--- A database of one row.
local function one_row(row)
  return { load = function(_, key)
    if key == row[1] then
      return row[2], 1797203411
    end
  end, save = function(_, key, data, _, old)
    if key ~= row[1] or old ~= row[2] then
      return false
    end
    row[2] = data
    return true
  end }
end

local function cache_of(vector)
  local store = table_store()
  if vector.cache then
    store:set(vector.cache_key, bytes_of(vector.value_hex))
  end
  return store
end

--- The options that open a vector.
local function options_of(vector, directory)
  local opts = { secret_key = SECRET, cookie = vector.cookie, engine = vector.engine,
    serializer = vector.serializer == "PickleSerializer" and "pickle" or "json",
    cache_serializer = vector.cache == "django_redis_json" and "json" or nil,
    clock = function() return 1795993900 end,
    database = vector.db_row and one_row { vector.db_row[1], vector.db_row[2] },
    cache = vector.cache and cache_of(vector) }
  if vector.file then
    opts.directory = directory
    process.write_file(directory .. "/sessionid" .. vector.cookie, vector.file)
  end
  return opts
end

local function name_of(vector)
  return ("%s %s %s %d"):format(vector.engine, vector.serializer, vector.cache or "",
    #vector.session.token_info.access_token)
end

describe("a session of Django's", function()
  local directory

  setup(function() directory = process.temporary_directory() end)
  teardown(function() process.remove_directory(directory) end)

  for _, vector in ipairs(vectors) do
    it("is read and written: " .. name_of(vector), function()
      local opts = options_of(vector, directory)
      local session = assert(tokencache.session.django(opts))
      assert.same(vector.session.token_info, session.token_info)
      assert.is_nil(session:set_cookie())
      session.token_info = { access_token = "new" }
      assert(session:save())
      local header = session:set_cookie()
      assert.matches("^sessionid=[^;]+; Expires=.-; Max%-Age=1209600; HttpOnly; Path=/; "
        .. "SameSite=Lax$", header)
      opts.cookie = python_sessions.value(header)
      assert.same({ access_token = "new" }, assert(tokencache.session.django(opts)).token_info)
    end)
  end

  it("keeps the token of a handler at once, where it is on the server", function()
    local opts = options_of(vectors[1])
    local session = assert(tokencache.session.django(opts))
    local cache = tokencache.cache.django_session { request = { session = session } }
    local info, err, entry = cache:get_cached_token(true)
    assert.is_nil(err)
    assert.equal("RT-1", info.refresh_token)
    info.refresh_token = "RT-2"
    assert.is_true(cache:replace_cached_token(entry, info))
    assert.equal("RT-2", session.token_info.refresh_token)
    assert.is_false(cache:replace_cached_token(entry, info))
    assert.equal("RT-2", assert(tokencache.session.django(opts)).token_info.refresh_token)
    assert(cache:remove_cached_token())
    assert.is_nil(cache:get_cached_token())
  end)

  it("keeps nothing of the room that is tried for a longer token, whatever fails", function()
    local vector
    for _, each in ipairs(vectors) do
      vector = vector or each.engine == "cached_db" and each or nil
    end
    local opts = options_of(vector)
    local cache, database = opts.cache, opts.database
    local function handler()
      return tokencache.cache.django_session { request = {
        session = assert(tokencache.session.django(opts)) } }
    end
    local row, copy = database:load(vector.cookie), cache:get(vector.cache_key)
    local _, _, entry = handler():get_cached_token(true)
    local set, save = cache.set, database.save
    function cache.set() return nil, "the server is away" end
    local can, err = handler():can_save(entry)
    assert.is_nil(can)
    assert.matches("the server is away", err.message, 1, true)
    assert.equal(row, (database:load(vector.cookie)))
    cache.set = set
    function database.save(...)
      function database.save() return nil, "the server is away" end
      return save(...)
    end
    can, err = handler():can_save(entry)
    assert.is_nil(can)
    assert.matches("the server is away", err.message, 1, true)
    assert.is_true(#(database:load(vector.cookie)) > #row + 900)
    assert.equal(copy, cache:get(vector.cache_key))
    database.save = save
    local info, _, same = handler():get_cached_token(true)
    assert.equal(entry, same)
    assert.is_true(handler():replace_cached_token(entry, info))
    assert.same(vector.session.token_info, assert(tokencache.session.django(opts)).token_info)
  end)

  it("that has ended is not brought back, and an unknown key is not taken", function()
    local opts = options_of(vectors[1])
    local session = assert(tokencache.session.django(opts))
    function opts.database:load() end -- luacheck: ignore 212
    session.token_info = TOKEN
    local saved, err = session:save()
    assert.is_nil(saved)
    assert.equal("GONE", err.code)
    opts.cookie = "unknown"
    session = assert(tokencache.session.django(opts))
    session.x = 1
    assert.not_matches("unknown", session:set_cookie(), 1, true)
  end)

  it("that cannot be trusted is an error that tells why", function()
    local function code(vector, more)
      local opts = options_of(vector, directory)
      for name, value in pairs(more) do
        opts[name] = value
      end
      local session, err = tokencache.session.django(opts)
      assert.is_nil(session)
      assert.equal("cache", err.kind)
      return err.code
    end
    local cookie = vectors[4]
    assert.equal("signed_cookies", cookie.engine)
    local function at(time) return { clock = function() return time end } end
    assert.equal("BAD_SIGNATURE", code(cookie, { secret_key = { "other", "another" } }))
    assert.equal("BAD_SIGNATURE", code(vectors[1], { secret_key = "other" }))
    assert.equal("BAD_SIGNATURE", code(cookie, { cookie = cookie.cookie:sub(1, -2) .. "4" }))
    assert.equal("EXPIRED", code(cookie, at(cookie.timestamp + 1209601)))
    assert.equal("FUTURE", code(cookie, at(cookie.timestamp - 61)))
    assert.equal("BAD_SIGNATURE", code(cookie, { cookie = "x:y" }))
    assert.equal("DAMAGED", code(cookie, { serializer = "pickle" }))
    assert.equal("DAMAGED", code(vectors[1], { cookie = "../../etc/passwd" }))
    assert.equal("DAMAGED", code(vectors[7], { cache_serializer = "json" }))
  end)

  it("that cannot be read is an error that does not show its key", function()
    process.run { "mkdir", directory .. "/sessionidabcdef" }
    local session, err = tokencache.session.django { secret_key = SECRET, engine = "file",
      directory = directory, cookie = "abcdef" }
    assert.is_nil(session)
    assert.equal("cache", err.kind)
    assert.matches(directory, err.message, 1, true)
    assert.is_nil(err.message:find("abcdef", 1, true))
  end)

  it("wants what its engine needs", function()
    for engine, message in pairs { db = "database is required", cache = "cache is required",
      cached_db = "is required", file = "directory is required", other = "engine must be" } do
      local ok, problem = pcall(tokencache.session.django, { secret_key = "a", engine = engine })
      assert.is_false(ok)
      assert.matches(message, problem, 1, true)
    end
  end)
end)

describe("beside a running Django #once", function()
  local python, memcached, redis, connection

  setup(function()
    python = python_sessions.start()
    memcached = memcached_server.start()
    redis = redis_server.start()
  end)

  teardown(function()
    if connection then
      connection:close()
    end
    memcached:stop()
    redis:stop()
    python:stop()
  end)

  --- Django's settings of a cache, and ours.
  local function caches_of(client)
    if client:find "Redis" then
      return { BACKEND = "django_redis.cache.RedisCache", KEY_PREFIX = "app", VERSION = 2,
        LOCATION = ("redis://127.0.0.1:%d/0"):format(redis.port),
        OPTIONS = client == "RedisJSON"
          and { SERIALIZER = "django_redis.serializers.json.JSONSerializer" } or {},
      }, tokencache.store.redis { port = redis.port }, client == "RedisJSON" and "json" or nil
    end
    return { BACKEND = "django.core.cache.backends.memcached." .. client, KEY_PREFIX = "app",
      VERSION = 2, LOCATION = memcached.address,
    }, tokencache.store.memcached { servers = { memcached.address }, flags = 1 }
  end

  --- Django's settings, and the options here.
  local function both(engine, serializer, client, more)
    local settings = { SECRET_KEY = SECRET,
      SESSION_ENGINE = "django.contrib.sessions.backends." .. engine,
      SESSION_SERIALIZER = "django.contrib.sessions.serializers."
        .. (serializer == "pickle" and "PickleSerializer" or "JSONSerializer") }
    local opts = { secret_key = { SECRET, "older" }, engine = engine, serializer = serializer }
    if engine:find "db" then
      local luasql = require "luasql.sqlite3"
      connection = connection or luasql.sqlite3():connect(python.directory .. "/db.sqlite3")
      opts.database = tokencache.session.luasql { connection = connection }
    end
    if client then
      settings.CACHES = {}
      settings.CACHES.default, opts.cache, opts.cache_serializer = caches_of(client)
      opts.key_prefix, opts.version = "app", 2
    end
    for name, value in pairs(more or {}) do
      settings[name] = value
    end
    return settings, opts
  end

  local function renew(settings, opts)
    local first = python:ask { app = settings, token = TOKEN, values = {
      nested = { { a = { "\226\130\172" } } }, empty = {}, none = json.null, half = 0.5 } }
    opts.cookie = python_sessions.value(first.set_cookie)
    local session = assert(tokencache.session.django(opts))
    assert.same(TOKEN, session.token_info)
    session.token_info = { access_token = "new \226\130\172", refresh_token = "RT-2",
      scope = json.null, expires_at = 1800000001 }
    assert(session:save())
    local header = session:set_cookie()
    local second = python:ask { app = settings, cookie = header:match "^[^;]*" }
    assert.same({ access_token = "new \226\130\172", refresh_token = "RT-2", scope = json.null,
      expires_at = 1800000001 }, second.token)
    local function others(answer)
      return (answer.shown:gsub("%('token_info', %b{}%)", ""))
    end
    assert.equal(others(first), others(second))
    local cookie = header:match "^[^;]*"
    opts.cookie = nil -- a session that begins here
    session = assert(tokencache.session.django(opts))
    session.token_info = TOKEN
    assert(session:save())
    local begun = session:set_cookie():match "^[^;]*"
    assert.same(TOKEN, python:ask({ app = settings, cookie = begun }).token)
    local third = python:ask { app = settings, cookie = begun, token = { access_token = "third" } }
    opts.cookie = python_sessions.value(third.set_cookie)
    assert.same({ access_token = "third" }, assert(tokencache.session.django(opts)).token_info)
    opts.cookie = python_sessions.value(begun) -- and ends
    session = assert(tokencache.session.django(opts))
    session.token_info = nil
    assert(session:save())
    assert.matches("^sessionid=; Expires=Thu, 01 Jan 1970", session:set_cookie())
    if opts.engine ~= "signed_cookies" then
      assert.same({}, python:ask({ app = settings, cookie = begun }).session)
    end
    opts.cookie = python_sessions.value(cookie)
    return cookie
  end

  it("cookies of 3,900 bytes pass, and larger ones are an error", function()
    local settings, opts = both("signed_cookies", "json")
    local crypto, core = require "tokencache.crypto", require "tokencache._core"
    local long = { access_token = core.base64url_encode(crypto.random(2780)) }
    local first = python:ask { app = settings, token = long }
    assert.is_true(#first.set_cookie > 3850 and #first.set_cookie < 4050, #first.set_cookie)
    opts.cookie = python_sessions.value(first.set_cookie)
    local session = assert(tokencache.session.django(opts))
    assert.same(long, session.token_info)
    session.modified = true
    local second = python:ask { app = settings, cookie = session:set_cookie():match "^[^;]*" }
    assert.same(long, second.token)
    session.more = core.base64url_encode(crypto.random(200))
    local header, err = session:set_cookie()
    assert.is_nil(header)
    assert.equal("TOO_LARGE", err.code)
  end)

  for _, case in ipairs {
    { "signed_cookies", "json" }, { "signed_cookies", "pickle" }, { "db", "json" },
    { "db", "pickle" }, { "cache", "json", "PyMemcacheCache" }, { "cache", "json", "PyLibMCCache" },
    { "cache", "json", "Redis" }, { "cache", "json", "RedisJSON" },
    { "cached_db", "json", "PyMemcacheCache" }, { "cached_db", "pickle", "Redis" },
  } do
    local name = table.concat(case, " ")
    local run = case[1]:find "db" and not pcall(require, "luasql.sqlite3") and pending or it
    run("each reads what the other has renewed: " .. name, function()
      renew(both(case[1], case[2], case[3]))
    end)
  end

  it("each reads what the other has renewed: file", function()
    for _, serializer in ipairs { "json", "pickle" } do
      local settings, opts = both("file", serializer, nil, { SESSION_FILE_PATH = python.directory })
      opts.directory = python.directory
      renew(settings, opts)
    end
  end)

  it("a session that Django has flushed is gone, and a new one of ours is there", function()
    local settings, opts = both("cache", "json", "PyMemcacheCache")
    local cookie = renew(settings, opts)
    local session = assert(tokencache.session.django(opts))
    python:ask { app = settings, cookie = cookie, flush = true }
    session.token_info = TOKEN
    local saved, err = session:save()
    assert.is_nil(saved)
    assert.equal("GONE", err.code)
    opts.cookie = nil
    session = assert(tokencache.session.django(opts))
    session.token_info = TOKEN
    assert(session:save())
    local answer = python:ask { app = settings, cookie = session:set_cookie():match "^[^;]*" }
    assert.same(TOKEN, answer.token)
  end)
end)
