--- Strava. Scopes are separated by commas, and an answer does not tell which were granted. A
--- refresh token that is dead is no OAuth error. An access token lasts six hours; one with more
--- than an hour left is answered again. Loopback redirect URIs need no registration.

local function is_dead(answer)
  local errors = answer.object and answer.object.errors
  local first = type(errors) == "table" and errors[1]
  return type(first) == "table" and first.resource == "RefreshToken" and first.code == "invalid"
end

---@type tokencache.Provider
return {
  name = "Strava",
  authorize_url = "https://www.strava.com/oauth/authorize",
  token_url = "https://www.strava.com/oauth/token",
  token_endpoint_auth_method = "client_secret_post",
  scope_separator = ",",
  dead_refresh_token = is_dead,
}
