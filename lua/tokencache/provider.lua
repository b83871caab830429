--- What describes an authorization server. The presets are in provider/.

local provider = {}

---@class tokencache.Provider
---@field name? string           for messages
---@field authorize_url? string  RFC 6749 §3.1
---@field token_url? string      RFC 6749 §3.2; https, or http on a loopback address
---@field revocation_url? string  RFC 7009; likewise
---@field rotates_refresh_tokens? boolean  false: a refresh token works as often as it is sent, so
---                              that nothing is lost by sending it
---@field token_endpoint_auth_method? "client_secret_basic"|"client_secret_post"|"none"
---@field token_params? table<string, string>  sent with each token request, such as `audience`
---@field authorize_params? table<string, string>  sent with each authorization request
---@field issuer? string         checked in each response where given (RFC 9207)
---@field authorization_response_iss_parameter_supported? boolean  false: a response without iss
---                              passes (RFC 9207 §2.3)
---@field refresh_token_lifetime? number  seconds from a login to the next that must be, at most
---@field check_redirect_uri? fun(url: table): string?  a warning about a redirect URI that the
---                              provider will refuse
---@field environment? table<string, string>   option name -> environment variable it defaults to

--- The rules of such a table.
provider.rules = {
  name = { "string" },
  authorize_url = { "string" },
  token_url = { "string" }, -- required by all flows but implicit
  revocation_url = { "string" },
  rotates_refresh_tokens = { "boolean" },
  token_endpoint_auth_method = { "string" },
  token_params = { "table" },
  authorize_params = { "table" },
  issuer = { "string" },
  authorization_response_iss_parameter_supported = { "boolean" },
  refresh_token_lifetime = { "number>0" },
  check_redirect_uri = { "callable" },
  environment = { "table" },
}

return provider
