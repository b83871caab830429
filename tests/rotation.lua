-- Usage: lua tests/rotation.lua REFRESHES [SEED]
-- The long form of tests/spec/rotation_spec.lua.

local rotation = require "support.rotation"

local refreshes, seed = ...
local report = rotation.run {
  refreshes = tonumber(refreshes),
  seed = tonumber(seed) or os.time() % 1000000 + 1,
}
print(rotation.describe(report))
for _, surprise in ipairs(report.surprises) do
  print(surprise)
end
os.exit(report.otherwise == 0 and #report.surprises == 0 and 0 or 1)
