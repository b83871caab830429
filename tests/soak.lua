-- Usage: lua5.4 tests/soak.lua MINUTES
-- Gets, renews and saves tokens without a pause, over a real server and a real file. Memory and
-- descriptors must not grow after the first minute.

local core = require "tokencache._core"
local footprint = require "support.footprint"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"
local tokencache = require "tokencache"

local seconds = (tonumber(arg[1]) or 10) * 60
local allowed_growth = 1024 -- KiB

local server = oidc_provider.start()
local directory = process.temporary_directory()
local clock_ahead = 0

local function new_flow(cache)
  return tokencache.flow.client_credentials {
    provider = { token_url = server.token_url },
    client_id = server.clients.basic.client_id,
    client_secret = server.clients.basic.client_secret,
    cache = cache,
    clock = function() return os.time() + clock_ahead end,
  }
end

local kept = {
  new_flow(tokencache.cache.file { cache_path = directory .. "/kept" }),
  new_flow(tokencache.cache.memory {}),
}

local function round()
  clock_ahead = clock_ahead + 7200
  local flows = { kept[1], kept[2], new_flow(tokencache.cache.memory {}) }
  for _, flow in ipairs(flows) do
    for _ = 1, 100 do
      assert(flow:get_access_token())
    end
  end
end

local start, rounds, settled = core.monotonic(), 0, nil
while core.monotonic() - start < seconds do
  round()
  rounds = rounds + 1
  if not settled and core.monotonic() - start > math.min(60, seconds / 4) then
    settled = { memory = footprint.memory(), descriptors = footprint.descriptors() }
  end
end

local growth = footprint.memory() - settled.memory
local opened = footprint.descriptors() - settled.descriptors
server:stop()
process.remove_directory(directory)
print(("%d rounds of 300 tokens; memory grew by %d KiB, %d descriptors opened")
  :format(rounds, growth, opened))
os.exit(growth <= allowed_growth and opened == 0)
