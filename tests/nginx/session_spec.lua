-- Logins in sessions of lua-resty-session: requests of one browser that come at the same time, at a
-- provider that ends a login at the second use of a refresh token; and what comes after the first
-- byte of an answer.

local folder = require "support.folder"
local json = require "tokencache.json"
local nginx = require "support.nginx"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"
local redis_server = require "support.redis_server"
local tokencache = require "tokencache"

local REQUESTS = 8

local HTTP = [[
  lua_shared_dict sessions 1m;
  lua_shared_dict locks 1m;
  init_by_lua_block {
    tokencache = require "tokencache"
    answer = require("support.in_nginx").answer
    sessions = require "support.vendored_session"
    sessions.init { secret = "a secret of the tests' own", cookie_secure = false,
      storage = "shm", shm = { zone = "sessions" } }
    local s = tokencache.store
    locks = { dict = s.shared_dict(ngx.shared.locks), file = s.file { directory = "$DIRECTORY" },
      redis = s.redis { port = $REDIS } }
    flow = tokencache.flow.authorization_code {
      provider = { authorize_url = "$URL/auth", token_url = "$URL/token", issuer = "$URL" },
      client_id = "$ID", client_secret = "$SECRET", redirect_uri = "http://127.0.0.1:8080/callback",
      scope = "read", proxy = "", authorize = false, store = locks.dict,
    }
    function account()
      return flow:account(tokencache.cache.resty_session { session = sessions.start(),
        lock = locks[ngx.var.arg_lock] })
    end
  }
]]

local SERVER = [[
  listen 127.0.0.1:$SPREAD reuseport;
  lua_http10_buffering off; # the first byte is sent at once
  location /put {
    content_by_lua_block {
      ngx.req.read_body()
      local session = sessions.start()
      session:set("token_info", ngx.req.get_body_data())
      answer(session:save())
    }
  }
  location /get { content_by_lua_block { answer(sessions.start():get("token_info")) } }
  location /token { content_by_lua_block { answer(account():get_access_token()) } }
  location /remove { content_by_lua_block { answer(account():remove()) } }
  location /late {
    content_by_lua_block {
      local late = account()
      ngx.say("first")
      answer(late:get_access_token())
    }
  }
  location /late_exchange {
    content_by_lua_block {
      local late = account()
      local url, pending = flow:get_authorize_url()
      ngx.say("first")
      local callback = "http://127.0.0.1:8080/callback?code=c&iss=$URL&state="
        .. url:match("[?&]state=([^&]*)")
      answer(late:exchange(callback, pending))
      answer(late:exchange(callback, pending))
    }
  }
  location /leaving {
    lua_check_client_abort on;
    content_by_lua_block {
      assert(ngx.on_abort(function()
        ngx.shared.locks:set("test's sign", true)
        ngx.exit(499)
      end))
      answer(account():get_access_token())
    }
  }
  location /left { content_by_lua_block { answer(ngx.shared.locks:get("test's sign")) } }
]]

describe("a login in a session of lua-resty-session", function()
  local provider, redis, directory, server, port, before

  setup(function()
    provider, redis, directory = oidc_provider.start(), redis_server.start(), folder.new()
    port = require("support.loopback").free_port()
    local client = provider.clients.confidential
    server = nginx.start { workers = 2, http = HTTP, server = SERVER, values = {
      URL = provider.url, ID = client.client_id, SECRET = client.client_secret,
      DIRECTORY = directory.path, REDIS = tostring(redis.port), SPREAD = tostring(port),
    } }
  end)

  teardown(function()
    local ok, problem = pcall(server.stop, server)
    provider:stop()
    redis:stop()
    directory:remove()
    assert(ok, problem)
  end)

  before_each(function()
    before = provider:counts().refresh_token or 0
  end)

  local function renewals()
    return (provider:counts().refresh_token or 0) - before
  end

  local function begin(path, cookie, body)
    return server:begin(path, { port = port, headers = { Cookie = cookie }, body = body,
      method = body and "POST" })
  end

  --- Returns the browser's cookie after the answer, and the answer.
  local function finish(request, cookie)
    local status, body, _, cookies = request:finish()
    assert(status == 200, body)
    local set = cookies.session
    return set and set:match("^[^;]*") or cookie, (body:gsub("\n$", ""))
  end

  local function ask(path, cookie, body)
    return finish(begin(path, cookie, body), cookie)
  end

  local function expire(cookie)
    local _, text = ask("/get", cookie)
    local info = assert(json.decode(text))
    info.expires_at = os.time() - 10
    return (ask("/put", cookie, json.encode(info)))
  end

  --- The cookie of a browser whose login has to be renewed.
  local function log_in()
    local cache = tokencache.cache.memory {}
    provider:log_in(cache, os.time())
    return expire((ask("/put", nil, json.encode(cache:get_cached_token()))))
  end

  local function expect_alive(token)
    assert.is_true(provider:introspect(token).active, token)
  end

  for _, lock in ipairs { "dict", "redis", "file" } do
    it("survives requests at the same time, with lock = " .. lock, function()
      local cookie, cookies, requests = log_in(), {}, {}
      for i = 1, REQUESTS do
        requests[i] = begin("/token?lock=" .. lock, cookie)
      end
      for i, request in ipairs(requests) do
        local token
        cookies[i], token = finish(request, cookie)
        expect_alive(token)
      end
      assert.equal(1, renewals())
      for i = 1, REQUESTS do -- whichever cookie the browser keeps
        local kept, token = ask("/token?lock=" .. lock, expire(cookies[i]))
        expect_alive(token)
        assert.equal(token, json.decode((select(2, ask("/get", kept)))).access_token)
      end
      assert.equal(2, renewals())
      local _, token = ask("/token?lock=" .. lock, cookie) -- a cookie that is two renewals behind
      expect_alive(token)
      assert.equal(2, renewals())
    end)
  end

  it("is renewed and kept for the browser though the client leaves", function()
    local cookie = log_in()
    local requests = provider:token_requests()
    provider:next_token { held = true }
    local request = begin("/leaving?lock=file", cookie)
    process.wait_until("the token request", function()
      return provider:token_requests() > requests
    end)
    request.socket:close()
    process.wait_until("nginx to see that the client has left", function()
      return select(2, server:get("/left")) == "true\n"
    end)
    provider:release()
    local _, token = ask("/token?lock=file", cookie)
    expect_alive(token)
    assert.equal(1, renewals())
  end)

  it("that was removed does not come back by an older cookie", function()
    local cookie = log_in()
    local newer = ask("/token?lock=dict", cookie)
    local _, removed = ask("/remove?lock=dict", newer)
    assert.equal("true", removed)
    for _, old in ipairs { cookie, expire(cookie) } do
      local _, answer = ask("/token?lock=dict", old)
      assert.matches("^reauthorize: ", answer)
    end
    assert.equal(1, renewals())
  end)

  for _, lock in ipairs { "", "?lock=dict" } do
    it("is not spent after the first byte of the answer" .. lock, function()
      local cookie = log_in()
      local requests = provider:token_requests()
      local _, body = ask("/late" .. lock, cookie)
      assert.matches("^first\ncache: .*headers are sent", body)
      _, body = ask("/late_exchange" .. lock, cookie)
      assert.matches("^first\ncache: .*headers are sent.*\ncache: .*headers are sent", body)
      assert.equal(requests, provider:token_requests())
      local _, token = ask("/token" .. lock, cookie)
      expect_alive(token)
    end)
  end
end)
