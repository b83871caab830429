-- Usage: lua5.4 tests/failovers.lua COUNT
-- The long form of tests/spec/redis_failovers_spec.lua: so many failovers, 20 seconds each, with
-- `replicas = 1` and without. With it no login may be lost.

local failovers = require "support.failovers"

local count, failed = tonumber(arg[1]) or 30, false
for _, replicas in ipairs { 1, 0 } do
  local report = failovers.run { replicas = replicas, count = count, every = 20 }
  print(("replicas = %d: %d SENTINEL FAILOVER and %d masters killed, at the most %.1f s without; "
    .. "%d renewals, %d calls failed, %d logins lost"):format(replicas, report.switches,
    report.kills, report.longest, report.renewals, report.failed, report.lost))
  io.write(replicas == 1 and report.said or "")
  failed = failed or replicas == 1 and report.lost > 0 or report.renewals == 0
end
os.exit(not failed)
