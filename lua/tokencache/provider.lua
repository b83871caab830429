--- What describes an authorization server. The presets are in provider/. Its issuer is enough where
--- it publishes its metadata.

local core = require "tokencache._core"
local hidden = require "tokencache.util.hidden"
local options = require "tokencache.util.options"

local LONGEST_SHOWN = 40 -- bytes of a name; what comes after a colon may be a secret

local provider = {}

---@alias tokencache.AuthMethodName
---| "client_secret_basic" # the secret in the Authorization header (RFC 6749 §2.3.1)
---| "client_secret_post"  # ... in the body
---| "client_secret_jwt"   # what is signed with the secret (OpenID Connect Core §9)
---| "private_key_jwt"     # what is signed with a key (RFC 7523)
---| "tls_client_auth"     # a certificate of an authority's (RFC 8705)
---| "self_signed_tls_client_auth" # a certificate that the provider knows
---| "none"

---@class tokencache.Provider
---@field name? string           for messages
--- The endpoints, each https, or http on a loopback address. Beside them the name that RFC 8414,
--- or OpenID Connect, has for it.
---@field authorize_url? string  authorization_endpoint (RFC 6749 §3.1)
---@field token_url? string      token_endpoint (RFC 6749 §3.2)
---@field revocation_url? string  revocation_endpoint (RFC 7009)
---@field introspection_url? string  introspection_endpoint (RFC 7662)
---@field device_authorization_url? string  device_authorization_endpoint (RFC 8628)
---@field userinfo_url? string   userinfo_endpoint (OpenID Connect Core §5.3)
---@field end_session_url? string  end_session_endpoint (OpenID Connect RP-Initiated Logout)
---@field jwks_url? string       jwks_uri (RFC 7517)
---@field pushed_authorization_request_url? string  where authorization requests go first (RFC 9126)
---@field require_pushed_authorization_requests? boolean  default: true where that URL is given,
---                              else as the provider's metadata says
---@field rotates_refresh_tokens? boolean  false: a refresh token works as often as it is sent, so
---                              that nothing is lost by sending it
---@field token_endpoint_auth_method? tokencache.AuthMethodName
---@field client_assertion_audience? string  whom what a client signs is for: "issuer", which is the
---                              default where there is one, "token_url", or another text
---@field token_params? table<string, string|string[]>  sent with each token request
---@field authorize_params? table<string, string|string[]>  of each authorization URL
---@field issuer? string         what is not given is found by it (RFC 8414); checked in responses
---                              (RFC 9207)
---@field id_token_issuer? string  the iss of its ID tokens where that is not `issuer`; {tenantid}
---                              in it stands for the token's tid, a UUID
---@field authorization_response_iss_parameter_supported? boolean  false: a response without iss
---                              passes (RFC 9207 §2.3)
---@field allow_insecure_http? boolean  true: http will do for its URLs, also to other machines:
---                              whoever is on the way reads all secrets. Not for `implicit`
---@field headers? table<string, string>  of each request to its endpoints, such as User-Agent
---@field on_request? fun(request: table)  may change { method =, url =, headers =, body = } of a
---                              token request
---@field on_answer? fun(answer: tokencache.Answer)  may change status and object of its answer
---@field basic_is_raw? boolean  true: the client's id and secret are not form-encoded for Basic
---@field grant_types? table<string, string>  what it calls grants, by their names in the RFCs
---@field scope_separator? string  between scopes that are sent; default: a blank
---@field scope_on_refresh? boolean  true: the scope is sent with a refresh token too
---@field dead_refresh_token? (string|integer)[]|fun(answer: tokencache.Answer): boolean?  how it
---                              says that a refresh token is dead, beside the RFCs' ways: error
---                              codes and statuses, or a function that returns true
---@field token_types? string[]  further names of "Bearer" in its answers
---@field default_expires_in? number  seconds that a token lives whose answer does not say
---@field refresh_token_lifetime? number  seconds from a login to the next that must be, at most
---@field check_redirect_uri? fun(url: table): string?  a warning about a redirect URI that the
---                              provider will refuse
---@field environment? table<string, string>   option name -> environment variable it defaults to

provider.endpoints = {
  "authorize_url", "token_url", "revocation_url", "introspection_url", "device_authorization_url",
  "userinfo_url", "end_session_url", "jwks_url", "pushed_authorization_request_url",
}

--- The rules of such a table.
provider.rules = {
  name = { "string" },
  rotates_refresh_tokens = { "boolean" },
  token_endpoint_auth_method = { "string" },
  client_assertion_audience = { "string" },
  token_params = { "table" },
  authorize_params = { "table" },
  issuer = { "string" },
  id_token_issuer = { "string" },
  authorization_response_iss_parameter_supported = { "boolean" },
  allow_insecure_http = { "boolean" },
  require_pushed_authorization_requests = { "boolean" },
  headers = { "table" },
  on_request = { "callable" },
  on_answer = { "callable" },
  basic_is_raw = { "boolean" },
  grant_types = { "table" },
  scope_separator = { "string" },
  scope_on_refresh = { "boolean" },
  dead_refresh_token = { { "callable", "table" } },
  token_types = { "table" },
  default_expires_in = { "number>0" },
  refresh_token_lifetime = { "number>0" },
  check_redirect_uri = { "callable" },
  environment = { "table" },
}

