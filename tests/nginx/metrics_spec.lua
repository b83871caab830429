-- tokencache.nginx.metrics: what was counted, as Prometheus reads it.

local json = require "tokencache.json"
local login_gateway = require "support.login_gateway"
local loopback = require "support.loopback"
local nginx = require "support.nginx"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"
local prometheus = require "support.prometheus"

local REQUESTS = 200

local HTTP = [[
  lua_shared_dict tokencache 1m;
  lua_shared_dict tokens 100k;
  lua_shared_dict own 100k;
  init_by_lua_block {
    tokencache = require "tokencache"
    metrics = tokencache.nginx.metrics()
    tokencache.set_observer(function(event)
      ngx.shared.own:incr(event.event, 1, 0)
    end)
    local function new(token_url)
      return tokencache.nginx.upstream { provider = { token_url = token_url }, proxy = "",
        client_id = "$ID", client_secret = "$SECRET", scope = "read" }
    end
    api = new "$URL"
    broken = new "http://127.0.0.1:$NOBODY/token"
    can_save = false
    local unsaved = { get_cached_token = function() end, save_token_to_cache = function()
      if not can_save then
        return nil, "the disk is full"
      end
    end }
    full = tokencache.nginx.upstream { flow = tokencache.flow.client_credentials {
      provider = { token_url = "$URL" }, proxy = "", client_id = "$ID", client_secret = "$SECRET",
      scope = "read", cache = unsaved,
    } }
    observer = require "tokencache.observer"
  }
]]

