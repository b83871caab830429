--- A gateway of one worker that attaches a token from two tiers, a shared dictionary in front,
--- against the same gateway without tokencache: in set_by_lua, as docs/nginx.md has it, and all in
--- access_by_lua.

local folder = require "support.folder"
local nginx = require "support.nginx"
local process = require "support.process"
local report = require "bench.report"
local wrk = require "bench.nginx_token.wrk"

local BACK = [[
  location /token {
    content_by_lua_block { ngx.print('{"access_token":"a-token","expires_in":86400}') }
  }
  location / { return 200 "here\n"; }
]]

local HTTP = [[
  keepalive_requests 1000000000;
  upstream back { server 127.0.0.1:$BACK; keepalive 64; keepalive_requests 1000000000; }
  proxy_http_version 1.1;
]]

local FLOW = HTTP .. [[
  lua_shared_dict tokens 1m;
  lua_worker_thread_vm_pool_size 4;
  init_by_lua_block {
    local tokencache = require "tokencache"
    local cache = tokencache.cache
    flow = tokencache.flow.client_credentials {
      provider = { token_url = "http://127.0.0.1:$BACK/token" }, client_id = "bench",
      client_secret = "bench", proxy = "",
      cache = cache.tiered {
        front = cache.from_store(
          tokencache.store.shared_dict(ngx.shared.tokens, { evict = true }), "bench"),
        back = cache.file { cache_path = "$FILE" },
      },
    }
    function get_token()
      local token, err = flow:get_access_token()
      if not token then
        ngx.log(ngx.ERR, err.kind, ": ", err)
        return ngx.exit(500)
      end
      return token
    end
  }
]]

local IN_SET = {
  name = "token, set_by_lua",
  http = FLOW,
  location = [[
    set_by_lua_block $access_token { return (flow:peek_access_token()) }
    if ($access_token = "") {
      access_by_lua_block { ngx.var.access_token = get_token() }
    }
    proxy_set_header Authorization "Bearer $access_token";
  ]],
}

local IN_ACCESS = {
  name = "token, access_by_lua",
  http = FLOW,
  location = [[
    access_by_lua_block { ngx.req.set_header("Authorization", "Bearer " .. get_token()) }
  ]],
}

local WITHOUT = {
  name = "a constant, no Lua",
  http = HTTP,
  location = 'proxy_set_header Authorization "Bearer a-token";',
}

local CONSTANT = {
  name = "a constant, access_by_lua",
  http = HTTP,
  location = [[
    access_by_lua_block { ngx.req.set_header("Authorization", "Bearer a-token") }
  ]],
}

local function start(settings, values)
  return nginx.start {
    http = settings.http,
    server = 'location / { proxy_pass http://back; proxy_set_header Connection ""; '
      .. settings.location .. "}",
    values = values,
  }
end

--- What the only worker shares with no other process, in KiB.
local function private_memory(server)
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

--- One after the other, one round in their order, the next in the reverse, as in bench.contest; and
--- in the workers' processor time, for which there is no better or worse share of it.
local function take_turns(contestants, round)
  for position = 1, #contestants do
    local one = contestants[round % 2 == 1 and position or #contestants + 1 - position]
    local before = processor_time(one.server)
    local requests = wrk.finish(wrk.start(("http://127.0.0.1:%d/"):format(one.server.port), 32))
    one.times[round] = (processor_time(one.server) - before) / requests
    one.memory[round] = private_memory(one.server)
  end
end

local function await_workers(contestants)
  for _, one in ipairs(contestants) do
    process.wait_until("a worker", function() return one.server:worker_pids()[1] end)
  end
end

--- The contestants in the order of the settings.
local function gateways(rounds, all_settings)
  local back = nginx.start { http = "keepalive_requests 1000000000;", server = BACK }
  local contestants, directories = {}, {}
  for i, settings in ipairs(all_settings) do
    directories[i] = folder.new()
    contestants[i] = { name = settings.name, times = {}, memory = {}, server = start(settings,
      { BACK = back.port, FILE = directories[i]:file("token.json") }) }
  end
  await_workers(contestants)
  for round = 0, math.ceil(rounds / 5) do -- the first one does not count
    take_turns(contestants, round)
  end
  for i, one in ipairs(contestants) do
    one.server:stop()
    directories[i]:remove()
  end
  back:stop()
  return contestants
end

return function(rounds)
  local all = gateways(rounds, { IN_SET, WITHOUT, IN_ACCESS, CONSTANT })
  local in_set, without, in_access, constant = all[1], all[2], all[3], all[4]
  report.rate("nginx, " .. in_set.name, in_set, without, { wished = 0.95, least = 0.9 })
  report.rate("", in_set, constant)
  report.rate("nginx, " .. in_access.name, in_access, without)
  report.rate("", in_access, constant)
  report.difference("nginx, memory of a worker", "MB", in_set.memory, without.name, without.memory)
end
