-- Fetches a token, keeps it in a file, and renews it when its time has come. The provider is
-- Spotify, with SPOTIPY_CLIENT_ID and SPOTIPY_CLIENT_SECRET set, or whoever TOKEN_URL names, with
-- CLIENT_ID and CLIENT_SECRET.
local tokencache = require "tokencache"
local monotonic = require("tokencache.io.blocking").monotonic -- seconds

local token_url, cache_path = os.getenv "TOKEN_URL", os.getenv "CACHE_PATH" or ".cache"

local function new_flow(clock)
  return tokencache.flow.client_credentials {
    provider = token_url and { token_url = token_url } or tokencache.provider.spotify,
    client_id = os.getenv "CLIENT_ID",
    client_secret = os.getenv "CLIENT_SECRET",
    cache = tokencache.cache.file { cache_path = cache_path },
    clock = clock,
  }
end

local function show(what, flow)
  local start = monotonic()
  local token = assert(flow:get_access_token())
  local seconds = monotonic() - start
  local took = seconds < 0.001 and ("%5.0f µs"):format(seconds * 1e6)
    or ("%5.1f ms"):format(seconds * 1e3)
  print(("%-34s %s…  %s"):format(what, token:sub(1, 8), took))
end

if arg[1] == "again" then
  return show("a new process, the same file", new_flow())
end
show("fetched from the provider", new_flow())
show("the same token, from the file", new_flow())
os.execute(arg[-1] .. " " .. arg[0] .. " again")
show("two hours on: expired, so renewed", new_flow(function() return os.time() + 7200 end))
print("the file's mode is " .. io.popen("stat -c %a '" .. cache_path .. "'"):read())
