-- Usage: lua5.4 tests/chaos.lua SECONDS [SEED]
-- Programs with logins over files, Redis, memcached and a shared dictionary of nginx, all at once,
-- that are killed, stopped, and whose clock jumps, at random. The provider takes each refresh token
-- once and has no patience. A login may be lost only where the process that sent its last refresh
-- token was killed, or stopped for longer than a lock or a request lives, before it had saved what
-- came.

local chaos_worker = require "support.chaos_worker"
local core = require "tokencache._core"
local fake_endpoint = require "support.fake_endpoint"
local folder = require "support.folder"
local memcached_server = require "support.memcached_server"
local nginx = require "support.nginx"
local process = require "support.process"
local random_numbers = require "support.random_numbers"
local redis_server = require "support.redis_server"
local tokencache = require "tokencache"

local seconds, seed = tonumber(arg[1]) or 300, tonumber(arg[2]) or os.time() % 1000000 + 1
local random = random_numbers(seed)

local LOGINS, PROCESSES, CLIENTS = 6, 3, 3
local LONG = 9 -- seconds: a stop that outlives a lock or a request
local QUIET = 15 -- seconds at the end, in which all locks of the dead come to their end

local endpoint, dir = fake_endpoint.start(), folder.new()
local redis, memcached = redis_server.start(), memcached_server.start()
endpoint:behave "once?delay=0.1"
local journal, clock_file = dir:file("journal"), dir:file("clock")
process.write_file(journal, "")
dir:shell("mkdir logins")
local clock = 0
process.write_file(clock_file, "0")

local server = nginx.start {
  workers = 2,
  http = [[
    lua_shared_dict tokens 1m;
    lua_shared_dict owed 1m;
    init_by_lua_block {
      tokencache = require "tokencache"
      tokencache.set_logger(false)
      tokencache.nginx.owed = ngx.shared.owed
      store = tokencache.store.shared_dict(ngx.shared.tokens)
    }
  ]],
  init_worker = ([[
    worker = require("support.chaos_worker").new({ journal = %q, clock_file = %q,
      token_url = %q, id = ngx.worker.pid(), skew = ngx.worker.pid() %% 100 }, store)
  ]]):format(journal, clock_file, endpoint:url("token")),
  server = [[
    location /ask { content_by_lua_block { ngx.say(tostring(worker.ask(ngx.var.arg_key))) } }
    location /put {
      content_by_lua_block {
        ngx.req.read_body()
        ngx.say(tostring(ngx.shared.tokens:set(ngx.var.arg_key, ngx.req.get_body_data())))
      }
    }
  ]],
}
server:announce "signal 9"
server:announce "."

-- the logins ------------------------------------------------------------------------------------

local stores = {
  file = ('file { directory = %q }'):format(dir:file("logins")),
  redis = ("redis { port = %d }"):format(redis.port),
  memcached = ("memcached { servers = { %q } }"):format(memcached.address),
}

local function new_store(backend)
  return assert(load("return require('tokencache').store." .. stores[backend]))()
end

---@class ChaosLogin
---@field serial integer
---@field since number
local logins, keys = {}, {} -- by key; by backend
local lost, surprises = 0, {}

--- The login's first refresh token names it: KEY.SERIAL.
local function log_in(backend, key)
  local serial = (logins[key] and logins[key].serial or 0) + 1
  local info = { access_token = "old", refresh_token = key .. "." .. serial, expires_at = 10,
    authorized_at = os.time() + clock, client_id = "a", scope = "" }
  logins[key] = { backend = backend, serial = serial }
  if backend == "nginx" then
    local _, body = server:get("/put?key=" .. key, { method = "POST",
      body = require("tokencache.json").encode(info), timeout = 60 })
    assert(body == "true\n", body)
  else
    local handler = tokencache.cache.from_store(new_store(backend), key, { ttl = 1e6 })
    assert(handler:save_token_to_cache(info))
  end
  logins[key].since = core.monotonic()
