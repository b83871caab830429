--- Slack, v2: the token is a bot's; a user's is in the field authed_user of the token_info. Scopes
--- are separated by commas. Tokens end, and can be refreshed, only where token rotation is on; each
--- refresh token works once. Redirect URIs must be https. Errors come with status 200.

---@type tokencache.Provider
return {
  name = "Slack",
  authorize_url = "https://slack.com/oauth/v2/authorize",
  token_url = "https://slack.com/api/oauth.v2.access",
  scope_separator = ",",
  token_types = { "bot", "user" },
  dead_refresh_token = { "invalid_refresh_token", "token_expired", "token_revoked" },
}
