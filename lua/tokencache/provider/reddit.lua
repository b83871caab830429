--- Reddit. A refresh token comes only with duration=permanent; it does not end and stays the same.
--- Requests want a User-Agent of the program's own, "<platform>:<app>:<version> (by /u/<name>)":
--- give it as headers in a copy of this preset where the program has many users. Programs without a
--- secret ("installed apps") are not served: Reddit wants Basic with an empty password from them.

---@type tokencache.Provider
return {
  name = "Reddit",
  authorize_url = "https://www.reddit.com/api/v1/authorize",
  token_url = "https://www.reddit.com/api/v1/access_token",
  revocation_url = "https://www.reddit.com/api/v1/revoke_token",
  authorize_params = { duration = "permanent" },
  headers = { ["User-Agent"] = "lua:tokencache:0.1" },
  rotates_refresh_tokens = false,
  dead_refresh_token = { 400 }, -- its answer has no OAuth error
}
