--- `tokencache token NAME` for a fresh token, as whole processes: against an empty script, and
--- against that and `cat` of the token's file.

local contest = require "bench.contest"
local core = require "tokencache._core"
local json = require "tokencache.json"
local lua = require "bench.lua_command"
local process = require "support.process"
local report = require "bench.report"

local function make_account(home)
  local accounts = home .. "/.config/tokencache/accounts"
  local tokens = home .. "/.local/state/tokencache"
  assert(process.run { "mkdir", "-p", accounts, tokens } == 0)
  process.write_file(accounts .. "/bench.lua",
    'provider = "google"\nclient_id = "bench"\nscope = "https://mail.google.com/"\n')
  local path = tokens .. "/bench.token"
  process.write_file(path, json.encode {
    access_token = ("a"):rep(200), token_type = "Bearer", client_id = "bench",
    refresh_token = ("r"):rep(100), scope = "https://mail.google.com/", expires_in = 3600,
    expires_at = math.floor(core.now()) + 3600,
  })
  return path
end

local function sum(name, one, other)
  local times = {}
  for round, seconds in ipairs(one.times) do
    times[round] = seconds + other.times[round]
  end
  return { name = name, times = times }
end

return function(rounds)
  local home = process.temporary_directory()
  local path = make_account(home)
  local spawn = " XDG_CONFIG_HOME= XDG_STATE_HOME= HOME=" .. home .. " build/bench/start/spawn "
  for _, interpreter in ipairs(lua.interpreters) do
    local run = lua.environment(interpreter) .. spawn
    local ours = contest.enter(interpreter, run .. interpreter .. " bin/tokencache token bench")
    local empty = contest.enter("empty script", run .. interpreter .. " /dev/null")
    local cat = contest.enter("cat", run .. "cat " .. path)
    contest.run({ ours, empty, cat }, { rounds = rounds, seconds = 0 })
    local what = "command, " .. interpreter
    report.difference(what, "ms", ours.times, empty.name, empty.times, 6)
    report.ratio("", ours, sum("that and cat", empty, cat), { most = 2 })
  end
  process.remove_directory(home)
end