local SERVER = [[
  listen 127.0.0.1:$SPREAD reuseport;
  location /good {
    access_by_lua_block { api:attach() }
    content_by_lua_block { ngx.say(ngx.var.http_authorization) }
  }
  location /broken {
    access_by_lua_block { broken:attach() }
    content_by_lua_block { ngx.say "never" }
  }
  location /full {
    access_by_lua_block {
      can_save = ngx.var.arg_can_save ~= nil
      full:attach()
    }
    content_by_lua_block { ngx.say "here" }
  }
  location /emit {
    content_by_lua_block {
      local args = ngx.req.get_uri_args()
      for i = 1, tonumber(args.clients or 1) do
        observer.emit(args.event or "hit", { flow = { name = "f",
          client_id = args.client or tostring(i) } }, { seconds = tonumber(args.seconds),
          kind = args.kind })
      end
      ngx.say(#ngx.shared.tokencache:get_keys(0))
    }
  }
  location /own { content_by_lua_block { ngx.say(ngx.shared.own:get(ngx.var.arg_event) or 0) } }
  location = /dot { content_by_lua_block { metrics.serve() } }
  location = /metrics { content_by_lua_block { metrics:serve() } }
]]

describe("tokencache.nginx.metrics", function()
  local provider, server, spread

  setup(function() provider = oidc_provider.start() end)
  teardown(function() provider:stop() end)

  local function start(workers)
    local client = provider.clients.basic
    spread = loopback.free_port()
    server = nginx.start { workers = workers, http = HTTP, server = SERVER,
      values = { URL = provider.token_url, ID = client.client_id, SECRET = client.client_secret,
        SPREAD = tostring(spread), NOBODY = tostring(loopback.refusing_port()) } }
  end

  after_each(function() server:stop() end)

  --- A gateway where people log in, which counts.
  local function start_gateway()
    local gateway = login_gateway.start(provider, nil, {
      init_worker = "metrics = tokencache.nginx.metrics()",
      server = [[
        location /auth/ { content_by_lua_block { gateway:serve() } }
        location = /metrics { content_by_lua_block { metrics:serve() } }
        location / {
          access_by_lua_block { gateway:require_user() }
          proxy_pass http://127.0.0.1:$APPLICATION;
        }]],
    })
    server = gateway.server
    return gateway
  end

  it("are served by a method", function()
    start(1)
    server:announce "serve: call it with a colon"
    assert.equal(500, (server:get "/dot"))
    assert.matches("serve: call it with a colon", server:log(), 1, true)
  end)

  --- The series by what Prometheus calls them, and the whole page.
  local function read()
    local status, text, headers = server:get "/metrics"
    assert.same({ 200, "text/plain; version=0.0.4; charset=utf-8" },
      { status, headers["content-type"] })
    local values, count = {}, 0
    for series, value in text:gmatch "\n(tokencache_[^\n]-) ([^ \n]+)" do
      assert.is_nil(values[series])
      values[series], count = tonumber(value), count + 1
    end
    return values, text, count
  end

  local function of_client(name, more)
    return ('tokencache_%s{flow="client_credentials",client_id="basic"%s}'):format(name,
      more and "," .. more or "")
  end

  local function of_users(name)
    return ('tokencache_%s{flow="authorization_code",client_id="confidential"}'):format(name)
  end

  --- Sends so many requests, twenty at a time, and counts the answers by status.
  local function load(path, count)
    local statuses, requests = {}, {}
    for i = 1, count do
      requests[#requests + 1] = server:begin(path, { port = spread })
      if #requests == 20 or i == count then
        for _, request in ipairs(requests) do
          local status = request:finish()
          statuses[status] = (statuses[status] or 0) + 1
        end
        requests = {}
      end
    end
    return statuses
  end

  it("counts in all workers what the provider and those who ask count, beside an observer",
    function()
      start(3)
      server:announce "upstream: transient"
      local before = provider:counts().client_credentials or 0
      assert.same({ [200] = REQUESTS }, load("/good", REQUESTS))
      assert.same({ [503] = 30 }, load("/broken", 30))
      local values = read()
      local function requests(outcome)
        return values[of_client("requests_total", ('outcome="%s"'):format(outcome))]
      end
      assert.equal(REQUESTS + 30, requests "hit" + requests "miss")
      assert.equal(0, requests "refused")
      local renewed = values[of_client "refresh_duration_seconds_count"]
      assert.equal(1, renewed)
      assert.equal(before + renewed, provider:counts().client_credentials)
      assert.equal(30, values[of_client("failures_total", 'kind="transient"')])
      assert.equal(1, values[of_client "save_duration_seconds_count"])
      for _, event in ipairs { "hit", "miss", "failure" } do
        local own = tonumber((select(2, server:get("/own?event=" .. event))))
        assert.equal(event == "failure" and 30 or requests(event), own)
      end
      local expires = values[of_client "token_expiry_timestamp_seconds"]
      assert.is_true(expires > os.time() + 3000 and expires < os.time() + 3700)
    end)

  it("puts times into buckets, each with those below", function()
    start(1)
    for _, seconds in ipairs { 0, 0.005, 0.3, 0.5, 99 } do
      server:get("/emit?event=wait&seconds=" .. seconds)
    end
    local values = read()
    local function below(seconds)
      return values[('tokencache_lock_wait_duration_seconds_bucket{flow="f",client_id="1",le="%s"}')
        :format(seconds)]
    end
    assert.same({ 2, 2, 4, 4, 5 }, { below "0.005", below "0.25", below "0.5", below "10",
      below "+Inf" })
    assert.is_near(99.805, values['tokencache_lock_wait_duration_seconds_sum{flow="f",'
      .. 'client_id="1"}'], 1e-9)
  end)

  it("tells of tokens that are not saved, and no longer when they are", function()
    start(1)
    server:announce "the token could not be saved"
    assert.equal(200, (server:get "/full"))
    assert.equal(1, read()['tokencache_unsaved_tokens{worker="0"}'])
    assert.is_true(read()[of_client "save_failures_total"] > 0)
    process.wait_until("the token to be saved", function()
      server:get "/full?can_save=1"
      return read()['tokencache_unsaved_tokens{worker="0"}'] == 0
    end)
  end)

  it("counts who logs in and out of a gateway", function()
    local gateway = start_gateway()
    local alice, bob = gateway:new_browser(), gateway:new_browser()
    alice:log_in "alice"
    bob:log_in "bob"
    assert.equal("alice", alice:user())
    alice:post "/auth/logout"
    local values = read()
    assert.same({ 2, 1, 2 }, { values[of_users "logins_total"], values[of_users "log_outs_total"],
      values[of_users "session_uses_total"] })
  end)

  it("takes no more memory, however many clients there are", function()
    start(1)
    server:get "/emit?clients=100"
    local _, _, series = read()
    local keys = select(2, server:get "/emit?clients=100")
    assert.equal(keys, (select(2, server:get "/emit?clients=2000")))
    local values, _, count = read()
    assert.equal(series, count)
    assert.equal(1 + 1 + 1901,
      values['tokencache_requests_total{flow="other",client_id="other",outcome="hit"}'])
  end)

  it("has a page that promtool finds nothing wrong with, whatever clients are called", function()
    if prometheus.missing() then
      pending(prometheus.missing())
    end
    start(1)
    for _, client in ipairs { "a%22b", "a%5Cb", "a%0Ab", "%E2%82%AC", "%FF" } do
      server:get("/emit?client=" .. client)
    end
    server:get "/emit?event=failure&kind=cache"
    local _, text = read()
    assert.is_nil(prometheus.problems(text))
    assert.is_string(prometheus.problems(text .. "x{ 1\n"))
    assert.is_truthy(text:find([[client_id="a\"b"]], 1, true))
  end)

  it("is read by Prometheus, as is the dashboard", function()
    if prometheus.missing() then
      pending(prometheus.missing())
    end
    start(2)
    local before = provider:counts().client_credentials or 0
    local scraper = prometheus.start(server.port)
    finally(function() scraper:stop() end)
    assert.same({ [200] = REQUESTS }, load("/good", REQUESTS))
    process.wait_until("Prometheus to have counted all requests", function()
      return scraper:value "sum(tokencache_requests_total)" == REQUESTS
    end)
    assert.equal(provider:counts().client_credentials - before,
      scraper:value "sum(tokencache_refresh_duration_seconds_count)")
    local dashboard = json.decode(process.read_file "examples/nginx/dashboard.json")
    for _, panel in ipairs(dashboard.panels) do
      for _, target in ipairs(panel.targets) do
        local query = target.expr:gsub("$__rate_interval", "1m"):gsub("$client", ".*")
        process.wait_until(query .. " to have a value", function()
          return scraper:query(query)[1] ~= nil -- a number or NaN
        end)
      end
    end
  end)
end)

describe("tokencache.nginx.metrics in a dictionary that was full", function()
  it("counts on from nothing, under the same names", function()
    local server = nginx.start {
      http = [[
        lua_shared_dict tokencache 64k;
        init_by_lua_block {
          metrics = require("tokencache").nginx.metrics()
          flow = { name = "f", client_id = "c" }
        }
      ]],
      server = [[
        location /hit {
          content_by_lua_block { require("tokencache.observer").emit("hit", { flow = flow }) }
        }
        location /fill {
          content_by_lua_block {
            for i = 1, 2000 do ngx.shared.tokencache:set("other " .. i, ("x"):rep(200)) end
            ngx.shared.tokencache:flush_all()
          }
        }
        location /metrics { content_by_lua_block { metrics:serve() } }
      ]],
    }
    finally(function() server:stop() end)

    local function hits()
      local _, page = server:get "/metrics"
      return page:match 'requests_total{flow="f",client_id="c",outcome="hit"} (%d+)\n'
    end

    for _ = 1, 3 do
      server:get "/hit"
    end
    assert.equal("3", hits())
    server:get "/fill"
    server:get "/hit"
    assert.equal("1", hits())
  end)
end)
