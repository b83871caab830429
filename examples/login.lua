-- Logs you in once, in your browser. From then on the token comes from the file, and is renewed
-- when that is due, without you. The provider is Spotify, with SPOTIPY_CLIENT_ID set, or whoever
-- ISSUER names, with CLIENT_ID. Register the redirect URI there as it stands.
-- On a machine without a browser: lua5.4 examples/login.lua paste
-- or device, where the provider can do that: a code is entered on another machine.
local tokencache = require "tokencache"

local issuer = os.getenv "ISSUER"

local flow = tokencache.flow.pkce {
  provider = issuer and { issuer = issuer } or tokencache.provider.spotify,
  client_id = os.getenv "CLIENT_ID",
  redirect_uri = os.getenv "REDIRECT_URI" or "http://127.0.0.1:8888/callback",
  scope = os.getenv "SCOPE",
  login = arg[1] and { arg[1] } or nil,
  cache = tokencache.cache.file { cache_path = os.getenv "CACHE_PATH" or ".cache" },
}

local info, err = flow:get_token_info()
if not info and err.kind == "reauthorize" then
  io.stderr:write("Your login has ended; here comes the next.\n")
  info, err = flow:get_token_info()
end
if not info then
  io.stderr:write("Not logged in: ", tostring(err), "\n")
  os.exit(1)
end

print("Token " .. info.access_token:sub(1, 8) .. "…")
print("You logged in " .. os.date("on %Y-%m-%d at %H:%M:%S.", info.authorized_at))
local due_in = flow:reauthorization_due_in()
if due_in then
  print(("The provider wants the next login in %d days."):format(due_in / 86400))
end
