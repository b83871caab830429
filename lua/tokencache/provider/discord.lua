--- Discord. An access token lasts a week. Requests without a User-Agent are refused at times.

---@type tokencache.Provider
return {
  name = "Discord",
  authorize_url = "https://discord.com/oauth2/authorize",
  token_url = "https://discord.com/api/oauth2/token",
  revocation_url = "https://discord.com/api/oauth2/token/revoke",
  headers = { ["User-Agent"] = "tokencache" },
}
