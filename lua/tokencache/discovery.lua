--- What a provider says of itself (RFC 8414, OpenID Connect Discovery 1.0): where its endpoints are
--- and what they can do. What the program or a preset has said counts more.

local client_options = require "tokencache.flow.client_options"
local core = require "tokencache._core"
local document = require "tokencache.document"
local errors = require "tokencache.error"
local json = require "tokencache.json"

local discovery = {}

local LONGEST_SHOWN = 200 -- bytes of a provider's words
local KEYS_PAUSE = 10 -- seconds

---@class tokencache.Metadata
---@field issuer string
---@field authorize_url? string    and the other endpoints, by their names in tokencache.Provider
---@field of_tls table<string, string>  where who shows a certificate finds them (RFC 8705 §5)
---@field authorization_response_iss_parameter_supported boolean
---@field require_pushed_authorization_requests boolean
---@field tls_client_certificate_bound_access_tokens boolean
---@field token_endpoint_auth_methods_supported? string[]
---@field code_challenge_methods_supported? string[]
---@field grant_types_supported? string[]
---@field id_token_signing_alg_values_supported? string[]
---@field token_endpoint_auth_signing_alg_values_supported? string[]

--- RFC 8414 §2; RFC 8628 §4; RFC 9126 §5; OpenID Connect Discovery §3, RP-Initiated Logout §2.1.
local ENDPOINTS = {
  authorize_url = "authorization_endpoint",
  token_url = "token_endpoint",
  revocation_url = "revocation_endpoint",
  introspection_url = "introspection_endpoint",
  device_authorization_url = "device_authorization_endpoint",
  userinfo_url = "userinfo_endpoint",
  end_session_url = "end_session_endpoint",
  jwks_url = "jwks_uri",
  pushed_authorization_request_url = "pushed_authorization_request_endpoint",
}

--- Those that the client shows its certificate at: to what else there is, browsers go, or it comes
--- without.
local FOR_CLIENTS = {
  token_url = true, revocation_url = true, introspection_url = true,
  device_authorization_url = true, pushed_authorization_request_url = true, userinfo_url = true,
}

local LISTS = {
  "token_endpoint_auth_methods_supported", "code_challenge_methods_supported",
  "grant_types_supported", "id_token_signing_alg_values_supported",
  "token_endpoint_auth_signing_alg_values_supported",
}

local function shown(text)
  return core.printable(text:sub(1, LONGEST_SHOWN))
end

