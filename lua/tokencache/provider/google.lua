--- Google. A refresh token comes only with access_type=offline, and to somebody who has consented
--- before only with prompt=consent. It lasts until the user takes it back or has not used it for
--- half a year; seven days where the project's publishing status is "Testing".
---
--- Desktop clients have a secret that is none, and Google wants it: flow.pkce takes client_secret.
--- The device flow is for clients of the type "TVs and Limited Input devices", and for few scopes:
--- openid, email, profile, drive.appdata, drive.file, youtube; not mail.

---@type tokencache.Provider
return {
  name = "Google",
  issuer = "https://accounts.google.com",
  authorization_response_iss_parameter_supported = false,
  authorize_url = "https://accounts.google.com/o/oauth2/v2/auth",
  token_url = "https://oauth2.googleapis.com/token",
  revocation_url = "https://oauth2.googleapis.com/revoke",
  device_authorization_url = "https://oauth2.googleapis.com/device/code",
  userinfo_url = "https://openidconnect.googleapis.com/v1/userinfo",
  jwks_url = "https://www.googleapis.com/oauth2/v3/certs",
  token_endpoint_auth_method = "client_secret_post",
  authorize_params = { access_type = "offline", prompt = "consent" },
  rotates_refresh_tokens = false,
}
