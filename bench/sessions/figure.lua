--- What it costs to open a session: the cookie is verified, and its token there; against the
--- frameworks themselves.

local contest = require "bench.contest"
local lua = require "bench.lua_command"
local report = require "bench.report"

return function(rounds)
  for _, framework in ipairs { "flask", "django" } do
    local contestants = {}
    for _, interpreter in ipairs(lua.interpreters) do
      contestants[#contestants + 1] =
        contest.enter(interpreter, lua.run(interpreter, "bench/sessions/open.lua", framework))
    end
    local python = contest.enter("Python", "/usr/bin/python3 bench/sessions/open.py " .. framework)
    contestants[#contestants + 1] = python
    contest.run(contestants, { rounds = rounds, seconds = 0.005 })
    for i, interpreter in ipairs(lua.interpreters) do
      report.ratio("session of " .. framework .. ", " .. interpreter, contestants[i], python,
        { most = 0.2 })
    end
  end
end
