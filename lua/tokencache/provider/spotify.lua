--- Spotify, with the environment variables of spotipy.

--- Half a year; counted short, for it is not said how many days that is.
local HALF_A_YEAR = 180 * 86400

local function check_redirect_uri(url)
  if url.host == "localhost" then
    return "Spotify refuses localhost; write 127.0.0.1 instead, here and in the dashboard"
  end
  if url.scheme == "http" and not url.loopback then
    return "Spotify refuses http here; use https, or http on 127.0.0.1"
  end
end

---@type tokencache.Provider
return {
  name = "Spotify",
  authorize_url = "https://accounts.spotify.com/authorize",
  token_url = "https://accounts.spotify.com/api/token",
  refresh_token_lifetime = HALF_A_YEAR,
  check_redirect_uri = check_redirect_uri,
  environment = {
    client_id = "SPOTIPY_CLIENT_ID",
    client_secret = "SPOTIPY_CLIENT_SECRET",
    redirect_uri = "SPOTIPY_REDIRECT_URI",
  },
}