end

for _, backend in ipairs { "file", "redis", "memcached", "nginx" } do
  keys[backend] = {}
  for i = 1, LOGINS do
    keys[backend][i] = backend .. i
    log_in(backend, backend .. i)
  end
end

-- the programs ----------------------------------------------------------------------------------

local programs, last_id = {}, 0 -- { child, backend, id }

local function start(backend)
  last_id = last_id + 1
  local names = {}
  for i, key in ipairs(keys[backend]) do
    names[i] = ("%q"):format(key)
  end
  programs[#programs + 1] = { backend = backend, id = last_id, child = process.start(process.lua(([[
    require("support.chaos_worker").run({ journal = %q, clock_file = %q, token_url = %q, id = %d,
      skew = %d }, function() return require("tokencache").store.%s end, { %s })
  ]]):format(journal, clock_file, endpoint:url("token"), last_id, random(200) - 100,
    stores[backend], table.concat(names, ",")))) }
end

for backend in pairs(stores) do
  for _ = 1, PROCESSES do
    start(backend)
  end
end

local clients = {} -- of nginx
for i = 1, CLIENTS do
  clients[i] = process.start(process.lua(([[
    local nginx, socket = require "support.nginx", require "socket"
    math.randomseed(%d)
    while true do
      pcall(function()
        nginx.begin(%d, "/ask?key=nginx" .. math.random(%d), { timeout = 60 }):finish()
      end)
      socket.sleep(0.02)
    end
  ]]):format(i, server.port, LOGINS)))
end

-- the disasters ---------------------------------------------------------------------------------

local kills, stops, jumps = 0, 0, 0
local disasters = {} -- by id: { { at, until_, kind } }
local stopped = {}   -- { pid, id, wakes, disaster }

local function note(id, kind)
  local disaster = { kind = kind, at = core.monotonic() }
  disasters[id] = disasters[id] or {}
  table.insert(disasters[id], disaster)
  return disaster
end

local function is_stopped(pid)
  for _, one in ipairs(stopped) do
    if one.pid == pid then
      return true
    end
  end
end

