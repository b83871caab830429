--- Opens the cookie of a session, as bench/sessions/open.py does.

local contestant = require "bench.contestant"
local token_info = require "bench.token_info"
local tokencache = require "tokencache"

local opts = { secret_key = "secret", engine = arg[1] == "django" and "signed_cookies" or nil }
local open = tokencache.session[arg[1]]

local session = assert(open(opts))
session.token_info = token_info
opts.cookie = session:set_cookie():match "=([^;]*)"

contestant(function(times)
  for _ = 1, times do
    assert(open(opts).token_info)
  end
end)
