-- tokencache.nginx.upstream: a client's token on proxied requests, and what comes of a 401.

local fake_endpoint = require "support.fake_endpoint"
local http = require "socket.http"
local loopback = require "support.loopback"
local nginx = require "support.nginx"
local process = require "support.process"

local WORKERS, CROWD = 4, 40

local HTTP = [[
  lua_shared_dict tokencache 1m;
  lua_shared_dict api 1m;
  proxy_http_version 1.1;
  server {
    listen 127.0.0.1:$API;
    location / { content_by_lua_block { answer() } }
  }
  init_by_lua_block {
    tokencache = require "tokencache"
    local function new(more)
      local given = { provider = { token_url = "$URL" }, client_id = "a", client_secret = "b",
        proxy = "" }
      for name, value in pairs(more) do
        given[name] = value
      end
      return tokencache.nginx.upstream(given)
    end
    api, variable = new {}, new { variable = "token" }
    undefined = new { variable = "undefined" }
    one = new { token_params = { audience = "one" } }
    two = new { token_params = { audience = "two" } }
    scoped = new { token_params = { audience = "two" }, scope = { "read", "write" } }
    users = tokencache.nginx.upstream {
      flow = tokencache.flow.authorization_code {
        provider = { authorize_url = "http://127.0.0.1:1/auth", token_url = "$URL" },
        client_id = "a", client_secret = "b", redirect_uri = "http://127.0.0.1:8080/callback",
        store = tokencache.store.shared_dict(ngx.shared.tokencache), authorize = false, proxy = "",
      },
    }
    bound = tokencache.flow.client_credentials { provider = { token_url = "$URL" },
      client_id = "a", client_secret = "b", cache = tokencache.cache.memory {}, dpop = true }
    --- Answers as a resource server does; what it was asked is a line of its log.
    function answer()
      ngx.req.read_body()
      local file, body = ngx.req.get_body_file(), ngx.req.get_body_data()
      if file then
        local opened = io.open(file)
        body = opened:read "*a"
        opened:close()
      end
      local token = (ngx.var.http_authorization or ""):match "^Bearer (.+)$" or "none"
      ngx.shared.api:rpush("log", ("%s %s %s %d %s"):format(ngx.req.get_method(),
        ngx.var.request_uri, token, #(body or ""), ngx.md5(body or "")))
      local challenge = ngx.var.arg_challenge or token:find "^refused" and "Bearer"
      if challenge then
        ngx.status = 401
        ngx.header["WWW-Authenticate"] = ngx.unescape_uri(challenge)
      end
      ngx.say(ngx.worker.pid(), " the API's own answer to ", token)
    end
  }
]]

local SERVER = [[
  listen 127.0.0.1:$SPREAD reuseport;
  set $token "";
  location /whole {
    proxy_intercept_errors on;
    error_page 401 = @again;
    access_by_lua_block { api:attach() }
    proxy_pass http://127.0.0.1:$API;
  }
  location /streamed {
    proxy_intercept_errors on;
    error_page 401 = @again;
    proxy_request_buffering off;
    access_by_lua_block { api:attach() }
    proxy_pass http://127.0.0.1:$API;
  }
  location /closed {
    proxy_intercept_errors on;
    error_page 401 = @again;
    auth_basic "closed";
    auth_basic_user_file /dev/null;
    access_by_lua_block { api:attach() }
    proxy_pass http://127.0.0.1:$API;
  }
  location @again {
    access_by_lua_block { api:attach_again() }
    proxy_pass http://127.0.0.1:$API;
  }
  location /bare {
    proxy_intercept_errors on;
    error_page 401 = @again;
    proxy_pass http://127.0.0.1:$API;
  }
  location /undefined {
    access_by_lua_block { undefined:attach() }
    proxy_pass http://127.0.0.1:$API;
  }
  location /keyless {
    access_by_lua_block { users:attach() }
    proxy_pass http://127.0.0.1:$API;
  }
  location /dot {
    access_by_lua_block { api.attach() }
    proxy_pass http://127.0.0.1:$API;
  }
  location /one {
    access_by_lua_block { one:attach() }
    proxy_pass http://127.0.0.1:$API;
  }
  location /two {
    access_by_lua_block { two:attach() }
    proxy_pass http://127.0.0.1:$API;
  }
  location /scoped {
    access_by_lua_block { scoped:attach() }
    proxy_pass http://127.0.0.1:$API;
  }
  location /user {
    proxy_intercept_errors on;
    error_page 401 = @user_again;
    access_by_lua_block { users:attach { "user", ngx.var.arg_user } }
    proxy_pass http://127.0.0.1:$API;
  }
  location @user_again {
    access_by_lua_block { users:attach_again { "user", ngx.var.arg_user } }
    proxy_pass http://127.0.0.1:$API;
  }
  location /variable {
    proxy_intercept_errors on;
    error_page 401 = @variable_again;
    proxy_set_header Authorization $token;
    access_by_lua_block { variable:attach() }
    proxy_pass http://127.0.0.1:$API;
  }
  location @variable_again {
    proxy_set_header Authorization $token;
    access_by_lua_block { variable:attach_again() }
    proxy_pass http://127.0.0.1:$API;
  }
  location /log {
    content_by_lua_block {
      local log = ngx.shared.api
      for _ = 1, log:llen "log" do
        ngx.say((log:lpop "log"))
      end
    }
  }
  location /plant { # a token that was issued a while ago
    content_by_lua_block {
      local args = ngx.req.get_uri_args()
      local account = args.user and users.flow:account { "user", args.user } or api.flow
      local cache = account.handler
      cache:save_token_to_cache { access_token = args.token, client_id = "a",
        refresh_token = args.user and "r", expires_in = 3600,
        expires_at = os.time() + (tonumber(args.left) or 1800) }
      for _, upstream in ipairs { api, variable, two, scoped } do
        upstream.trusted_until = 0
      end
    }
  }
  location /raises {
    content_by_lua_block {
      for _, given in ipairs { {}, { flow = {} }, { flow = api.flow, client_id = "a" },
          { shared_dict = "none", provider = { token_url = "$URL" }, client_id = "a",
            client_secret = "b" }, { issuer = "x", nothing = 1 },
          { issuer = "https://a.example", token_params = { a = 1 } },
          { issuer = "https://a.example" }, { provider = tokencache.provider.okta },
          { flow = api.flow, api_url = "https://a.example" }, { flow = bound },
          { flow = bound, variable = "token", api_url = "https://a.example" },
          { flow = bound, api_url = "https://a.example/" } } do
        ngx.say(select(2, pcall(function() local _ = tokencache.nginx.upstream(given) end)))
      end
    }
  }
]]

describe("tokencache.nginx.upstream", function()
  local endpoint, server, port

  setup(function() endpoint = fake_endpoint.start() end)
  teardown(function() endpoint:stop() end)

  local function start(workers)
    endpoint:clear()
    port = loopback.free_port()
    server = nginx.start { workers = workers, http = HTTP, server = SERVER, values = {
      URL = endpoint:url("token"), SPREAD = tostring(port), API = tostring(loopback.free_port()) } }
  end

  before_each(function() start(1) end)
  after_each(function() server:stop() end)

  local function ask(path, options)
    local status, body, headers = server:get(path, options)
    return status, body, headers
  end

  local function log()
    local lines = {}
    for line in select(2, ask "/log"):gmatch "[^\n]+" do
      lines[#lines + 1] = line
    end
    return lines
  end

  it("attaches a token that all workers share, in place of one from outside", function()
    for _ = 1, 10 do
      local status, body = ask("/whole", { port = port, headers = { Authorization = "Bearer x" } })
      assert.equal(200, status)
      assert.matches("answer to access%-1\n$", body)
    end
    assert.equal(1, #endpoint:requests())
  end)

  it("has a refused token renewed once for " .. WORKERS .. " workers and " .. CROWD .. " requests",
    function()
      server:stop()
      start(WORKERS)
      ask "/plant?token=refused-1"
      endpoint:behave "token"
      local requests, workers = {}, {}
      for i = 1, CROWD do
        requests[i] = server:begin("/whole", { port = port })
      end
      for _, request in ipairs(requests) do
        local status, body = request:finish()
        assert.equal(200, status)
        assert.matches("answer to access%-1\n$", body)
        workers[body:match "^%d+"] = true
      end
      assert.is_truthy(next(workers, next(workers)))
      assert.equal(1, #endpoint:requests())
    end)

  it("sends the request once more with its method, its query and its whole body", function()
    local body = ("x"):rep(100)
    for _, size in ipairs { 0, 1, 5000 } do -- in memory, and in a file
      ask "/plant?token=refused-1"
      endpoint:behave "token"
      assert.equal(200, (ask("/whole?a=1", { method = "PUT", body = body:rep(size) })))
      local lines = log()
      assert.matches("^PUT /whole%?a=1 refused%-1 " .. 100 * size .. " ", lines[1])
      assert.equal((lines[1]:gsub("refused%-1", "token")), (lines[2]:gsub("access%-%d", "token")))
      assert.equal(2, #lines)
    end
  end)

  it("puts it into a variable that it is told of", function()
    ask "/plant?token=refused-1"
    local _, body = ask("/variable", { headers = { Authorization = "Bearer x" } })
    assert.matches("answer to access%-1\n$", body)
    assert.equal(2, #log())
    assert.matches("answer to access%-1\n$", select(2, ask "/variable"))
    assert.equal(1, #log())
  end)

  it("does not send again what nginx has not kept; the next request has a new token", function()
    ask "/plant?token=refused-1"
    local status, _, headers = ask("/streamed", { method = "POST", body = ("x"):rep(100000) })
    assert.same({ 401, "Bearer" }, { status, headers["www-authenticate"] })
    assert.equal(1, #log())
    assert.equal(200, (ask("/streamed", { method = "POST", body = ("x"):rep(100000) })))
    ask "/plant?token=refused-2"
    assert.equal(200, (ask "/streamed")) -- it has no body
  end)

  it("leaves a 401 to the client that is meant for it", function()
    ask "/plant?token=good"
    for _, challenge in ipairs { "Basic realm=x", 'Bearer error="insufficient_authentication"' } do
      local status, body, headers = ask("/whole?challenge=" .. challenge:gsub(" ", "+"))
      assert.equal(401, status)
      assert.matches("the API's own answer to good\n$", body)
      assert.equal(challenge:match "^%w+", headers["www-authenticate"]:match "^%w+")
    end
    assert.equal(0, #endpoint:requests())
  end)

  it("sends the client no challenge but that of the answer it gets", function()
    for url, challenge in pairs { ["/whole"] = "none", ["/whole?challenge=Bearer"] = "Bearer" } do
      ask "/plant?token=refused-1"
      local _, _, headers = http.request(("http://127.0.0.1:%d%s"):format(server.port, url))
      assert.equal(challenge, headers["www-authenticate"] or "none") -- two would be joined
    end
  end)

  it("makes no loop of a 401 that stays", function()
    ask "/plant?token=good"
    for _ = 1, 5 do
      local status, body = ask "/whole?challenge=Bearer"
      assert.equal(401, status)
      assert.matches("the API's own answer to access%-1\n$", body)
    end
    assert.equal(1, #endpoint:requests())
    assert.equal(10, #log())
  end)

  it("lets nobody in whom nginx has turned away", function()
    local status, body = ask("/closed", { headers = { Authorization = "Bearer x" } })
    assert.equal(401, status)
    assert.is_nil(body:find("the API's own", 1, true))
    assert.same({}, log())
    assert.equal(0, #endpoint:requests())
  end)

  it("answers 503 at once while no token is to be had, and says for how long", function()
    server:announce "upstream: transient"
    endpoint:behave "status/503?retry_after=50"
    for _ = 1, 3 do
      local requests = {}
      for i = 1, 10 do
        requests[i] = server:begin "/whole"
      end
      for _, request in ipairs(requests) do
        local status, _, headers = request:finish()
        assert.equal(503, status)
        assert.is_true(tonumber(headers["retry-after"]) > 10)
      end
    end
    assert.equal(1, #endpoint:requests())
    ask "/plant?token=good" -- by another
    assert.equal(200, (ask "/whole"))
    assert.equal(1, #log())
  end)

  it("answers 503 to a refused token as well", function()
    server:announce "upstream: transient"
    endpoint:behave "status/503?retry_after=50"
    for _ = 1, 3 do
      ask "/plant?token=refused-1" -- and have it looked for
      local status, _, headers = ask "/whole"
      assert.equal(503, status)
      assert.is_true(tonumber(headers["retry-after"]) > 10)
      assert.is_nil(headers["www-authenticate"])
    end
    assert.equal(1, #endpoint:requests())
  end)

  it("goes on with a token that has time left, and does not wait for the provider", function()
    endpoint:behave "silent"
    ask "/plant?token=good&left=30"
    for _ = 1, 20 do
      assert.equal(200, (ask("/whole", { timeout = 9 })))
    end
    process.wait_until("the provider to be asked", function()
      return #endpoint:requests() > 0
    end)
    server:announce "upstream: "
    endpoint:behave "token"
    process.wait_until("a new token", function()
      endpoint:close_connections()
      return select(2, ask "/whole"):find("access", 1, true)
    end)
  end)

  it("keeps the tokens of audiences and scopes apart", function()
    for _ = 1, 2 do
      ask "/plant?token=another" -- and have them look again
      assert.matches("access%-1\n$", select(2, ask "/one"))
      assert.matches("access%-2\n$", select(2, ask "/two"))
      assert.matches("access%-3\n$", select(2, ask "/scoped"))
    end
    local requests = endpoint:requests()
    assert.matches("audience=one", requests[1].body)
    assert.matches("audience=two", requests[2].body)
    assert.matches("scope=read", requests[3].body)
  end)

  it("takes a flow with an account for each user", function()
    ask "/plant?token=refused-ann&user=ann"
    ask "/plant?token=good-bob&user=bob"
    assert.matches("access%-1\n$", select(2, ask "/user?user=ann"))
    assert.matches("good%-bob\n$", select(2, ask "/user?user=bob"))
    server:announce "upstream: reauthorize"
    assert.equal(401, (ask "/user?user=eve"))
    assert.equal(3, #log())
    server:announce "upstream: config"
    endpoint:behave("invalid-client", "token")
    ask "/plant?token=refused-ann&user=ann"
    ask "/plant?token=refused-bob&user=bob"
    assert.equal(500, (ask "/user?user=ann"))
    assert.equal(200, (ask "/user?user=bob")) -- it was the trouble of ann alone
  end)

  it("tells what is missing in nginx.conf or in a call", function()
    for path, words in pairs {
      ["/undefined"] = 'add map "" $undefined { default ""; } in http {}',
      ["/keyless"] = "this flow keeps many accounts (store=); call api:attach(key)",
      ["/dot"] = "attach: call it with a colon",
    } do
      server:announce(words:gsub("%p", "%%%0"))
      assert.equal(500, (ask(path)))
      assert.is_truthy(server:log():find(words, 1, true), path)
    end
    local words = "attach_again() found no token of attach() in the request"
    server:announce(words:gsub("%p", "%%%0"))
    assert.equal(401, (ask "/bare?challenge=Bearer"))
    assert.is_truthy(server:log():find(words, 1, true))
  end)

  it("raises where an option is wrong", function()
    local text = select(2, ask "/raises")
    for line in text:gmatch "[^\n]+" do
      assert.matches("^content_by_lua.*: nginx%.upstream: ", line) -- the caller is to blame
    end
    for _, words in ipairs { "client_id is required", "flow must be one of tokencache.flow",
        "nginx.upstream: give issuer, or provider", "provider: call this preset",
        "with flow, only variable and api_url are options; leave out client_id",
        "no lua_shared_dict none", "unknown option nothing",
        "token_params must map", "api_url is for flows with dpop = true; leave it out",
        "with dpop give api_url, where the API is, as https://api.example.com: proofs name it",
        "with dpop there are two headers; leave out variable",
        "api_url must be like https://api.example.com, with nothing behind it" } do
      assert.is_truthy(text:find(words, 1, true), text)
    end
  end)
end)