--- Some process: its id, its pid, and how to put another in its place.
local function victim()
  local i = random(#programs + 2)
  if i <= #programs then
    local program = programs[i]
    return program.id, program.child.pid, function()
      program.child:stop()
      table.remove(programs, i)
      start(program.backend)
    end
  end
  local pids = server:worker_pids()
  local pid = pids[random(#pids)]
  return pid, pid, function() end
end

local function kill()
  local id, pid, replace = victim()
  if pid and not is_stopped(pid) then
    process.run { "kill", "-KILL", tostring(pid) }
    note(id, "killed")
    kills = kills + 1
    replace()
  end
end

local function stop()
  local id, pid = victim()
  if pid and not is_stopped(pid) then
    stops = stops + 1
    local disaster = note(id, "stopped")
    process.run { "kill", "-STOP", tostring(pid) }
    local long = random(3) == 1
    stopped[#stopped + 1] = { pid = pid, disaster = disaster,
      wakes = core.monotonic() + (long and 11 + random(3) or random(20) / 10) }
  end
end

local function wake(all)
  for i = #stopped, 1, -1 do
    local one = stopped[i]
    if all or core.monotonic() >= one.wakes then
      process.run { "kill", "-CONT", tostring(one.pid) }
      one.disaster.until_ = core.monotonic()
      table.remove(stopped, i)
    end
  end
end

local function set_clock(to)
  clock = to
  process.write_file(clock_file .. ".new", tostring(clock))
  assert(os.rename(clock_file .. ".new", clock_file))
end

local function jump()
  jumps = jumps + 1
  set_clock(clock + (random(4) == 1 and -random(9000) or random(9000)))
end

-- the judge -------------------------------------------------------------------------------------

local renewals = 0
local sent, saved = {}, {} -- by login: what was sent last, { id, at, token }; by refresh token
local came = {}            -- by refresh token: what it was renewed to
local read_to = 0

--- Whether a disaster explains that the successor of what was sent is lost.
local function is_explained(last)
  if not last then
    return false
  end
  for _, disaster in ipairs(disasters[last.id] or {}) do
    local ended = disaster.until_ or core.monotonic()
    if disaster.kind == "killed" and disaster.at >= last.at
      or disaster.kind == "stopped" and ended >= last.at and ended - disaster.at >= LONG then
      local successor = came[last.token]
      return not (successor and saved[successor])
    end
  end
  return false
end

local words = {}

function words.sent(at, id, token)
  local login = token:match("^[^~]*")
  if not (sent[login] and sent[login].token == token) then -- whoever sends it first has it
    sent[login] = { id = id, at = at, token = token }
  end
end

function words.came(_, _, token, new)
  if new:find "~" then
    came[token], renewals = new, renewals + 1
  end
end

function words.saved(_, _, token)
  saved[token] = true
end

function words.lost(at, id, key, began)
  local login = logins[key]
  if tonumber(began) <= login.since then
    return -- the one before
  end
  local name = key .. "." .. login.serial
  lost = lost + 1
  if not is_explained(sent[name]) then
    local last = sent[name] or {}
    surprises[#surprises + 1] = ("%s lost at %.3f by %d, without a reason: %s was sent at %s by %s")
      :format(name, at, id, tostring(last.token), tostring(last.at), tostring(last.id))
  end
  log_in(login.backend, key)
end

local function read_journal()
  local file = assert(io.open(journal))
  file:seek("set", read_to)
  local text = file:read("*a")
  file:close()
  text = text:match("^.*\n") or ""
  read_to = read_to + #text
  for at, id, word, rest in text:gmatch("(%S+) (%d+) (%a+) ([^\n]*)\n") do
    local first, second = rest:match("^(%S+) ?(.*)$")
    words[word](tonumber(at), math.tointeger(tonumber(id)), first, second)
  end
end

-- all of it -------------------------------------------------------------------------------------

local function run(until_, chaos)
  local socket = require "socket"
  while core.monotonic() < until_ do
    wake()
    read_journal()
    if chaos then
      local draw = random(20)
      if draw == 1 then
        kill()
      elseif draw <= 3 then
        stop()
      elseif draw <= 7 then
        jump()
      end
    end
    socket.sleep(0.05)
  end
end

run(core.monotonic() + seconds, true)
wake(true)
run(core.monotonic() + QUIET)
set_clock(clock + 20000)
run(core.monotonic() + 2)

--- When all is quiet each login works, or is known to be lost.
set_clock(clock + 20000)
local works = 0
for backend, names in pairs(keys) do
  for _, key in ipairs(names) do
    local before = lost
    local token, err
    if backend == "nginx" then
      token = select(2, server:get("/ask?key=" .. key, { timeout = 60 })):match("^access")
    else
      token, err = chaos_worker.new({ journal = journal, clock_file = clock_file, id = 0, skew = 0,
        token_url = endpoint:url("token") }, new_store(backend)).ask(key)
    end
    read_journal()
    if token then
      works = works + 1
    elseif lost == before then -- else the judge has heard of it
      surprises[#surprises + 1] = key .. " does not work at the end: " .. tostring(err)
    end
  end
end

for _, program in ipairs(programs) do
  program.child:stop()
end
for _, client in ipairs(clients) do
  client:stop()
end
server:stop()
endpoint:stop()
redis:stop()
memcached:stop()
if #surprises == 0 then
  dir:remove()
else
  print("the journal is " .. journal)
end
for _, surprise in ipairs(surprises) do
  print(surprise)
end
print(("seed %d: %d renewals, %d kills, %d stops, %d jumps of the clock; %d logins lost, %d "
  .. "surprises; %d logins work at the end"):format(seed, renewals, kills, stops, jumps, lost,
  #surprises, works))
os.exit(#surprises == 0 and renewals > 0)
