--- Reads the options of a flow: checks them, adds what the provider and the environment say, and
--- makes of them the fields of the flow.

local client_options = require "tokencache.flow.client_options"
local core = require "tokencache._core"
local default_io = require "tokencache.io"
local in_words = require "tokencache.util.in_words"
local options = require "tokencache.util.options"
local process = require "tokencache.account.process"
local provider = require "tokencache.provider"

local config = {}

---@class tokencache.ClientOptions
---@field client_id? string        default: the provider's environment variable, if it has one
---@field client_secret? tokencache.Secret  likewise
---@field scope? string|string[]   separated by spaces or commas
---@field token_endpoint_auth_method? tokencache.AuthMethodName
---@field client_key? tokencache.Secret  signs what the client proves itself with, or goes with its
---                                certificate: PEM or a JWK
---@field client_key_passphrase? tokencache.Secret
---@field client_key_id? string    kid, by which the provider finds the key; default: the JWK's
---@field client_certificate? tokencache.Secret  PEM: shown by TLS, or named in what is signed
---@field client_assertion? tokencache.Secret  ready-made, in place of one that client_key signs
---@field client_assertion_type? string
---@field token_endpoint_auth_signing_alg? "RS256"|"PS256"|"ES256"  default: RS256, or by an EC key
---                                ES256
---@field dpop? boolean            true: tokens are bound to a key of the account's (RFC 9449)
---@field token_params? table<string, string|string[]>  sent with each token request
---@field leeway? number           seconds before its end at which a token is renewed; default 60
---@field timeout? number          seconds for a whole call, a login not counted; default 30
---@field request_time? number     seconds that the request of a renewal may take, also beyond the
---                                timeout: what is sent must be finished; default 10
---@field connect_timeout? number  seconds; default 10
---@field proxy? string            a URL; default: the environment's
---@field ca_file? string          certificates to trust instead of the system's
---@field http? tokencache.Transport  your own transport
---@field clock? fun(): number     returns Unix seconds
---@field io? tokencache.Io        how actions are carried out

---@class tokencache.FlowOptions: tokencache.ClientOptions
---@field provider tokencache.Provider
---@field cache? tokencache.Handler  for one account; default: the file `.cache`
---@field store? tokencache.Store  for many accounts: instead of cache

--- Options of every flow; a flow adds its own.
config.rules = options.merge(client_options.rules, {
  provider = { "table", required = true,
    hint = 'give { issuer = "https://..." }, one of tokencache.provider, or a table with its '
      .. "token_url" },
  client_id = { "string" },
  scope = { { "string", "table" } },
  cache = { "object", hint = "give one of tokencache.cache, such as tokencache.cache.file "
    .. "{ cache_path = ... }" },
  store = { "object", hint = "give one of tokencache.store" },
  dpop = { "boolean" },
  token_params = { "table" },
  leeway = { "number>=0", default = 60 },
  clock = { "callable" },
  timeout = { "number>0", default = 30 },
  request_time = { "number>0", default = 10 },
  http = { "object" },
  proxy = { "string" },
  ca_file = { "string" },
  connect_timeout = { "number>0" },
  io = { "table" },
})

--- Options of get_access_token and get_token_info; flows in which people log in have more.
config.call_rules = {
  check_cache = { "boolean" },
  login = { "boolean" },
  refused = { "string" },
  timeout = { "number>0" },
}

local io_rules = {
  now = { "callable", default = default_io.now },
  monotonic = { "callable", default = default_io.monotonic },
  sleep = { "callable", default = default_io.sleep },
  pause = { "callable", default = default_io.pause },
  refusal = { "callable", default = default_io.refusal },
  after = { "callable", default = default_io.after },
  new_waiter = { "callable", default = default_io.new_waiter },
  process = { "table", default = process.own },
  random = { "callable", default = default_io.random },
  log_in = { "callable", default = default_io.log_in },
  pasting = { "string" },
  transport = { "callable", default = default_io.transport },
}

local own_io = options.read({}, io_rules)

--- The engine sets these itself (RFC 6749, 7636).
config.reserved_params = {
  grant_type = true, client_id = true, client_secret = true, client_assertion = true,
  client_assertion_type = true, scope = true, code = true,
  redirect_uri = true, code_verifier = true, refresh_token = true,
}