--- A list with nothing in it says nothing (RFC 8414 §3.2).
local function strings_of(list)
  local strings = {}
  for _, value in ipairs(type(list) == "table" and list or strings) do
    strings[#strings + 1] = type(value) == "string" and value or nil
  end
  return strings[1] and strings
end

local function reader_of(issuer, other)
  return function(object)
    if type(object.issuer) ~= "string" then
      return nil, "names no issuer"
    elseif object.issuer ~= issuer and object.issuer ~= other then
      return nil, "is the document of another issuer, " .. shown(object.issuer)
    end
    local metadata = { issuer = issuer, of_tls = {}, authorization_response_iss_parameter_supported
      = object.authorization_response_iss_parameter_supported == true,
      require_pushed_authorization_requests = object.require_pushed_authorization_requests == true,
      tls_client_certificate_bound_access_tokens
        = object.tls_client_certificate_bound_access_tokens == true }
    local aliases = object.mtls_endpoint_aliases
    aliases = type(aliases) == "table" and aliases or {}
    for name, theirs in pairs(ENDPOINTS) do
      metadata[name] = type(object[theirs]) == "string" and object[theirs] or nil
      metadata.of_tls[name] = FOR_CLIENTS[name] and type(aliases[theirs]) == "string"
        and aliases[theirs] or nil
    end
    for _, name in ipairs(LISTS) do
      metadata[name] = strings_of(object[name])
    end
    return metadata
  end
end

--- OpenID Connect's place comes first: nearly all providers have it, also those that are no more
--- than authorization servers, and it says the more where there are both. openid-client and Spring
--- Security look in this order too. Some redirect from there to the same with a slash.
local function urls_of(issuer)
  local url = core.parse_url(issuer)
  local origin = issuer:sub(1, #issuer - #url.path)
  local path = url.path:gsub("/$", "")
  local openid = origin .. path .. "/.well-known/openid-configuration"
  return { openid, origin .. "/.well-known/oauth-authorization-server" .. path, openid .. "/" }
end

--- What is wrong with an issuer (RFC 8414 §2), if anything.
---@param issuer string
---@param may_be_plain? boolean  http will do: the flow's allow_insecure_http
---@return string? problem
function discovery.problem_of_issuer(issuer, may_be_plain)
  local problem = core.problem_of_endpoint("provider: issuer", issuer, may_be_plain)
  if not problem and core.parse_url(issuer).query then
    problem = "provider: issuer must not have a query"
  elseif not problem and issuer:find("/.well-known/", 1, true) then
    problem = "provider: issuer is the address of a document; give what that names as its issuer"
  end
  return problem
end

---@return tokencache.DocumentSource?
---@return tokencache.Error?
local function source_of(flow)
  local source, issuer = flow.metadata_source, flow.issuer
  if not source then
    local problem = not issuer and "provider: issuer is not given"
      or discovery.problem_of_issuer(issuer, flow.allow_insecure_http)
    if problem then
      return nil, errors.new("config", problem)
    end
    source = { name = "metadata of " .. issuer, urls = urls_of(issuer),
      read = reader_of(issuer, flow.id_token_issuer),
      remedy = "check issuer, or give the endpoints in provider, such as token_url" }
    flow.metadata_source = source
  end
  return source
end

--- What the provider says of itself.
---@param flow tokencache.Flow
---@param deadline number   monotonic seconds
---@param since? number|true monotonic seconds: what was known before does not do; true: now
---@param held? tokencache.Lock  it lasts meanwhile
---@return tokencache.Metadata?
---@return tokencache.Error?
function discovery.ensure(flow, deadline, since, held)
  local source, err = source_of(flow)
  if not source then
    return nil, err
  end
  return document.get(flow, source, deadline, since, held)
end

local function has(list, wanted)
  for _, value in ipairs(list) do
    if value == wanted then
      return true
    end
  end
  return false
end

--- What the metadata offers in place of what a flow wants, in words; nil: it is offered, or the
--- metadata does not say.
local function missing(metadata, field, wanted)
  local list = metadata[field]
  if list and not has(list, wanted) then
    return ("the metadata of %s has no %s among its %s (%s)"):format(metadata.issuer, wanted, field,
      shown(table.concat(list, " ")))
  end
end

--- Returns how the client authenticates; or what is wrong. "none" is fine without a word of the
--- provider's: many that take public clients do not list it.
local function choose_auth_method(flow, metadata)
  local field, wanted = "token_endpoint_auth_methods_supported", flow.auth_method
  if wanted then
    local lack = wanted ~= "none" and missing(metadata, field, wanted)
    return wanted, lack and lack .. ", which token_endpoint_auth_method names" or nil
  elseif not flow.has_secret then
    return "none"
  end
  for _, method in ipairs { flow.default_auth_method, "client_secret_basic", "client_secret_post",
    "none" } do
    if not missing(metadata, field, method) then
      return method
    end
  end
  return nil, missing(metadata, field, "client_secret_basic")
    .. ", and nothing else there that this flow can do"
end

local REMEDY = "; give token_url and authorize_url in provider if the metadata is wrong"

local function config_error(problem)
  return nil, errors.new("config", problem .. REMEDY)
end

local function is_https(url)
  return core.parse_url(url).scheme:lower() == "https"
end

local function find_endpoint(flow, metadata, name)
  local url, theirs = metadata[name], ENDPOINTS[name]
  if client_options.is_by_tls(flow.method) then
    url = metadata.of_tls[name] or url
  end
  if not url then
    return nil, errors.new("config", ("the metadata of %s names no %s; give %s in provider if it "
      .. "has one"):format(metadata.issuer, theirs, name))
  end
  local problem = core.problem_of_endpoint("the metadata's " .. theirs, url,
    flow.allow_insecure_http)
    or is_https(metadata.issuer) and not is_https(url) and not flow.allow_insecure_http
    and "the metadata's " .. theirs .. " must be https, as the issuer is" or nil
  if problem then
    return config_error(metadata.issuer .. ": " .. problem)
  end
  return url
end

--- Tells the flow's client where its requests go and how they are authenticated.
---@param flow tokencache.Flow  that discovers
---@param metadata tokencache.Metadata
---@return true?
---@return tokencache.Error?
local function equip(flow, metadata)
  if flow.equipped_with == metadata then
    return true
  end
  local problem = missing(metadata, "grant_types_supported", flow.grant_type)
    or flow.pkce and missing(metadata, "code_challenge_methods_supported", "S256")
  if problem then
    return config_error(problem .. ", which this flow needs")
  end
  local method, ok
  method, problem = choose_auth_method(flow, metadata)
  if problem then
    return config_error(problem)
  end
  flow.method = method
  local url, err = find_endpoint(flow, metadata, flow.discovers)
  if not url then
    return nil, err
  end
  ok, problem = flow.client:set_endpoint(url)
  if not ok then
    return config_error(metadata.issuer .. ": " .. problem)
  end
  flow.equipped_with = metadata
  return true
end

--- Finds what the flow needs for its requests, where it has to be found.
---@param flow tokencache.Flow
---@param deadline number  monotonic seconds
---@return tokencache.Metadata?
---@return tokencache.Error?
function discovery.prepare(flow, deadline)
  local metadata, err = discovery.ensure(flow, deadline)
  local ok = metadata ~= nil
  if ok and flow.discovers then
    ok, err = equip(flow, metadata)
  end
  return ok and metadata or nil, err
end

--- Where an endpoint of the provider is; see Flow:_endpoint.
---@param flow tokencache.Flow
---@param name string
---@param deadline? number  monotonic seconds
---@return string?
---@return tokencache.Error?
function discovery.endpoint(flow, name, deadline)
  local given = flow.endpoints[name]
  if not given and not flow.issuer then
    return nil, errors.new("config", ("the provider has no %s, as far as is known; give that in "
      .. "provider if it has one, or issuer to find it by"):format(name))
  end
  local metadata, err = discovery.prepare(flow, deadline or flow.io.monotonic() + flow.timeout)
  if not metadata then
    return nil, err
  end
  if given then
    return given
  end
  return find_endpoint(flow, metadata, name)
end

--- Whether an answer to an authorization request may come without `iss` (RFC 9207 §2.3).
---@param flow tokencache.UserFlow
---@return boolean?
---@return tokencache.Error?
function discovery.iss_is_optional(flow)
  local metadata, err = discovery.ensure(flow, flow.io.monotonic() + flow.timeout)
  if not metadata then
    return nil, err
  end
  return not metadata.authorization_response_iss_parameter_supported
end

local GONE = { [404] = true, [405] = true, [410] = true }

--- Whether a request met nobody where an endpoint should be.
local function met_nobody(response, err)
  if response then
    return GONE[response.status] or false
  end
  return err.kind == "transient" and err.sent == false
end

--- Notes what came of a request to an endpoint that was discovered.
---@param flow tokencache.Flow  with an issuer
---@param response? tokencache.HttpResponse
---@param err? tokencache.Error
function discovery.note(flow, response, err)
  local source = met_nobody(response, err) and source_of(flow)
  if source then
    document.expire(flow, source)
  end
end

--- Whether the token endpoint turns out to be elsewhere, where a request met nobody.
---@param flow tokencache.Flow  that discovers
---@param url string     where it was
---@param deadline number monotonic seconds
---@param held? tokencache.Lock  it lasts meanwhile
---@return boolean
function discovery.has_moved(flow, url, response, err, deadline, held)
  local metadata = met_nobody(response, err) and discovery.ensure(flow, deadline, true, held)
  return metadata and find_endpoint(flow, metadata, "token_url") ~= url and equip(flow, metadata)
    or false
end

local function read_keys(object)
  if type(object.keys) ~= "table" then
    return nil, "has no list of keys"
  end
  local keys = {}
  for _, key in ipairs(object.keys) do
    keys[#keys + 1] = type(key) == "table" and json.without_nulls(key) or nil
  end
  return keys
end

--- The provider's keys (RFC 7517 §5). They are asked for anew every ten seconds at most: whoever
--- can bring a token signed by nobody must not be able to have the provider flooded.
---@param flow tokencache.Flow
---@param deadline number  monotonic seconds
---@param since? number|true monotonic seconds: those that were known before do not do; true: now
---@param held? tokencache.Lock  it lasts meanwhile
---@return table[]?
---@return tokencache.Error?
---@return number? wait    seconds, after which there may be newer ones
function discovery.keys(flow, deadline, since, held)
  if since and not flow.endpoints.jwks_url and flow.issuer then
    discovery.ensure(flow, deadline, since, held) -- they may have moved
  end
  local url, err = flow:_endpoint("jwks_url", deadline)
  if not url then
    return nil, err
  end
  flow.keys_source = { name = "keys at " .. url, urls = { url }, read = read_keys,
    remedy = "check jwks_url in provider", pause = KEYS_PAUSE }
  return document.get(flow, flow.keys_source, deadline, since, held)
end

--- Has the provider's keys, those that the flow knows, asked for anew when they are needed next.
---@param flow tokencache.Flow
function discovery.expire_keys(flow)
  document.expire(flow, flow.keys_source)
end

return discovery
