--- What it costs to open a session: a cookie is verified, decompressed and decoded, and its token
--- there; in processor time, against the frameworks themselves. They open it as for each request,
--- and their signing alone is another line. There are 1,000 cookies with tokens like Spotify's, so
--- that nobody has seen the one at hand shortly before.
---
--- The aim is missed: what is beyond any language, by the libraries in C, takes more of Django's
--- time than the aim leaves for all. So that is a contestant, too.

local contest = require "bench.contest"
local json = require "tokencache.json"
local lua = require "bench.lua_command"
local process = require "support.process"
local report = require "bench.report"

local COOKIES = 1000
local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

local function random_text(start, length)
  return start .. ("."):rep(length - #start):gsub(".", function()
    local i = math.random(#ALPHABET)
    return ALPHABET:sub(i, i)
  end)
end

local function python(framework, way, file)
  return ("/usr/bin/python3 bench/sessions/open.py %s %s %s"):format(framework, way, file)
end

--- A file of cookies, a line each.
local function write_cookies(framework, file)
  local writer = assert(io.popen(python(framework, "write", file), "w"))
  for _ = 1, COOKIES do
    writer:write(json.encode {
      access_token = random_text("BQ", 210), token_type = "Bearer", expires_in = 3600,
      expires_at = os.time() + 3600, scope = "user-library-read user-read-email",
      refresh_token = random_text("AQ", 131),
    }, "\n")
  end
  assert(writer:close())
end

return function(rounds)
  local directory = process.temporary_directory()
  for _, case in ipairs { { "flask", "sha1 ." }, { "django", "sha256 :" } } do
    local framework, signature = case[1], case[2]
    local file = directory .. "/" .. framework
    write_cookies(framework, file)
    local ours = {}
    for _, interpreter in ipairs(lua.interpreters) do
      ours[#ours + 1] =
        contest.enter(interpreter, lua.run(interpreter, "bench/sessions/open.lua", framework, file))
    end
    local request = contest.enter("Python, a request", python(framework, "request", file))
    local signing = contest.enter("Python, signing", python(framework, "signing", file))
    local raw = contest.enter("in C", ("build/bench/sessions/raw %s %s"):format(signature, file))
    contest.run({ ours[1], request, raw, ours[2], signing }, { rounds = rounds, seconds = 0.01 })
    for i, interpreter in ipairs(lua.interpreters) do
      local what = "session of " .. framework .. ", " .. interpreter
      report.ratio(what, ours[i], request, { most = 0.2 })
      report.ratio(what, ours[i], signing)
      report.ratio(what, ours[i], raw)
    end
    report.ratio("session of " .. framework .. ", in C", raw, request)
  end
  process.remove_directory(directory)
end
