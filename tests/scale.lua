--- scale.lua ACCOUNTS SECONDS: a cluster of three masters on this machine with so many logins. In
--- each second a hundred are renewed at a provider within this process, and a thousand others are
--- read at random. Within 20 % the counts and bytes must be those of docs/scale.md, and the times
--- what renewals and reads took by themselves before. Prints TAP.

local core = require "tokencache._core"
local random_numbers = require "support.random_numbers"
local redis_cluster = require "support.redis_cluster"
local tokencache = require "tokencache"

local ACCOUNTS, SECONDS = tonumber(arg[1]), tonumber(arg[2])
local SEED = 1
local TURNS = 10 -- in a second
local RENEWALS, READS = 10, 100 -- in a turn

--- docs/scale.md has these.
local MODEL = { entry = 1000, in_worker = 1700, login = 5, renewal = 7, get = 1 }

local failures, checks = 0, 0

local function check(what, found, expected)
  local is_right = found > expected * 0.8 and found < expected * 1.2
  checks, failures = checks + 1, failures + (is_right and 0 or 1)
  print(("%sok %d - %s: %.4g, where %.4g are expected"):format(is_right and "" or "not ", checks,
    what, found, expected))
end

local group = redis_cluster.start()
local store = tokencache.store.redis(group:options())

local masters = {}
for _, server in ipairs(group.servers) do
  masters[#masters + 1] = server:cli("ROLE"):find "^master" and server or nil
end

--- A figure of INFO's, over all masters.
local function sum(section, name)
  local total = 0
  for _, server in ipairs(masters) do
    total = total + tonumber(server:cli("INFO", section):match(name .. ":([%d.]+)"))
  end
  return total
end

local function processor_time()
  return sum("cpu", "used_cpu_user") + sum("cpu", "used_cpu_sys")
end

local trips, requests, now = 0, 0, os.time()
do
  local call = store.call
  function store.call(...)
    trips = trips + 1
    return call(...)
  end
end

--- An access token of 600 bytes, and a refresh token of 120.
local function answer()
  requests = requests + 1
  return { status = 200, body = ('{"access_token":"%s%010d","refresh_token":"%s%010d",'
    .. '"token_type":"Bearer","expires_in":3600,"scope":"read"}'):format(("a"):rep(590), requests,
    ("r"):rep(110), requests) }
end

local flow = tokencache.flow.authorization_code {
  provider = { authorize_url = "https://provider/authorize", token_url = "https://provider/token" },
  client_id = "client", client_secret = "secret", redirect_uri = "http://127.0.0.1:1/",
  scope = "read", store = store, authorize = false, clock = function() return now end,
  http = { request = answer },
}

local function account(i)
  return flow:account { "users", tostring(i) }
end

local function get(i)
  return assert(account(i):get_access_token())
end

local function log_in(i)
  local url, pending = flow:get_authorize_url()
  local state = url:match "state=([^&]+)"
  assert(account(i):exchange("http://127.0.0.1:1/?code=c&state=" .. state, pending))
end

--- Calls it `count` times; returns the round trips of each, and the seconds of processors that it
--- took here and in Redis.
local function measure(count, call)
  local before, clock, servers = trips, os.clock(), processor_time()
  for i = 1, count do
    call(i)
  end
  local here, there = os.clock() - clock, processor_time() - servers
  return (trips - before) / count, here / count, there / count
end

-- each operation by itself ------------------------------------------------------------------------

log_in(0)
local entry = store:get "users:0"
local login_trips = measure(1000, log_in)

local COSTS = "# %s takes %.0f us of a processor here, and %.0f us in Redis"

local function told(what, count, call)
  local each, here, there = measure(count, call)
  print(COSTS:format(what, here * 1e6, there * 1e6))
  return each
end
local get_trips = told("a get of an account that is remembered", 2000, function(i)
  get(i % 1000 + 1)
end)
now = now + 4000
local renewal_trips = told("a renewal", 1000, get)
check("round trips of a login", login_trips, MODEL.login)
check("round trips of a get", get_trips, MODEL.get)
check("round trips of a renewal", renewal_trips, MODEL.renewal)

-- many accounts -----------------------------------------------------------------------------------

local memory = sum("memory", "used_memory")
local LIFE = 100000000 -- seconds, as they are not to be renewed
local fresh = entry:gsub('"expires_at":%d+', '"expires_at":' .. now + LIFE)
  :gsub('"expires_in":%d+', '"expires_in":' .. LIFE)
for i = 1001, ACCOUNTS do
  assert(store:set("users:" .. i, fresh))
end
check(("bytes of memory in Redis for an entry of %d bytes"):format(#entry),
  (sum("memory", "used_memory") - memory) / (ACCOUNTS - 1000), MODEL.entry)

collectgarbage()
collectgarbage()
local kilobytes, some = collectgarbage "count", math.min(5000, ACCOUNTS - 1000)
for i = 1001, 1000 + some do
  get(i)
end
collectgarbage()
collectgarbage()
check("bytes in a worker for an account in use", (collectgarbage "count" - kilobytes) * 1024 / some,
  MODEL.in_worker)

-- the trial ---------------------------------------------------------------------------------------

local random = random_numbers(SEED)

local function get_any()
  get(1000 + random(ACCOUNTS - 1000))
end

local renewed, read, took

--- Turns of so many renewals and reads; returns the seconds of processors that one takes, here and
--- in Redis.
local function take_turns(count, renewals, reads)
  local clock, servers, began = os.clock(), processor_time(), core.monotonic()
  renewed, read, took = 0, 0, {}
  for turn = 1, count do
    now = now + 4000 -- the tokens of those that are renewed have ended
    for _ = 1, renewals do
      renewed = renewed + 1
      get(renewed % 1000 + 1)
    end
    for _ = 1, reads do
      read = read + 1
      local start = core.monotonic()
      get_any()
      took[read] = core.monotonic() - start
    end
    core.sleep(math.max(began + turn / TURNS - core.monotonic(), 0))
  end
  return (os.clock() - clock) / count, (processor_time() - servers) / count
end

measure(10000, get_any) -- so many are remembered
local idle_here, idle_there = take_turns(100, 0, 0)

local function told_turns(what, renewals, reads)
  local here, there = take_turns(100, renewals, reads)
  local each = 1e6 / (renewals + reads)
  print(COSTS:format(what, (here - idle_here) * each, (there - idle_there) * each))
  return here - idle_here, there - idle_there
end

local get_here, get_there = told_turns("a get of any account", 0, READS)
local renewal_here, renewal_there = told_turns("a renewal of one not remembered", RENEWALS, 0)
local before, sent, began = trips, requests, core.monotonic()
local here, there = take_turns(SECONDS * TURNS, RENEWALS, READS)
check("renewals a second", renewed / (core.monotonic() - began), RENEWALS * TURNS)
check("requests to the provider", requests - sent, renewed)
check("round trips in all", trips - before, renewed * MODEL.renewal + read * MODEL.get)
check("seconds of a processor here, each second", here * TURNS,
  (idle_here + renewal_here + get_here) * TURNS)
check("seconds of processors in Redis, each second", there * TURNS,
  (idle_there + renewal_there + get_there) * TURNS)
table.sort(took)
print(("# half of the gets took %.2f ms at the most, and 999 of 1,000 %.1f ms"):format(
  took[math.ceil(read / 2)] * 1e3, took[math.ceil(read * 0.999)] * 1e3))
print("1.." .. checks)

group:stop()
os.exit(failures == 0 and 0 or 1)
