--- Zoom. Refresh tokens work once and last 90 days. Server-to-server apps take
--- flow.client_credentials with token_params = { account_id = "..." }: Zoom calls that grant
--- account_credentials.

local function is_dead(answer)
  return answer.object ~= nil and answer.object.reason == "Invalid Token!"
end

---@type tokencache.Provider
return {
  name = "Zoom",
  authorize_url = "https://zoom.us/oauth/authorize",
  token_url = "https://zoom.us/oauth/token",
  revocation_url = "https://zoom.us/oauth/revoke",
  device_authorization_url = "https://zoom.us/oauth/devicecode",
  grant_types = { client_credentials = "account_credentials" },
  dead_refresh_token = is_dead,
}
