--- Twitch. Answers list the scopes, and a refresh token that is dead is no OAuth error. Whether a
--- token still works must be asked hourly at https://id.twitch.tv/oauth2/validate, so say the
--- rules.

local function is_dead(answer)
  local object = answer.object
  return object ~= nil and object.message == "Invalid refresh token"
end

---@type tokencache.Provider
return {
  name = "Twitch",
  issuer = "https://id.twitch.tv/oauth2",
  authorization_response_iss_parameter_supported = false,
  authorize_url = "https://id.twitch.tv/oauth2/authorize",
  token_url = "https://id.twitch.tv/oauth2/token",
  revocation_url = "https://id.twitch.tv/oauth2/revoke",
  userinfo_url = "https://id.twitch.tv/oauth2/userinfo",
  jwks_url = "https://id.twitch.tv/oauth2/keys",
  token_endpoint_auth_method = "client_secret_post",
  dead_refresh_token = is_dead,
}
