--- Opens the cookies of sessions, as bench/sessions/open.py does.

local contestant = require "bench.contestant"
local tokencache = require "tokencache"

local open = tokencache.session[arg[1]]
local opts = { secret_key = "secret", engine = arg[1] == "django" and "signed_cookies" or nil }

local cookies = {}
for cookie in io.lines(arg[2]) do
  cookies[#cookies + 1] = cookie
end

contestant(function(times)
  local start = os.clock()
  for i = 1, times do
    opts.cookie = cookies[i % #cookies + 1]
    assert(assert(open(opts)).token_info)
  end
  return os.clock() - start
end)
