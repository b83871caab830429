--- What a client signs, against libcrypto's bare signature; and a token that was exchanged, against
--- that of any account.

local contest = require "bench.contest"
local lua = require "bench.lua_command"
local report = require "bench.report"

return function(rounds)
  local raw = contest.enter("libcrypto alone", "build/bench/signing/raw")
  local contestants, by_name = { raw }, {}
  for _, interpreter in ipairs(lua.interpreters) do
    by_name[interpreter] = {}
    for _, kind in ipairs { "assertion", "proof", "exchanged", "account" } do
      local made = contest.enter(kind == "account" and "any account" or kind,
        lua.run(interpreter, "bench/signing/sign.lua", kind))
      contestants[#contestants + 1], by_name[interpreter][kind] = made, made
    end
  end
  contest.run(contestants, { rounds = rounds, seconds = 0.005 })
  for _, interpreter in ipairs(lua.interpreters) do
    local ours = by_name[interpreter]
    report.difference("signed assertion, " .. interpreter, "us", ours.assertion.times, raw.name,
      raw.times, 15)
    report.difference("DPoP proof, " .. interpreter, "us", ours.proof.times, raw.name, raw.times)
    report.ratio("token exchanged, " .. interpreter, ours.exchanged, ours.account, { most = 1.1 })
  end
end