for _, name in ipairs(provider.endpoints) do
  provider.rules[name] = { "string" }
end

--- What is wrong with a preset that was not called, if it is one.
---@return string? problem
function provider.problem_of_preset(given)
  return type(given) == "function" and "provider: call this preset: "
    .. require("tokencache.provider.preset").call_of(given) or nil
end

--- Token types that are no bearer tokens by whatever name: they need a key.
local WITH_KEY = { dpop = true, mac = true }

--- What is wrong with the headers of a request, if anything.
---@return string? problem
function provider.problem_of_headers(headers)
  for name, value in pairs(type(headers) == "table" and headers or { false }) do
    if type(name) == "string" and not name:find "^[%w!#$%%&'*+.^_`|~-]+$" then
      return ('headers must not have "%s", which is no name of a header')
        :format(core.printable(name:match "^[^:]*":sub(1, LONGEST_SHOWN)))
    elseif type(name) ~= "string" or type(value) ~= "string" or value:find "%c" then
      return "headers must map names to strings without control characters"
    end
  end
end

local checks = {}

--- How ours are written, which a provider's may replace.
local OURS = { accept = "Accept", ["accept-encoding"] = "Accept-Encoding",
  ["content-type"] = "Content-Type" }
local NOT_THEIRS = { authorization = true, ["content-length"] = true, host = true,
  ["transfer-encoding"] = true }

function checks.headers(headers)
  local problem = provider.problem_of_headers(headers)
  for name in pairs(not problem and headers or {}) do
    local lower = name:lower()
    if NOT_THEIRS[lower] or OURS[lower] and OURS[lower] ~= name then
      problem = "must not set " .. name .. (NOT_THEIRS[lower] and ", which the flow sets itself"
        or "; write " .. OURS[lower])
    end
  end
  return problem and problem:gsub("^headers ", "")
end

local GRANTS = {
  authorization_code = true, client_credentials = true, refresh_token = true,
  ["urn:ietf:params:oauth:grant-type:device_code"] = true,
  ["urn:ietf:params:oauth:grant-type:jwt-bearer"] = true,
  ["urn:ietf:params:oauth:grant-type:token-exchange"] = true,
}

function checks.grant_types(types)
  for name, sent in pairs(types) do
    if not GRANTS[name] or type(sent) ~= "string" or sent == "" then
      return "must map grants (authorization_code, client_credentials, refresh_token, "
        .. "urn:ietf:params:oauth:grant-type:device_code) to the provider's names for them; mend "
        .. tostring(name)
    end
  end
end

function checks.scope_separator(separator)
  return (separator == "" or separator:find "[^ -~]") and "must be printable ASCII, and not empty"
end

function checks.dead_refresh_token(signs)
  if not options.matches(signs, "callable") and not options.is_list(signs, "string", "number") then
    return "must be a list of error codes and statuses, or a function"
  end
end

function checks.token_types(names)
  if not options.is_list(names, "string") then
    return "must be a list of strings"
  end
  for _, name in ipairs(names) do
    if WITH_KEY[name:lower()] then
      return "must not name " .. name .. ": such a token is of no use without a key"
    end
  end
end

--- What is wrong with such a table beyond its rules, if anything.
---@param server tokencache.Provider
---@return string? problem
function provider.problem(server)
  for name, check in pairs(checks) do
    local problem = server[name] ~= nil and check(server[name], server)
    if problem then
      return name .. " " .. problem
    end
  end
end

--- Returns a function that finds one of the codes or statuses in an answer. A code counts on a
--- working server's word only, as invalid_grant does.
local function finder(list)
  local codes, statuses = {}, {}
  for _, sign in ipairs(list) do
    (type(sign) == "number" and statuses or codes)[sign] = true
  end
  return function(answer)
    local status, code = answer.status, answer.object and answer.object.error
    return statuses[status] or code ~= nil and codes[code] and status < 500 and status ~= 429
  end
end

local function lowered(names)
  local set = {}
  for _, name in ipairs(names) do
    set[name:lower()] = true
  end
  return set
end

--- Adds to a flow what it needs to know of its provider's quirks.
---@param flow table
---@param server tokencache.Provider  checked
function provider.add_to(flow, server)
  local dead = server.dead_refresh_token
  flow.headers = hidden(server.headers) -- there may be a key among them
  flow.grant_types = server.grant_types or {}
  flow.on_request, flow.on_answer = server.on_request, server.on_answer
  flow.calls_dead = options.matches(dead, "callable") and dead or dead and finder(dead)
  flow.token_types = server.token_types and lowered(server.token_types)
end

return provider
