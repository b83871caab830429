--- Processes that want a token of one cache at the same instant, which holds an expired login: from
--- then until the last of them has its token. Arguments: how many, the cache file ("" for memory,
--- which they do not share), the token endpoint, a directory.

local clock = require("tokencache._core").monotonic
local sleep = require("tokencache._core").sleep
local tokencache = require "tokencache"
local unix = require "support.unix"

require "tokencache._http"
require "tokencache.json"

local count, path, token_url, directory = tonumber(arg[1]), arg[2], arg[3], arg[4]
local ready, gate = directory .. "/ready" .. count, directory .. "/gate" .. count
assert(os.execute("mkfifo " .. gate))

local function new_cache()
  return path == "" and tokencache.cache.memory() or tokencache.cache.file { cache_path = path }
end

local function new_flow(cache)
  return tokencache.flow.authorization_code {
    provider = { token_url = token_url, authorize_url = token_url },
    client_id = "client",
    client_secret = "secret",
    redirect_uri = "http://127.0.0.1/callback",
    authorize = false,
    cache = cache,
  }
end

local function expire(cache)
  assert(cache:save_token_to_cache { access_token = "old", refresh_token = "refresh",
    expires_at = os.time() - 60 })
  return cache
end

local function take_part()
  local cache = new_cache()
  local flow = new_flow(path == "" and expire(cache) or cache)
  local file = assert(io.open(ready, "a"))
  file:write(".")
  file:close()
  assert(io.open(gate, "r")):close() -- waits until it is opened at the other end
  unix.exit(flow:get_access_token() and 0 or 1)
end

local function size_of(file)
  local size = file:seek("end")
  return size
end

local function once()
  local pids, file = {}, assert(io.open(ready, "w"))
  if path ~= "" then
    expire(new_cache())
  end
  for i = 1, count do
    pids[i] = unix.fork()
    if pids[i] == 0 then
      take_part()
    end
  end
  while size_of(file) < count do
    sleep(0.001)
  end
  file:close()
  local start = clock()
  local opened = assert(io.open(gate, "w"))
  for _, pid in ipairs(pids) do
    assert(unix.wait(pid) == 0, "one got no token")
  end
  local seconds = clock() - start
  opened:close()
  return seconds
end

require "bench.contestant"(function(times)
  local seconds = 0
  for _ = 1, times do
    seconds = seconds + once()
  end
  return seconds
end)
