--- 100 logins that are renewed each hour of a day, where one save of a hundred fails: prints how
--- many are left after each hour. Argument: a token endpoint that takes each refresh token once.

local tokencache = require "tokencache"

local LOGINS, HOURS, FAILS = 100, 24, 100

tokencache.set_logger(false)

local entries, saves, now = {}, 0, os.time()
local store = {
  get = function(_, key) return entries[key] end,
  set = function(_, key, bytes)
    saves = saves + 1
    if saves % FAILS == 0 then
      return nil, "the store is away"
    end
    entries[key] = bytes
    return true
  end,
  delete = function(_, key)
    entries[key] = nil
    return true
  end,
}

local flow = tokencache.flow.authorization_code {
  provider = { token_url = arg[1], authorize_url = arg[1] },
  client_id = "client", client_secret = "secret", redirect_uri = "http://127.0.0.1/callback",
  authorize = false, store = store, clock = function() return now end,
}
for i = 1, LOGINS do
  entries["user:" .. i] = ('{"access_token":"a","refresh_token":"r%d","expires_at":0}'):format(i)
end
for _ = 1, HOURS do
  local left = 0
  for i = 1, LOGINS do
    left = left + (flow:account { "user", tostring(i) }:get_access_token() and 1 or 0)
  end
  print(left)
  now = now + 3600
end
