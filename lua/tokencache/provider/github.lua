--- GitHub. The tokens of an OAuth app do not end, and there is nothing to refresh. Those of a
--- GitHub App last 8 hours, its refresh tokens half a year and each works once. Errors come with
--- status 200. The device flow must be enabled in the app's settings, and needs no secret.

---@type tokencache.Provider
return {
  name = "GitHub",
  authorize_url = "https://github.com/login/oauth/authorize",
  token_url = "https://github.com/login/oauth/access_token",
  device_authorization_url = "https://github.com/login/device/code",
  token_endpoint_auth_method = "client_secret_post",
  dead_refresh_token = { "bad_refresh_token" },
  headers = { ["User-Agent"] = "tokencache" },
}
