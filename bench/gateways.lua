--- Gateways of one worker that take turns: requests answered for a second of the worker's processor
--- time.

local folder = require "support.folder"
local nginx = require "support.nginx"
local process = require "support.process"
local merge = require("tokencache.util.options").merge
local wrk = require "bench.wrk"

local gateways = {}

---@class GatewaySettings
---@field name string      for the report
---@field http string      of nginx.conf, with gateways.HTTP in it
---@field location string  what attaches the token
---@field server? string   other locations
---@field init_worker? string  Lua

---@class Gateway: Contestant
---@field server Nginx
---@field memory number[]    KiB by round
---@field arguments string[]  more of wrk's, for its turns

local BACK = [[
  location /token {
    content_by_lua_block { ngx.print('{"access_token":"a-token","expires_in":86400}') }
  }
  location / { return 200 "here\n"; }
]]

--- What all have.
gateways.HTTP = [[
  keepalive_requests 1000000000;
  upstream back { server 127.0.0.1:$BACK; keepalive 64; keepalive_requests 1000000000; }
  proxy_http_version 1.1;
]]

--- Attaches a constant, and yet in Lua.
---@param token string
---@return GatewaySettings
function gateways.constant(token)
  return {
    name = "a constant, access_by_lua",
    http = gateways.HTTP,
    location = ([[
      access_by_lua_block { ngx.req.set_header("Authorization", "Bearer %s") }
    ]]):format(token),
  }
end

local function start(settings, values)
  return nginx.start {
    http = settings.http,
    init_worker = settings.init_worker,
    server = 'location / { proxy_pass http://back; proxy_set_header Connection ""; '
      .. settings.location .. "}" .. (settings.server or ""),
    values = values,
  }
end

--- What the only worker shares with no other process.
---@param server Nginx
---@return number  KiB
function gateways.private_memory(server)
  local sums = process.read_file("/proc/" .. server:worker_pids()[1] .. "/smaps_rollup")
  return tonumber(sums:match("Private_Clean:%s+(%d+)"))
    + tonumber(sums:match("Private_Dirty:%s+(%d+)"))
end

--- Seconds of processor time that the only worker has had, its threads included.
local function processor_time(server)
  local tasks = "/proc/" .. server:worker_pids()[1] .. "/task/*/schedstat"
  local _, lines = process.run { "sh", "-c", "cat " .. tasks }
  local sum = 0
  for nanoseconds in lines:gmatch("(%d+) %d+ %d+\n") do
    sum = sum + tonumber(nanoseconds)
  end
  return sum / 1e9
end

local function take_turn(one, round, seconds)
  local before = processor_time(one.server)
  local requests = wrk.finish(wrk.start(("http://127.0.0.1:%d/"):format(one.server.port), 32,
    one.arguments, seconds))
  one.times[round] = (processor_time(one.server) - before) / requests
  one.memory[round] = gateways.private_memory(one.server)
end

--- One after the other, one round in their order, the next in the reverse, as in bench.contest; and
--- in the workers' processor time, for which there is no better or worse share of it.
---@param contestants Gateway[]
---@param rounds integer
---@param seconds? integer  that a turn takes; default 1
function gateways.take_turns(contestants, rounds, seconds)
  for round = 0, rounds do -- the first one does not count
    for position = 1, #contestants do
      take_turn(contestants[round % 2 == 1 and position or #contestants + 1 - position], round,
        seconds)
    end
  end
end

---@param all_settings GatewaySettings[]
---@param values? table<string, any>  of the settings' own $NAMEs
---@return Gateway[]    in the order of the settings
---@return fun() stop
function gateways.start(all_settings, values)
  local back = nginx.start { http = "keepalive_requests 1000000000;", server = BACK }
  local contestants, directories = {}, {}
  for i, settings in ipairs(all_settings) do
    directories[i] = folder.new()
    contestants[i] = { name = settings.name, times = {}, memory = {}, arguments = {},
      server = start(settings, merge({ BACK = back.port, FILE = directories[i]:file("token.json") },
        values or {})) }
  end
  for _, one in ipairs(contestants) do
    process.wait_until("a worker", function() return one.server:worker_pids()[1] end)
  end
  return contestants, function()
    for i, one in ipairs(contestants) do
      one.server:stop()
      directories[i]:remove()
    end
    back:stop()
  end
end

---@param rounds integer  a fifth of these are enough
---@param all_settings GatewaySettings[]
---@param values? table<string, any>
---@return Gateway[]
function gateways.measure(rounds, all_settings, values)
  local contestants, stop = gateways.start(all_settings, values)
  gateways.take_turns(contestants, math.ceil(rounds / 5))
  stop()
  return contestants
end

return gateways
