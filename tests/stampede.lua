-- Usage: lua tests/stampede.lua ROUNDS [PROCESSES]
-- The long form of tests/spec/stampede_spec.lua.

local oidc_provider = require "support.oidc_provider"
local shared_caches = require "support.shared_caches"
local stampede = require "support.stampede"

local rounds, processes = tonumber((...)), tonumber((select(2, ...))) or 64
local server, shared = oidc_provider.start(), shared_caches.start()
local failed = false

for _, cache in ipairs(shared.list) do
  local report = stampede.rounds(server, cache, { rounds = rounds, processes = processes })
  local refreshes, surprises = 0, 0
  for round = 1, rounds do
    refreshes = refreshes + report.refreshes[round]
    for line, count in pairs(report.results[round]) do
      if line ~= "token " .. report.tokens[round] then
        print(cache.name, round, count, line)
        surprises = surprises + count
      elseif count ~= processes then
        surprises = surprises + processes - count
      end
    end
  end
  local good = refreshes == rounds and surprises == 0 and report.active == rounds
  failed = failed or not good
  print(("%s %s: %d rounds of %d processes: %d refreshes, %d tokens good, %d surprises"):format(
    good and "ok" or "NOT OK", cache.name, rounds, processes, refreshes, report.active, surprises))
end
server:stop()
shared:stop()
os.exit(not failed)
