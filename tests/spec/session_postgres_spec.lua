-- Django's sessions in PostgreSQL: by LuaSQL, and by pgmoon, which inside nginx has cosockets.

local postgres_server = require "support.postgres_server"
local python_sessions = require "support.python_sessions"
local race = require "support.session_race"
local tokencache = require "tokencache"

local SECRET = "dev-secret"
local SETTINGS = { SECRET_KEY = SECRET, SESSION_ENGINE = "django.contrib.sessions.backends.db" }
local TOKEN = { access_token = "BQD\195\164-x", refresh_token = "RT-1", expires_at = 1800000000 }

package.path = package.path .. ";tests/vendor/pgmoon/?.lua"

describe("a session of Django's in PostgreSQL #once", function()
  local postgres, python, environment, connection
  local databases = {}

  setup(function()
    postgres = postgres_server.start()
    python = python_sessions.start(postgres)
    environment = require("luasql.postgres").postgres()
    connection = assert(environment:connect(
      ("host=127.0.0.1 port=%d user=tester dbname=%s"):format(postgres.port, postgres.database)))
    databases.luasql = function(name)
      return tokencache.session.luasql { connection = connection, table = name }
    end
    databases.pgmoon = function(name)
      return tokencache.session.pgmoon { table = name, client = { host = "127.0.0.1",
        port = postgres.port, user = "tester", database = postgres.database } }
    end
  end)

  teardown(function()
    connection:close()
    environment:close()
    python:stop()
    postgres:stop()
  end)

  local function open(database, answer)
    return tokencache.session.django { secret_key = SECRET, engine = "db", database = database,
      cookie = answer and python_sessions.value(answer.set_cookie) }
  end

  local function ask(header)
    return python:ask { app = SETTINGS, cookie = header:match "^[^;]*" }
  end

  it("keeps all of Python's, which writes it at the same time", function()
    race(python, tokencache.session.django, SETTINGS,
      { engine = "db", database = databases.luasql() })
  end)

  for _, name in ipairs { "luasql", "pgmoon" } do
    it("each reads what the other has renewed: " .. name, function()
      local first = python:ask { app = SETTINGS, token = TOKEN, values = { kept = "\226\130\172" } }
      local session = assert(open(databases[name](), first))
      assert.same(TOKEN, session.token_info)
      session.token_info = { access_token = "new", refresh_token = "RT-2" }
      assert(session:save())
      local second = ask(session:set_cookie())
      assert.equal("RT-2", second.token.refresh_token)
      assert.equal("\226\130\172", second.session.kept)
    end)

    it("begins here, and ends: " .. name, function()
      local session = assert(open(databases[name]()))
      session.token_info = TOKEN
      assert(session:save())
      local header = session:set_cookie()
      assert.same(TOKEN, ask(header).token)
      session.token_info = nil
      assert(session:save())
      assert.same({}, ask(header).session)
    end)

    it("is written only over what was read: " .. name, function()
      local database = databases[name]()
      assert.is_true(database:save("k1", "data", 1900000000.5))
      assert.is_false(database:save("k1", "newer", 1900000000, "other"))
      assert.is_true(database:save("k1", "newer", 1900000000, "data"))
      assert.same({ "newer", 1900000000 }, { database:load "k1" })
      assert.is_false(database:save("k1", nil, nil, "data"))
      assert.is_true(database:save("k1", nil, nil, "newer"))
      assert.is_nil(database:load "k1")
    end)

    it("has no SQL in it, and no error shows a key: " .. name, function()
      local database = databases[name]()
      for _, text in ipairs { "'; DROP TABLE django_session; --", "\\'", "a b", "\0" } do
        assert.is_nil((database:load(text)))
        local saved, err = database:save("k2", text, 1900000000)
        assert.is_nil(saved)
        assert.equal("cache", err.kind)
      end
      assert.is_true(database:save("secret-key", "data", 1900000000))
      for _, other in ipairs { database, databases[name] "no_such_table" } do
        local saved, err = other:save("secret-key", "data", 1900000000)
        assert.is_nil(saved)
        assert.equal("cache", err.kind)
        assert.matches("the database has failed: %S+", err.message)
        assert.is_nil(err.message:find("secret", 1, true))
      end
      assert.is_true(database:save("secret-key", nil, nil, "data"))
    end)
  end
end)
