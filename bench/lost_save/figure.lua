--- What it costs that a save fails now and then: logins that are left, against spotipy. Nothing is
--- timed here.

local fake_endpoint = require "support.fake_endpoint"
local lua = require "bench.lua_command"
local process = require "support.process"
local report = require "bench.report"

local function left_by_hour(command)
  local code, output = process.run { "sh", "-c", command }
  assert(code == 0, output)
  local left = {}
  for line in output:gmatch "%d+" do
    left[#left + 1] = tonumber(line)
  end
  return left
end

return function()
  local server = fake_endpoint.start()
  local ours = left_by_hour(lua.run("lua5.4", "bench/lost_save/renew.lua", server:url "once"))
  server:stop()
  server = fake_endpoint.start()
  local theirs = left_by_hour("/usr/bin/python3 bench/lost_save/renew.py " .. server:url "once")
  server:stop()
  report.count("logins of 100, after a day", ours[#ours], "spotipy", theirs[#theirs])
  for hour, left in ipairs(ours) do
    report.draw("lost-save", hour, left, theirs[hour])
  end
end
