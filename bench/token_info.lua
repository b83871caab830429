--- A token_info such as a flow makes of what Spotify gives to a program, fresh for as long as a run
--- may take.

return {
  access_token = ("BQDc7sQ4"):rep(20),
  token_type = "Bearer",
  expires_in = 86400,
  expires_at = os.time() + 86400,
  scope = "",
  client_id = "bench",
}
