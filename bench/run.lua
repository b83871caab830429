--- Runs the contests and prints their report.

local core = require "tokencache._core"
local report = require "bench.report"

local HEADER = [[
tokencache bench, %d rounds

The contestants are processes that live side by side and take turns, A B C and then C B A, each turn
some milliseconds of work after an untimed tenth of it (one piece for fetch, start, command and
stampede).
Shown are medians of the rounds, the lowest and highest in brackets, in wall-clock time. A ratio is
the median of the rounds' ratios, not the ratio of the medians. docs/performance.md says more.
]]

local FIGURES = { "memory", "tiered", "handlers", "accounts", "accounts_redis", "file", "save",
  "encrypted", "redis", "nginx_redis", "nginx_waiting", "memcached", "fetch", "signing",
  "sessions", "start", "command", "stampede", "lost_save", "nginx_token", "nginx_accounts",
  "nginx_login" }

local rounds = tonumber(os.getenv("ROUNDS") or 101)
local failed = false
local start = core.monotonic()

print(HEADER:format(rounds))
report.head()
for _, figure in ipairs(#arg > 0 and arg or FIGURES) do
  local ok, message = pcall(function()
    require("bench." .. figure .. ".figure")(rounds)
  end)
  if not ok then
    failed = true
    print(figure .. ": " .. tostring(message))
  end
end
print(("\nin %.0f s"):format(core.monotonic() - start))
os.exit(failed and 1 or 0, true)
