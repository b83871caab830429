--- Logins in a Redis that fails over again and again, in the hands of several processes. Each login
--- is renewed every second, at a provider that takes a refresh token once.
---
---     local report = failovers.run { replicas = 1, count = 30, every = 20 }

local core = require "tokencache._core"
local fake_endpoint = require "support.fake_endpoint"
local folder = require "support.folder"
local process = require "support.process"
local redis_sentinels = require "support.redis_sentinels"
local tokencache = require "tokencache"

local failovers = {}

local LOGINS, PROCESSES = 100, 4

---@class FailoverReport
---@field switches integer  SENTINEL FAILOVER
---@field kills integer     of the master
---@field renewals integer
---@field failed integer   calls that ended with an error; the login goes on
---@field lost integer      logins whose users would have to log in again
---@field said string       which, and why
---@field longest number    seconds without a master; after more than 10 a lock has ended

--- A program: asks for all logins in turn until the file is there, and prints what came of it. A
--- login that is lost is begun anew by one of the programs. A second is an hour by its clock.
---@param orders { sentinels: string[], replicas: integer, token_url: string, start: integer,
---   number: integer, stop: string }
function failovers.work(orders)
  local renewals, failed, lost = 0, 0, 0
  local transport = require("tokencache.transport.curl").new { proxy = "" }
  local store = tokencache.store.redis { sentinels = orders.sentinels, replicas = orders.replicas,
    master = redis_sentinels.NAME, connect_timeout = 15 }
  local flow = tokencache.flow.authorization_code {
    provider = { authorize_url = orders.token_url, token_url = orders.token_url },
    client_id = "a", client_secret = "b", redirect_uri = "http://127.0.0.1:1/", authorize = false,
    store = store, timeout = 30,
    clock = function() return orders.start + 3600 * (os.time() - orders.start) end,
    http = { heartbeats = true, request = function(_, request)
      local response, err = transport:request(request)
      renewals = renewals + (response and response.status == 200 and 1 or 0)
      return response, err
    end },
  }
  tokencache.set_logger(false)

  local function log_in(key)
    return tokencache.cache.from_store(store, key):save_token_to_cache { access_token = "old",
      refresh_token = key .. "." .. lost, expires_at = 1, client_id = "a", scope = "" }
  end

  local function ask(i)
    local key, is_mine = "login" .. i, i % PROCESSES == orders.number
    local token, err = flow:account(key):get_access_token()
    if token then
      return
    elseif err.kind ~= "reauthorize" then
      failed = failed + 1
    elseif is_mine and log_in(key) then
      lost = lost + 1
      print(key .. ": " .. tostring(err))
    end
  end

  for i = orders.number, LOGINS - 1, PROCESSES do
    assert(log_in("login" .. i))
  end
  print "ready"
  repeat
    local second = os.time()
    for i = 1, LOGINS do
      ask((i + orders.number) % LOGINS)
    end
    while os.time() == second do
      core.sleep(0.02)
    end
  until process.read_file(orders.stop)
  print(("renewals %d, failed %d, lost %d"):format(renewals, failed, lost))
end

local function start(orders)
  return process.start(process.lua(([[require("support.failovers").work {
    sentinels = { %q, %q, %q }, replicas = %d, token_url = %q, start = %d, number = %d, stop = %q }
  ]]):format(orders.sentinels[1], orders.sentinels[2], orders.sentinels[3], orders.replicas,
    orders.token_url, orders.start, orders.number, orders.stop)))
end

local function wait_for(children, words)
  for _, child in ipairs(children) do
    process.wait_until(words, function()
      assert(child:is_running() or child:output():find(words), child:output())
      return child:output():find(words)
    end, 120)
  end
end

--- A server that was killed comes back empty, and the sentinels make a replica of it, as of one
--- that they have replaced; which takes them ten seconds, and `hurry` none.
local function fail_over(group, is_kill, hurry)
  local before, began = group:master(), core.monotonic()
  if is_kill then
    before:kill()
    process.wait_until("a failover", function() return group:master() ~= before end, 60)
  else
    group:switch()
  end
  local took = core.monotonic() - began
  if is_kill then
    before:restart()
  end
  if hurry then
    before:cli("REPLICAOF", "127.0.0.1", group:master().port)
  end
  group:wait_until_ready() -- sentinels would make a master of a server that is still empty
  return took
end

--- By turns a SENTINEL FAILOVER and the death of the master.
---@param settings { replicas: integer, count: integer, every: number, hurry?: boolean }
---@return FailoverReport
function failovers.run(settings)
  local group, endpoint, directory = redis_sentinels.start(), fake_endpoint.start(), folder.new()
  endpoint:behave "once"
  local children = {}
  local report = { switches = 0, kills = 0, renewals = 0, failed = 0, lost = 0, said = "",
    longest = 0 }
  for i = 1, PROCESSES do
    children[i] = start { sentinels = group:options().sentinels, replicas = settings.replicas,
      token_url = endpoint:url("token"), start = os.time(), number = i - 1,
      stop = directory:file "stop" }
  end
  wait_for(children, "ready")
  local began = core.monotonic()
  for i = 1, settings.count do
    core.sleep(math.max(0, began + i * settings.every - core.monotonic()))
    local is_kill = i % 2 == 0
    report.longest = math.max(report.longest, fail_over(group, is_kill, settings.hurry))
    local which = is_kill and "kills" or "switches"
    report[which] = report[which] + 1
  end
  process.write_file(directory:file "stop", "")
  wait_for(children, "renewals")
  for _, child in ipairs(children) do
    local said, counts = child:output():match "^ready\n(.*)(renewals .*)$"
    report.said = report.said .. said
    for name, number in counts:gmatch "(%a+) (%d+)" do
      report[name] = report[name] + tonumber(number)
    end
    child:stop()
  end
  group:stop()
  endpoint:stop()
  directory:remove()
  return report
end

return failovers
