--- Gateways of one worker to which 1,000 users come in turn, all logged in: tokencache.nginx.login
--- and lua-resty-openidc, sessions in Redis, against gateways that log nobody in.

local folder = require "support.folder"
local gateways = require "bench.gateways"
local login_gateway = require "support.login_gateway"
local oidc_provider = require "support.oidc_provider"
local peer = require "bench.nginx_login.peer"
local process = require "support.process"
local redis_server = require "support.redis_server"
local report = require "bench.report"
local summary = require "bench.summary"
local waiting = require "bench.waiting"

local USERS = 1000
local FEWEST = 5  -- turns: one alone may miss the aim by chance
local TRUSTED = 4 -- seconds that the shared dictionary is: in a turn each session is read once
local WAITING = 8 -- logins whose token request takes long
local AGAIN = { browser = "bench" } -- which the provider knows from the second time on

local OURS = {
  name = "tokencache.nginx.login",
  http = gateways.HTTP .. [[
    lua_shared_dict tokencache 10m;
    init_by_lua_block {
      local tokencache = require "tokencache"
      gateway = tokencache.nginx.login {
        issuer = "$ISSUER",
        public_url = "http://127.0.0.1:$PORT",
        client_id = "$CLIENT_ID",
        client_secret = "$CLIENT_SECRET",
        store = tokencache.store.redis { port = $REDIS },
      }
    }
  ]],
  init_worker = "gateway:init_worker()",
  location = "access_by_lua_block { gateway:require_user() }",
  server = "location /auth/ { content_by_lua_block { gateway:serve() } }",
}

local WITHOUT = {
  name = "a constant, no Lua",
  http = gateways.HTTP,
  location = 'proxy_set_header Authorization "Bearer a-token";',
}

--- KiB: in the worker, which no other has shared a dictionary with, and in Redis.
local function memory(one)
  return gateways.private_memory(one.server),
    one.redis:cli("INFO", "memory"):match("used_memory:(%d+)") / 1024
end

--- Logs users in; `one.arguments` make wrk send their cookies from then on.
local function log_in(one, provider, count, cookies_file)
  local cookies = {}
  for i = 1, count do
    local browser = login_gateway.at(one.server, provider):new_browser()
    browser:get(browser:go_to_provider("/", AGAIN))
    assert(browser:get("/").status == 200)
    cookies[i] = browser:cookie_header()
  end
  one.user = { Cookie = cookies[1] }
  process.write_file(cookies_file, table.concat(cookies, "\n") .. "\n")
  one.arguments = { "-s", "tests/support/rotate_cookies.lua", "--", cookies_file }
end

--- All users, after one has been here so often that nginx has all it needs for one.
local function log_all_in(one, provider, redis, cookies_file)
  one.redis = redis
  log_in(one, provider, 1, cookies_file)
  gateways.take_turns({ one }, 1)
  one.nginx, one.stored = memory(one)
  log_in(one, provider, USERS, cookies_file)
end

--- KiB that the users have added, by now: in nginx, and in Redis.
local function growth(one)
  local nginx, stored = memory(one)
  return nginx - one.nginx, stored - one.stored
end

--- How long the slowest of a hundred requests takes while logins wait for the provider.
local function report_waiting(what, rounds, one, provider, aim)
  local beside, alone = waiting.measure(rounds, function()
    return (one.server:get("/", { headers = one.user }))
  end, {
    begin = function()
      local logins = {}
      for i = 1, WAITING do
        local browser = login_gateway.at(one.server, provider):new_browser()
        local path = browser:go_to_provider("/", AGAIN)
        logins[i] = { path = path, headers = { Cookie = browser:cookie_header() } }
      end
      provider.server:signal("STOP")
      for i, login in ipairs(logins) do
        logins[i] = one.server:begin(login.path, login)
      end
      return logins
    end,
    go_on = function() provider.server:signal("CONT") end,
    check = function(status, body) assert(status == 302 or status == 303, body) end,
  })
  report.ratio(what, beside, alone, aim)
end

return function(rounds)
  local provider = oidc_provider.start { token_lifetime = 86400 }
  local client = provider.clients.confidential
  local dir, redis, peer_redis = folder.new(), redis_server.start(), redis_server.start()
  local settings = { OURS, gateways.constant "a-token", WITHOUT }
  local why
  settings[4], why = peer.settings()
  local all, stop = gateways.start(settings, { ISSUER = provider.url, REDIS = redis.port,
    PEER_REDIS = peer_redis.port, CLIENT_ID = client.client_id,
    CLIENT_SECRET = client.client_secret })
  local ours, constant, without, theirs = all[1], all[2], all[3], all[4]
  log_all_in(ours, provider, redis, dir:file("ours"))
  constant.arguments, without.arguments = ours.arguments, ours.arguments
  if theirs then
    log_all_in(theirs, provider, peer_redis, dir:file("theirs"))
  end
  gateways.take_turns(all, math.max(FEWEST, math.ceil(rounds / 20)), TRUSTED)
  report.rate("nginx, 1,000 users logged in", ours, constant, { least = 0.6 })
  report.rate("", ours, without)
  for _, one in ipairs(all) do
    report.draw("gateway", one.name, ("%.0f"):format(1 / summary.of(one.times).median))
  end
  if theirs then
    report.rate("", ours, theirs, { least = 4 })
    local nginx, stored = growth(ours)
    local their_nginx, their_stored = growth(theirs)
    report.memory("  their memory in nginx", { nginx }, theirs.name, { their_nginx })
    report.memory("  their memory in Redis", { stored }, theirs.name, { their_stored })
  else
    report.missing("  against lua-resty-openidc", why)
  end
  report_waiting("  p99 beside a slow provider", rounds / 20, ours, provider, { most = 2.0 })
  if theirs then
    report_waiting("    of " .. theirs.name, rounds / 20, theirs, provider)
  end
  stop()
  redis:stop()
  peer_redis:stop()
  provider:stop()
  dir:remove()
end
