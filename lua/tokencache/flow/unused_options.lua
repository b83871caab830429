--- Options by which a client would prove who it is, and that do nothing beside the others.

local SECRET = { client_secret = true }
local CERTIFICATE = { client_certificate = true, client_key = true, client_key_passphrase = true }
local ASSERTION = { client_assertion = true, client_assertion_type = true }

--- By token_endpoint_auth_method: what it uses.
local USES = {
  none = {}, client_secret_basic = SECRET, client_secret_post = SECRET,
  client_secret_jwt = SECRET, tls_client_auth = CERTIFICATE,
  self_signed_tls_client_auth = CERTIFICATE,
  private_key_jwt = { client_key = true, client_key_passphrase = true, client_key_id = true,
    client_certificate = true, token_endpoint_auth_signing_alg = true },
}

local OPTIONS = { "client_secret", "client_key", "client_key_passphrase", "client_key_id",
  "client_certificate", "token_endpoint_auth_signing_alg", "client_assertion",
  "client_assertion_type" }

local function is_given(given, name)
  return (given[name] or "") ~= ""
end

--- Why an option is of no use.
local function reason(given, name)
  local method, partner = given.token_endpoint_auth_method, "client_key"
  if method then
    return 'with token_endpoint_auth_method = "' .. method .. '"; leave it out'
  elseif ASSERTION[name] or is_given(given, "client_assertion") then
    partner = "client_assertion"
  end
  return is_given(given, partner) and "beside " .. partner .. "; leave it out"
    or "without " .. partner .. "; give that too, or leave it out"
end

---@param given table      the options, without what the environment says
---@param method? string   in use; nil: that is for the metadata to say, by a secret or by none
---@return string? problem
return function(given, method)
  local by_assertion = method == "private_key_jwt" and is_given(given, "client_assertion")
  local uses = by_assertion and ASSERTION or USES[method or "client_secret_basic"] or {}
  for _, name in ipairs(OPTIONS) do
    local is_let_be = name == "client_secret" and uses == USES.none -- it is not sent, as it was not
    if is_given(given, name) and not uses[name] and not is_let_be then
      return name .. " is of no use " .. reason(given, name)
    end
  end
end
