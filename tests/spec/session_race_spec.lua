-- Python and Lua write the same session at the same time. Both write whole sessions, but ours only
-- over what was read: nothing of Python's is ever lost. What Python has read before one of our
-- saves, and writes after it, undoes that: documented, and counted here.

local memcached_server = require "support.memcached_server"
local python_sessions = require "support.python_sessions"
local redis_server = require "support.redis_server"
local tokencache = require "tokencache"

local SECRET = "dev-secret"
local TIMES = 1000

describe("a session that Python and Lua write at the same time #once", function()
  local python, memcached, redis, connection

  setup(function()
    python = python_sessions.start()
    memcached, redis = memcached_server.start(), redis_server.start()
  end)

  teardown(function()
    if connection then
      connection:close()
    end
    memcached:stop()
    redis:stop()
    python:stop()
  end)

  --- Both count to `times`; returns how often ours was undone.
  local function race(open, settings, opts, times)
    local first = python:ask { app = settings, values = { ours = 0, theirs = 0 } }
    local cookie = first.set_cookie:match "^[^;]*"
    opts.cookie, opts.secret_key = python_sessions.value(cookie), SECRET
    local answer = python:begin { app = settings, cookie = cookie, count = "theirs",
      times = times }
    local written, undone = 0, 0
    for _ = 1, times do
      local session = assert(open(opts)) -- never torn
      if session.ours ~= written then
        assert.is_true(session.ours < written)
        undone = undone + written - session.ours
      end
      session.ours = session.ours + 1
      assert(session:save())
      written = session.ours
    end
    answer()
    local last = assert(open(opts))
    undone = undone + written - last.ours
    assert.equal(times, last.theirs)
    assert.equal(times, last.ours + undone)
    return undone
  end

  it("keeps all of Python's: Flask-Session in Redis", function()
    local undone = race(tokencache.session.flask,
      { SECRET_KEY = SECRET, SESSION_TYPE = "redis", redis = redis.port },
      { store = tokencache.store.redis { port = redis.port },
        serializer = python:ask({ app = { SECRET_KEY = SECRET } }).formats[1] }, TIMES)
    assert.is_true(undone < TIMES)
  end)

  it("keeps all of Python's: Django in memcached", function()
    race(tokencache.session.django, { SECRET_KEY = SECRET,
      SESSION_ENGINE = "django.contrib.sessions.backends.cache", CACHES = { default = {
        BACKEND = "django.core.cache.backends.memcached.PyMemcacheCache",
        LOCATION = memcached.address } } },
      { engine = "cache", cache = tokencache.store.memcached { servers = { memcached.address },
        flags = 1 } }, TIMES)
  end)

  it("keeps all of Python's: Django in a database", function()
    local environment = require("luasql.sqlite3").sqlite3()
    connection = environment:connect(python.directory .. "/db.sqlite3", 5000)
    race(tokencache.session.django, { SECRET_KEY = SECRET,
      SESSION_ENGINE = "django.contrib.sessions.backends.db" },
      { engine = "db", database = tokencache.session.luasql { connection = connection } }, 20)
  end)
end)
