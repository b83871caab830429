-- The short form of what `make soak` does with Redis by sentinels.

local failovers = require "support.failovers"

describe("#once a hundred logins in Redis by sentinels, with replicas = 1,", function()
  it("all live through a failover and a master that is killed", function()
    local report = failovers.run { replicas = 1, count = 2, every = 1, hurry = true }
    assert.is_true(report.renewals > 0)
    assert.same({ 1, 1 }, { report.switches, report.kills })
    if report.longest < 5 then -- else locks may have ended: docs/accounts.md
      assert.equal(0, report.lost, report.said)
    end
  end)
end)
