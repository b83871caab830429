-- nginx in front of a Flask and of a Django application that use spotipy: the gateway renews the
-- token in their session, as docs/adapters.md has it, and they find it there.

local fake_endpoint = require "support.fake_endpoint"
local json = require "tokencache.json"
local nginx = require "support.nginx"
local nginx_example = require "support.nginx_example"
local postgres_server = require "support.postgres_server"
local python_sessions = require "support.python_sessions"
local redis_server = require "support.redis_server"

local SECRET = "dev-secret"

local HTTP = [[
  init_by_lua_block {
    package.path = "$ROOT/tests/vendor/pgmoon/?.lua;" .. package.path
    tokencache = require "tokencache"
    local store = tokencache.store.redis { port = $REDIS }
    flow = tokencache.flow.authorization_code {
      provider = { authorize_url = "$URL", token_url = "$URL" }, client_id = "id",
      client_secret = "secret", redirect_uri = "http://127.0.0.1:8080/callback", proxy = "",
      scope = "a b", authorize = false, store = store,
    }
    database = tokencache.session.pgmoon { client = { host = "127.0.0.1", port = $POSTGRES,
      user = "tester", database = "postgres" } }
    handlers = { flask = tokencache.cache.flask_session, django = function(opts)
      return tokencache.cache.django_session { request = opts, lock = opts.lock }
    end }
    function renew(framework, name, opts, lock)
      opts.secret_key, opts.cookie, opts.store = "dev-secret", ngx.var["cookie_" .. name],
        opts.in_store and store
      opts.in_store = nil
      if opts.engine == "cache" then opts.cache = store end
      local session, problem = tokencache.session[framework](opts)
      if not session then
        ngx.log(ngx.INFO, problem.message)
        return ngx.exit(403)
      end
      if session.token_info then
        local cache = handlers[framework] { session = session, lock = lock and store }
        local token, err = flow:account(cache):get_access_token()
        if not token then
          ngx.log(ngx.ERR, err.message)
        end
      end
      local header = session:set_cookie()
      if header then
        ngx.header["Set-Cookie"] = header
        local cookies = ("; " .. (ngx.var.http_cookie or "")):gsub("; " .. name .. "=[^;]*", "")
        ngx.req.set_header("Cookie", header:match "^[^;]*" .. cookies)
      end
    end
  }
]]

local SERVER = [[
  location /cookie/ {
    access_by_lua_block { renew("flask", "session", {}, true) }
    proxy_pass http://127.0.0.1:$COOKIE/;
  }
  location /redis/ {
    access_by_lua_block { renew("flask", "session", { in_store = true, serializer = "$FORMAT" }) }
    proxy_pass http://127.0.0.1:$FLASK/;
  }
  location /django/ {
    access_by_lua_block { renew("django", "sessionid", { engine = "cache" }) }
    proxy_pass http://127.0.0.1:$DJANGO/;
  }
  location /postgres/ {
    access_by_lua_block {
      renew("django", "sessionid", { engine = "db", database = database }, true)
    }
    proxy_pass http://127.0.0.1:$DJANGO_DB/;
  }
]]

describe("nginx in front of an application of Python's", function()
  local postgres, python, redis, endpoint, server
  local apps = {}

  setup(function()
    postgres = postgres_server.start()
    python = python_sessions.start(postgres)
    redis, endpoint = redis_server.start(), fake_endpoint.start()
    apps.cookie = { SECRET_KEY = SECRET }
    apps.redis = { SECRET_KEY = SECRET, SESSION_TYPE = "redis", redis = redis.port }
    apps.django = { SECRET_KEY = SECRET,
      SESSION_ENGINE = "django.contrib.sessions.backends.cache",
      CACHES = { default = { BACKEND = "django_redis.cache.RedisCache",
        LOCATION = ("redis://127.0.0.1:%d/0"):format(redis.port) } } }
    apps.postgres = { SECRET_KEY = SECRET,
      SESSION_ENGINE = "django.contrib.sessions.backends.db" }
    local ports = {}
    for name, app in pairs(apps) do
      ports[name] = python:ask({ app = app, serve = true }).port
    end
    server = nginx.start { workers = 2, http = HTTP, server = SERVER, values = {
      REDIS = redis.port, URL = endpoint:url "once", COOKIE = ports.cookie, FLASK = ports.redis,
      FORMAT = python:ask({ app = apps.cookie }).formats[1], -- of this Flask-Session
      DJANGO = ports.django, DJANGO_DB = ports.postgres, POSTGRES = postgres.port } }
  end)

  teardown(function()
    server:stop()
    endpoint:stop()
    redis:stop()
    python:stop()
    postgres:stop()
  end)

  for _, name in ipairs { "cookie", "redis", "django", "postgres" } do
    it("renews, and the application finds it: " .. name, function()
      local app = apps[name]
      local first = python:ask { app = app, values = { kept = "\226\130\172" }, token = {
        access_token = "old", refresh_token = name, expires_in = 3600, expires_at = 1700000000,
        scope = "a b", token_type = "Bearer" } }
      local cookie = first.set_cookie:match "^[^;]*"
      local status, body, headers = server:get("/" .. name .. "/",
        { headers = { Cookie = cookie } })
      assert.equal(200, status)
      local seen = json.decode(body)
      local token = seen.token.refresh_token
      assert.matches("^" .. name .. "~%d+$", token)
      assert.equal("\226\130\172", seen.session.kept)
      local renewed = headers["set-cookie"] and headers["set-cookie"]:match "^[^;]*" or cookie
      assert.equal(token, python:ask({ app = app, cookie = renewed }).token.refresh_token)
      local requests = {}
      for i = 1, 6 do -- with the old cookie: the token that it names is spent
        requests[i] = server:begin("/" .. name .. "/", { headers = { Cookie = cookie } })
      end
      for i = 1, 6 do
        status, body = requests[i]:finish()
        assert.equal(200, status)
        assert.equal(token, json.decode(body).token.refresh_token)
      end
    end)
  end

  for framework, app in pairs { flask = { SECRET_KEY = SECRET }, django = { SECRET_KEY = SECRET,
    SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies" } } do
    it("renews by examples/nginx/session.conf: " .. framework, function()
      local example = nginx_example.start("session", { SECRET_KEY = SECRET, FRAMEWORK = framework,
        TOKEN_URL = endpoint:url "once", CLIENT_ID = "id", CLIENT_SECRET = "secret",
        APPLICATION = "127.0.0.1:" .. python:ask({ app = app, serve = true }).port })
      finally(function() example:stop() end)
      local first = python:ask { app = app, token = { access_token = "old", expires_in = 3600,
        refresh_token = "example-" .. framework, expires_at = 1700000000, token_type = "Bearer" } }
      local answer = example:request("GET", "/", { Cookie = "a=b; "
        .. first.set_cookie:match "^[^;]*" })
      assert.equal(200, answer.status)
      local token = json.decode(answer.body).token
      assert.matches("^example%-" .. framework .. "~%d+$", token.refresh_token)
      local renewed = answer.headers["set-cookie"]:match "^[^;]*"
      assert.same(token, python:ask({ app = app, cookie = renewed }).token)
      assert.equal(200, example:request("GET", "/").status)
    end)
  end

  it("lets no forged cookie pass", function()
    local status = server:get("/cookie/", { headers = { Cookie = "session=e30.aaaaaa.x" } })
    assert.equal(403, status)
  end)
end)
