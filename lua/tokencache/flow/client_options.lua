--- The options by which a client says who it is (RFC 6749 §2.3): which way they choose, and what is
--- wrong with them. What is done by them is in client_authentication.lua.

local core = require "tokencache._core"
local hidden = require "tokencache.util.hidden"

local client_options = {}

local secret -- loaded when first used

--- Options of each flow with a client. Those that are a tokencache.Secret may be a text, a file or
--- a function.
client_options.rules = {
  token_endpoint_auth_method = { "string" },
  token_endpoint_auth_signing_alg = { "string" },
  client_secret = { { "string", "table", "function" } },
  client_key = { { "string", "table", "function" } },
  client_key_passphrase = { { "string", "table", "function" } },
  client_key_id = { "string" },
  client_certificate = { { "string", "table", "function" } },
  client_assertion = { { "string", "table", "function" } },
  client_assertion_type = { "string" },
}

local KEYS = { client_key = true, client_certificate = true }

local SECRETS = { "client_secret", "client_key", "client_key_passphrase", "client_certificate",
  "client_assertion" }

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

--- The first option that does nothing beside the others, with the reason.
---@param given table      the options, without what the environment says
---@param method? string   in use; nil: that is for the metadata to say, by a secret or by none
---@return string? problem
function client_options.unused(given, method)
  local by_assertion = method == "private_key_jwt" and is_given(given, "client_assertion")
  local uses = by_assertion and ASSERTION or USES[method or "client_secret_basic"] or {}
  for _, name in ipairs(OPTIONS) do
    local is_let_be = name == "client_secret" and uses == USES.none -- it is not sent, as it was not
    if is_given(given, name) and not uses[name] and not is_let_be then
      return name .. " is of no use " .. reason(given, name)
    end
  end
end

--- What a method needs, and what to check where the provider refuses the client.
local NEEDS = {
  client_secret_basic = { "client_secret" }, client_secret_post = { "client_secret" },
  client_secret_jwt = { "client_secret" }, private_key_jwt = { "client_key" },
  tls_client_auth = { "client_certificate", "client_key" },
  self_signed_tls_client_auth = { "client_certificate", "client_key" }, none = {},
}

local REMEDIES = {
  none = "no client_secret was given; give it, or check client_id",
  private_key_jwt = "check client_id, that the provider knows the key, and what it wants as aud, "
    .. "kid and alg",
  client_assertion = "check client_id, and that the provider takes the assertion's iss, sub, aud, "
    .. "exp and key",
  tls_client_auth = "check client_id, and that the provider knows the certificate",
}
REMEDIES.self_signed_tls_client_auth = REMEDIES.tls_client_auth

local SECRET_REMEDY = "check client_id, client_secret and token_endpoint_auth_method"

--- What to check where the provider refuses the client.
---@param method? string  nil: the metadata tells
---@param has_secret boolean
---@return string
function client_options.remedy(method, has_secret)
  return not has_secret and method == nil and REMEDIES.none or REMEDIES[method or ""]
    or SECRET_REMEDY
end

local function problem_of_method(method)
  if NEEDS[method] then
    return nil
  end
  local shown = method:find "^[%l_]+$" and method or "that" -- it may be anything, also a secret
  return "token_endpoint_auth_method: " .. shown .. " is not supported; it must be "
    .. "client_secret_basic, client_secret_post, client_secret_jwt, private_key_jwt, "
    .. "tls_client_auth, self_signed_tls_client_auth or none"
end

local ALGS = { RS256 = true, PS256 = true, ES256 = true }

local function problem_of_secret(name, value)
  secret = secret or require "tokencache.util.secret"
  return (KEYS[name] and secret.problem_of_key or secret.problem)(value)
end

--- What is wrong with the options by themselves, if anything.
---@param checked table
---@param method string  in use
---@return string? problem
function client_options.problem(checked, method)
  for _, name in ipairs(SECRETS) do
    local value = checked[name]
    local problem = (type(value) == "table" or KEYS[name] and value)
      and problem_of_secret(name, value)
    if problem then
      return name .. " " .. problem
    end
  end
  local text, alg = checked.client_secret, checked.token_endpoint_auth_signing_alg
  return type(text) == "string" and core.problem_of_text("client_secret", text)
    or problem_of_method(method)
    or alg and not ALGS[alg] and "token_endpoint_auth_signing_alg must be RS256, PS256 or ES256"
    or checked.client_key and checked.client_assertion and "give client_key or client_assertion, "
    .. "not both" or nil
end

--- How the client authenticates by its options, where they say so.
---@param checked table
---@param default? string  the provider's
---@return string?
function client_options.method(checked, default)
  local needs = NEEDS[default or ""] or {}
  return checked.token_endpoint_auth_method
    or (checked.client_key or checked.client_assertion)
    and (needs[#needs] == "client_key" and default or "private_key_jwt") or nil
end

--- The first option that a method needs and that is not given.
---@param method string
---@param checked table
---@return string?
function client_options.lacking(method, checked)
  for _, name in ipairs(NEEDS[method] or {}) do
    local value = checked[name]
    if (value == nil or value == "")
      and not (name == "client_key" and checked.client_assertion) then
      return name
    end
  end
end

--- Reports whether the method shows a certificate.
function client_options.is_by_tls(method)
  return USES[method] == CERTIFICATE
end

--- Adds to a flow what it proves with who it is.
---@param flow table
---@param checked table  the options
---@param server tokencache.Provider
---@return string? problem
function client_options.take(flow, checked, server)
  local kept = { alg = checked.token_endpoint_auth_signing_alg, basic_is_raw = server.basic_is_raw,
    audience = server.client_assertion_audience, client_key_id = checked.client_key_id,
    client_assertion_type = checked.client_assertion_type }
  for _, name in ipairs(SECRETS) do
    kept[name] = checked[name]
  end
  flow.credentials = hidden(kept)
  if kept.basic_is_raw and checked.client_id:find(":", 1, true)
    and (flow.auth_method or flow.method or "client_secret_basic") == "client_secret_basic" then
    return "client_id holds a ':', which cannot be sent with basic_is_raw"
  end
end

return client_options
