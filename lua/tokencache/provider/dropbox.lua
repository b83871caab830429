--- Dropbox. A refresh token comes only with token_access_type=offline; it does not end and stays
--- the same. An access token lasts four hours.

---@type tokencache.Provider
return {
  name = "Dropbox",
  authorize_url = "https://www.dropbox.com/oauth2/authorize",
  token_url = "https://api.dropboxapi.com/oauth2/token",
  authorize_params = { token_access_type = "offline" },
  rotates_refresh_tokens = false,
}
