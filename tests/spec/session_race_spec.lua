-- Python and Lua write the same session at the same time; that of a database is raced for in
-- session_postgres_spec.

local memcached_server = require "support.memcached_server"
local python_sessions = require "support.python_sessions"
local race = require "support.session_race"
local redis_server = require "support.redis_server"
local tokencache = require "tokencache"

local SECRET = "dev-secret"

describe("a session that Python and Lua write at the same time #once", function()
  local python, memcached, redis

  setup(function()
    python = python_sessions.start()
    memcached, redis = memcached_server.start(), redis_server.start()
  end)

  teardown(function()
    memcached:stop()
    redis:stop()
    python:stop()
  end)

  it("keeps all of Python's: Flask-Session in Redis", function()
    local undone = race(python, tokencache.session.flask,
      { SECRET_KEY = SECRET, SESSION_TYPE = "redis", redis = redis.port },
      { store = tokencache.store.redis { port = redis.port },
        serializer = python:ask({ app = { SECRET_KEY = SECRET } }).formats[1] })
    assert.is_true(undone < 1000)
  end)

  it("keeps all of Python's: Django in memcached", function()
    race(python, tokencache.session.django, { SECRET_KEY = SECRET,
      SESSION_ENGINE = "django.contrib.sessions.backends.cache", CACHES = { default = {
        BACKEND = "django.core.cache.backends.memcached.PyMemcacheCache",
        LOCATION = memcached.address } } },
      { engine = "cache", cache = tokencache.store.memcached { servers = { memcached.address },
        flags = 1 } })
  end)

  it("is whole all the time: Django in files", function()
    race(python, tokencache.session.django, { SECRET_KEY = SECRET,
      SESSION_FILE_PATH = python.directory,
      SESSION_ENGINE = "django.contrib.sessions.backends.file" },
      { engine = "file", directory = python.directory }, true)
  end)
end)
