--- The JWT bearer grant (RFC 7523 §2.1): a signed statement of who somebody is, for a token. So do
--- Google's service accounts get theirs.

local assertion = require "tokencache.flow.assertion"
local base = require "tokencache.flow.base"
local config = require "tokencache.flow.config"
local endpoint = require "tokencache.transport.endpoint"
local errors = require "tokencache.error"
local hidden = require "tokencache.util.hidden"
local json = require "tokencache.json"
local options = require "tokencache.util.options"
local secret = require "tokencache.util.secret"

local LIFE = 3600 -- seconds of an assertion: Google's most
local SECRET = { "string", "table", "function" }

---@class tokencache.JwtBearerOptions: tokencache.FlowOptions
---@field service_account? string|tokencache.Secret  the path of Google's JSON file, as it is
---                                downloaded, or a function that returns what is in it
---@field assertion? tokencache.Secret  ready-made
---@field assertion_key? tokencache.Secret  PEM or a JWK, that signs one
---@field assertion_key_passphrase? tokencache.Secret
---@field assertion_key_id? string  kid; default: the JWK's
---@field assertion_issuer? string  iss; default: client_id
---@field assertion_audience? string  aud; default: the token endpoint
---@field subject? string          sub: whose token it is to be; default: the issuer's own
---@field claims? table            further ones

local rules = options.merge(config.rules, {
  service_account = { SECRET },
  assertion = { SECRET },
  assertion_key = { SECRET },
  assertion_key_passphrase = { SECRET },
  assertion_key_id = { "string" },
  assertion_issuer = { "string" },
  assertion_audience = { "string" },
  subject = { "string" },
  claims = { "table" },
})

local SOURCES = { "service_account", "assertion", "assertion_key", "assertion_key_passphrase" }
local OF_KEY = { "assertion_key_passphrase", "assertion_key_id", "assertion_issuer" }
local OF_STATEMENT = { "subject", "claims", "assertion_audience", OF_KEY[1], OF_KEY[2], OF_KEY[3] }
local FIELDS = { "client_email", "private_key", "token_uri" }

--- What Google's file says. What is wrong with it holds nothing of it.
---@param source tokencache.Secret
---@return table?
---@return string? problem
local function read_service_account(source)
  local name = type(source) == "table" and "service_account: " .. source.file or "service_account"
  local text, problem = secret.read(source, false)
  local object = text and endpoint.object { body = text }
  if not text then
    return nil, "service_account: " .. problem
  elseif not object then
    return nil, name .. " holds no JSON object; give the file of a key as Google makes it"
  elseif object.type ~= "service_account" then
    return nil, name .. ' is no key of a service account: its type is not "service_account"'
  end
  for _, field in ipairs(FIELDS) do
    if type(object[field]) ~= "string" or object[field] == "" then
      return nil, name .. " lacks " .. field
    end
  end
  object.name = name
  return object
end

local function name_of(option, source)
  return type(source) == "table" and source.file or option
end

--- The key of who makes the statement, and what its header and claims say of him.
---@return tokencache.SigningKey?
---@return table|string header  or what is wrong
---@return table? claims
local function issuer_of(self, given)
  local claims = options.merge(given.claims or {}, { sub = given.subject })
  if given.service_account then
    local account, problem = read_service_account(given.service_account)
    local scope = self.client:scope()
    if not account then
      return nil, problem
    end
    claims.iss, claims.scope = account.client_email, scope ~= "" and scope or nil
    return { text = account.private_key, name = account.name .. ": its private_key" },
      { typ = "JWT", kid = type(account.private_key_id) == "string" and account.private_key_id
        or nil }, claims
  end
  local text, problem = secret.read(given.assertion_key, false)
  local passphrase, why = secret.read(given.assertion_key_passphrase, false)
  if problem or why then
    return nil, problem and "assertion_key: " .. problem or "assertion_key_passphrase: " .. why
  end
  claims.iss = given.assertion_issuer or self.client_id
  claims.sub = claims.sub or claims.iss
  return { text = text, passphrase = passphrase, option = "assertion_key",
    name = name_of("assertion_key", given.assertion_key) },
    { typ = "JWT", kid = given.assertion_key_id }, claims
end

---@return string?
---@return tokencache.Error?
local function made_assertion(self, given, deadline)
  if given.assertion then
    local text, problem = secret.read(given.assertion, false)
    return text, problem and errors.new("config", "assertion: " .. problem) or nil
  end
  local key, header, claims = issuer_of(self, given)
  if not key then
    return nil, errors.new("config", header)
  end
  local audience, err = given.assertion_audience, nil
  if not audience then
    audience, err = self:_endpoint("token_url", deadline)
  end
  local text
  if audience then
    text, err = assertion.claims(self, claims, audience, LIFE)
  end
  if not text then
    return nil, err
  end
  return assertion.signature().sign(key, header, text)
end

local function grant_params(self, _, deadline)
  local text, err = made_assertion(self, self.grant(), deadline)
  return text and { "assertion", text }, err
end

local new = base.define {
  name = "jwt_bearer",
  rules = rules,
  auth_method = "client_secret_basic",
  may_be_public = true,
  grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer",
  about = function(checked)
    for _, name in ipairs(SOURCES) do
      local problem = (name == "assertion_key" and secret.problem_of_key
        or secret.problem)(checked[name])
      if problem then
        return nil, name .. " " .. problem
      end
    end
    local claims, problem = json.encode(checked.claims or {})
    return claims and { claims, checked.subject or "", checked.assertion_issuer or "",
      checked.assertion_audience or "", secret.source(checked.service_account),
      secret.source(checked.assertion) }, problem and "claims: " .. problem
  end,
  complete = function(self, checked)
    local count = 0
    for _, name in ipairs(SOURCES) do
      count = count + (checked[name] and name ~= "assertion_key_passphrase" and 1 or 0)
    end
    if count ~= 1 then
      return "give one of service_account, assertion and assertion_key"
    end
    for _, name in ipairs(checked.assertion and OF_STATEMENT or checked.service_account and OF_KEY
      or {}) do
      if checked[name] then
        return name .. " is of no use " .. (checked.assertion and "beside assertion"
          or "beside service_account") .. "; leave it out"
      end
    end
    self.is_unnamed = checked.token_endpoint_auth_method ~= "none" -- else it was asked to say who
    self.signs = not checked.assertion
    self.grant, self.grant_params = hidden(checked), grant_params
  end,
}

--- A service account's file says what else a flow needs.
local function with_service_account(given)
  local source = type(given) == "table" and given.service_account
  if type(source) == "string" then
    if secret.is_no_path(source) then
      return nil, "service_account is what is in the file; give its path, or a function that "
        .. "returns this"
    end
    source = { file = source }
  end
  local kind = type(source)
  if kind ~= "table" and kind ~= "function" then
    return given
  end
  local misuse = secret.problem(source)
  if misuse then
    return nil, "service_account " .. misuse
  end
  local account, problem = read_service_account(source)
  if not account then
    return nil, problem
  end
  return options.merge({
    provider = { name = "Google", token_url = account.token_uri },
    client_id = account.client_email,
  }, options.merge(given, { service_account = source }))
end

---@param given tokencache.JwtBearerOptions
---@return tokencache.Flow
return function(given, where, level)
  local all, problem = with_service_account(given)
  if not all then
    error((where or "flow.jwt_bearer") .. ": " .. problem, level or 2)
  end
  local flow = new(all, where, (level or 2) + 1)
  return flow
end
