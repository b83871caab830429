--- 64 processes over one expired login in a file, against one process that renews its own.

local contest = require "bench.contest"
local fake_endpoint = require "support.fake_endpoint"
local folder = require "support.folder"
local lua = require "bench.lua_command"
local report = require "bench.report"

return function(rounds)
  local server, dir = fake_endpoint.start(), folder.new()
  local function enter(name, count, path)
    return contest.enter(name, lua.run("lua5.4", "bench/stampede/crowd.lua", count, path,
      server:url("token"), dir.path))
  end
  local crowd = enter("64 processes", 64, dir:file("token"))
  local one = enter("one process", 1, "''")
  contest.run({ crowd, one }, { rounds = math.ceil(rounds / 5), seconds = 0,
    between = function() server:clear() end }) -- it remembers every request
  report.ratio("stampede of 64", crowd, one)
  server:stop()
  dir:remove()
end
