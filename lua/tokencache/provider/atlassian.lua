--- Atlassian (3LO). A refresh token comes only with the scope offline_access, works once, and ends
--- 90 days after its last use, and a year after the login. One that is dead is called an
--- unauthorized client.

local LONGEST = 365 * 86400 -- seconds

local function is_dead(answer)
  local object = answer.object
  return object ~= nil and object.error == "unauthorized_client"
    and object.error_description == "refresh_token is invalid"
end

---@type tokencache.Provider
return {
  name = "Atlassian",
  authorize_url = "https://auth.atlassian.com/authorize",
  token_url = "https://auth.atlassian.com/oauth/token",
  token_endpoint_auth_method = "client_secret_post",
  authorize_params = { audience = "api.atlassian.com", prompt = "consent" },
  refresh_token_lifetime = LONGEST,
  dead_refresh_token = is_dead,
}
