--- 64 processes over one expired login in a file, against one process that renews its own; and how
--- many requests they make, against spotipy.

local contest = require "bench.contest"
local fake_endpoint = require "support.fake_endpoint"
local folder = require "support.folder"
local lua = require "bench.lua_command"
local process = require "support.process"
local report = require "bench.report"

return function(rounds)
  local server, dir = fake_endpoint.start(), folder.new()
  local function line(count, path)
    return lua.run("lua5.4", "bench/stampede/crowd.lua", count, path, server:url("token"), dir.path)
  end
  local function enter(name, count, path)
    return contest.enter(name, line(count, path))
  end
  local crowd = enter("64 processes", 64, dir:file("token"))
  local one = enter("one process", 1, "''")
  contest.run({ crowd, one }, { rounds = math.ceil(rounds / 5), seconds = 0,
    between = function() server:clear() end }) -- it remembers every request
  report.ratio("stampede of 64", crowd, one)

  --- What the command says, and how many token requests it makes.
  local function count(command)
    server:clear()
    local code, output = process.run { "sh", "-c", command }
    assert(code == 0, output)
    return #server:requests(), output
  end
  os.remove(dir:file("gate64"))
  local asked = count("echo 1 | " .. line(64, dir:file("token"))) / 2 -- one of them untimed
  local theirs, served = count("/usr/bin/python3 bench/stampede/spotipy_crowd.py 64 "
    .. dir:file("theirs") .. " " .. server:url("once"))
  report.count("  their token requests", asked, "spotipy", theirs)
  report.draw("stampede", "tokencache", ("%d"):format(asked), 64)
  report.draw("stampede", "spotipy", theirs, tonumber(served))
  server:stop()
  dir:remove()
end