--- What is wrong with the `self` of a method, if anything.
---@return string?
function config.misused(self)
  if type(self) ~= "table" or not self.client then
    return "call it on a flow, with a colon"
  end
end

--- Adds a parameter to a list { name, value, ... }, once for each of its values.
---@return boolean  false: it is neither a string nor a list of strings
local function add_param(list, name, value)
  local values = type(value) == "table" and value or { value }
  if type(name) ~= "string" or not options.is_list(values, "string") then
    return false
  end
  for _, one in ipairs(values) do
    list[#list + 1] = name
    list[#list + 1] = one
  end
  return true
end

--- A table of strings, or lists of strings, by name as the list { name, value, ... } in the order
--- of the names. None may be reserved: for the reason given there, or because the flow sets it
--- itself.
---@return string[]?
---@return string? problem
function config.params(name, given, reserved)
  local names, list = {}, {}
  for param, value in pairs(given or {}) do
    if not add_param({}, param, value) then
      return nil, name .. " must map names to strings, or to lists of strings"
    end
    local why = reserved[param]
    if why then
      return nil, name .. " must not set " .. param .. ", "
        .. (why == true and "which the flow sets itself" or why)
    end
    names[#names + 1] = param
  end
  table.sort(names)
  for _, param in ipairs(names) do
    add_param(list, param, given[param])
  end
  return list
end

--- What the flow sends, over what the provider always wants.
function config.merged(over, under)
  return under and options.merge(under, over or {}) or over
end

--- A flow in the making.
---@class tokencache.FlowDraft
---@field definition tokencache.FlowDefinition
---@field given table                   the options as they came
---@field checked table                 the same, checked, with what the environment says
---@field server tokencache.Provider
---@field io tokencache.Io
---@field flow table                    the fields of the flow so far
---@field url? string                    of the endpoint that its client asks

local function read_tables(draft)
  local given, problem = draft.given, nil
  if type(given) == "table" then
    problem = given.issuer ~= nil and "issuer is no option here; give provider = { issuer = ... }"
      or provider.problem_of_preset(given.provider)
  end
  if problem then
    return problem
  end
  draft.checked, problem = options.read(draft.given, draft.definition.rules)
  if problem then
    return problem
  end
  draft.server, problem = options.read(draft.checked.provider, provider.rules)
  problem = problem or provider.problem(draft.server)
  if problem then
    return "provider: " .. problem
  end
  draft.io = own_io
  if draft.checked.io then
    draft.io, problem = options.read(draft.checked.io, io_rules)
  end
  return problem and "io: " .. problem
end

--- Fills in what the environment says; an empty variable counts as unset.
local function read_environment(draft)
  local checked, rules = draft.checked, draft.definition.rules
  for name, variable in pairs(draft.server.environment or {}) do
    local rule = rules[name] -- another flow's options have none here
    if type(variable) ~= "string" or rule and not options.matches("", rule[1]) then
      return "provider: environment must map options that are strings to names of variables; mend "
        .. tostring(name)
    end
    local value = checked[name] == nil and os.getenv(variable)
    if value and value ~= "" then
      checked[name] = value
    end
  end
end

local function require_option(draft, name)
  local value = draft.checked[name]
  if value == nil or value == "" then
    local variable = draft.server.environment and draft.server.environment[name]
    return name .. " is required: pass " .. name .. "="
      .. (variable and (" or set " .. variable) or "")
  end
end

local function require_options(draft)
  local problem = require_option(draft, "client_id")
  for _, name in ipairs(draft.definition.required or {}) do
    problem = problem or require_option(draft, name)
  end
  return problem
end

local function scope_text(scope)
  if type(scope) ~= "table" then
    return scope
  end
  local text = options.joined(scope)
  return text, not text and "scope must be a list of strings" or nil
end

--- Returns a function that returns a digest of the client: who asks, where, and how. Two flows
--- share their failures only if it is the same. The secret is hidden in the function.
local function fingerprint(...)
  local parts, digest = { ... }, nil
  return function()
    if not digest then
      for i, part in ipairs(parts) do
        parts[i] = type(part) == "table" and part.file or tostring(part)
      end
      local text = table.concat(parts, "\0")
      digest = require("tokencache.key").sha256(text) or text
    end
    return digest
  end
end

--- What the client is told when it is made; the rest is to be discovered.
local function take_endpoint(draft)
  local flow, checked, server = draft.flow, draft.checked, draft.server
  local definition = draft.definition
  local endpoint = definition.endpoint or "token_url"
  flow.default_auth_method = definition.auth_method
  local grant = definition.grant_type or definition.name
  flow.grant_type = checked.grant or (server.grant_types or {})[grant] or grant
  flow.has_secret = (checked.client_secret or "") ~= ""
  flow.auth_method = client_options.method(checked, server.token_endpoint_auth_method)
    or definition.may_be_public and not flow.has_secret and "none"
    or server.token_endpoint_auth_method
  flow.allow_insecure_http = server.allow_insecure_http
    and definition.name ~= "implicit" -- a browser would carry its tokens
  flow.issuer, draft.url = server.issuer, server[endpoint]
  flow.discovers = not draft.url and endpoint or nil
  local method = flow.auth_method
    or (not flow.discovers or definition.needs_secret) and definition.auth_method or "none"
  flow.method = not flow.discovers and method or nil
  local lacking = client_options.lacking(method, checked)
  local problem = client_options.problem(checked, method)
    or client_options.unused(draft.given, flow.auth_method or flow.method)
    or lacking and require_option(draft, lacking)
    or client_options.take(flow, checked, server)
  if problem or draft.url then
    return problem
  elseif not server.issuer then
    return "provider: " .. endpoint .. " is required, or issuer to find it by"
  end
  return require("tokencache.discovery").problem_of_issuer(server.issuer,
    flow.allow_insecure_http)
end

--- A digest of what a grant is about, where that is more than who asks for which scope: tokens of
--- another do not serve the flow.
---@return string?
---@return string? problem
local function grant_digest(draft, params)
  local about = draft.definition.about
  if not about then
    return nil
  end
  local parts, problem = about(draft.checked, params)
  if not parts then
    return nil, problem
  end
  parts[#parts + 1] = draft.flow.grant_type
  parts[#parts + 1] = core.form_encode(params)
  local keys = require "tokencache.key"
  local digest, err = keys.sha256(keys.join(parts))
  return digest, err and err.message
end

local function make_client(draft)
  local flow, checked, server = draft.flow, draft.checked, draft.server
  local definition = draft.definition
  local problem = take_endpoint(draft)
  if problem then
    return problem
  end
  local scope, params
  scope, problem = scope_text(checked.scope)
  if problem then
    return problem
  end
  params, problem = config.params("token_params",
    config.merged(checked.token_params, server.token_params), config.reserved_params)
  if problem then
    return problem
  end
  local digest
  digest, problem = grant_digest(draft, params)
  if problem then
    return problem
  end
  local method = flow.auth_method or flow.method
  flow.fingerprint = fingerprint(method or "", draft.url or flow.issuer, checked.client_id,
    checked.client_secret or checked.client_key or checked.client_assertion or "", digest)
  flow.document_key = type(checked.client_secret) == "string" and flow.has_secret
    and fingerprint("document", checked.client_secret) or nil
  flow.client, problem = core.new_client {
    flow = definition.name,
    issuer = flow.discovers and flow.issuer or nil,
    token_url = draft.url,
    client_id = checked.client_id,
    grant_digest = digest,
    scope = scope,
    remedy = client_options.remedy(checked.client_assertion and method == "private_key_jwt"
      and "client_assertion" or method, flow.has_secret),
    allow_insecure_http = flow.allow_insecure_http,
    grant_types = definition.name == "grant" and { [""] = checked.grant } or server.grant_types,
    scope_separator = server.scope_separator,
    scope_on_refresh = server.scope_on_refresh,
    leeway = checked.leeway,
    default_expires_in = server.default_expires_in,
    dpop = checked.dpop,
    keeps_dead = checked.on_invalid_grant == "keep",
    reuses = server.rotates_refresh_tokens == false,
    params = params,
  }
  return problem and problem:gsub("^token_url", definition.endpoint or "token_url")
end

local function require_method(name, object, method, remedy)
  if object[method] == nil then
    return name .. " has no method " .. method .. "; " .. remedy
  end
end

local REMEDY = "use one of tokencache.cache, or give yours both methods"

--- What is wrong with a cache handler, in words.
---@param name string  of what it was given as
---@return string?
function config.problem_of_cache(name, cache)
  if cache.get_cached_token == nil and cache.get ~= nil and cache.set ~= nil then
    return name .. " is a store, not a cache handler; give it as store=, or make a handler of it "
      .. "with tokencache.cache.from_store(store, key)"
  end
  return require_method(name, cache, "get_cached_token", REMEDY)
    or require_method(name, cache, "save_token_to_cache", REMEDY)
    or cache.try_lock
    and require_method(name, cache, "unlock", "what has try_lock must release it")
end

local function take_cache(draft)
  local cache, store = draft.checked.cache, draft.checked.store
  draft.flow.process = draft.io.process
  if store ~= nil then
    draft.flow.store = store
    local problem = require("tokencache.store.check")(store)
    return cache ~= nil and "give cache, for one account, or store, for many; not both" or problem
  elseif cache == nil then
    local path, problem = require("tokencache.cache.file_path")()
    draft.flow.cache = path and require("tokencache.cache.file") { cache_path = path }
    return problem and "no cache is given, and " .. problem
      .. "; give cache = tokencache.cache.file { cache_path = ... }"
  end
  draft.flow.cache = cache
  return config.problem_of_cache("cache", cache)
end

local function take_transport(draft)
  local checked = draft.checked
  if checked.http then
    draft.flow.transport = checked.http
    return require_method("http", checked.http, "request", "see docs/transports.md")
  end
  draft.flow.transport = draft.io.transport {
    proxy = checked.proxy,
    ca_file = checked.ca_file,
    connect_timeout = checked.connect_timeout,
  }
end

local LATEST = 253402300799 -- Unix seconds: the end of the year 9999

--- Wraps the clock by which tokens are judged, so that a wrong value raises and names the clock.
local function checked_clock(name, clock)
  if clock == core.now then
    return clock
  end
  return function()
    local now = clock()
    if type(now) ~= "number" or not (now >= 0 and now <= LATEST) then
      error(name .. " must return Unix seconds, not " .. in_words(now, true), 0)
    end
    return now
  end
end

--- Returns a function that reads both clocks; or false if both are the system's, which the engine
--- reads itself.
local function clocks(now, monotonic)
  if now == core.now and monotonic == core.monotonic then
    return false
  end
  return function()
    return now(), monotonic()
  end
end

local function take_rest(draft)
  local flow, checked = draft.flow, draft.checked
  flow.client_id, flow.dpop = checked.client_id, checked.dpop or nil
  flow.id_token_issuer = draft.server.id_token_issuer
  flow.io = draft.io
  flow.now = checked.clock and checked_clock("clock", checked.clock)
    or checked_clock("io.now", draft.io.now)
  flow.clocks = clocks(flow.now, draft.io.monotonic)
  flow.leeway = checked.leeway
  flow.timeout = checked.timeout
  flow.request_time = checked.request_time
  provider.add_to(flow, draft.server)
  flow.endpoints = {}
  for _, name in ipairs(provider.endpoints) do
    local url = draft.server[name]
    local problem = url
      and core.problem_of_endpoint("provider: " .. name, url, flow.allow_insecure_http)
    if problem then
      return problem
    end
    flow.endpoints[name] = url
  end
end

--- Each adds to the draft, or returns what is wrong. Not by raising: some call what is the user's,
--- which may yield, and so must not run under a pcall.
local steps = {
  read_tables, read_environment, require_options, make_client, take_cache, take_transport,
  take_rest,
}

--- The fields of a flow, or what is wrong with its options.
---@param definition tokencache.FlowDefinition
---@param given table
---@return table?
---@return string? problem
function config.read(definition, given)
  local draft = { definition = definition, given = given, flow = {} }
  for _, step in ipairs(steps) do
    local problem = step(draft)
    if problem then
      return nil, problem
    end
  end
  local problem = definition.complete
    and definition.complete(draft.flow, draft.checked, draft.server)
  if problem then
    return nil, problem
  end
  return draft.flow
end

return config
