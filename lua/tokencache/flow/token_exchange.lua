--- Token exchange (RFC 8693): somebody's token for another one, which is good elsewhere. Who asks
--- acts as that somebody, or, with a token of an actor's, in his name.

local Account = require "tokencache.account"
local base = require "tokencache.flow.base"
local config = require "tokencache.flow.config"
local crypto = require "tokencache.crypto"
local core = require "tokencache._core"
local errors = require "tokencache.error"
local hidden = require "tokencache.util.hidden"
local options = require "tokencache.util.options"
local secret = require "tokencache.util.secret"

local TYPE = "urn:ietf:params:oauth:token-type:"
local SECRET = { "string", "table", "function" }

---@class tokencache.TokenExchangeOptions: tokencache.FlowOptions
---@field subject_token? tokencache.Secret  of a flow with one account; of a flow with store= each
---                                account has its own: flow:subject(token)
---@field subject_token_type? string  "access_token" (the default), "jwt", "id_token", "saml2", or a
---                                URN
---@field actor_token? tokencache.Secret  who acts for the subject
---@field actor_token_type? string  likewise
---@field requested_token_type? string  likewise; default: the provider's choice
---@field audience? string|string[]  for whom the new token is to be
---@field resource? string|string[]  likewise, by URL

---@class tokencache.TokenExchangeFlow: tokencache.Flow
---@field grant fun(): table
local TokenExchangeFlow = {}

local TYPES = { access_token = true, refresh_token = true, id_token = true, jwt = true,
  saml1 = true, saml2 = true } -- RFC 8693 §3

local function type_of(text)
  return text and (text:find(":", 1, true) and text or TYPE .. text)
end

--- What an exchange is about, from which the account's key is made.
local function key_of(self, subject_token, actor_token)
  local given = self.grant()
  local parts = { self.issuer or self.endpoints.token_url, self.client_id, self.client:scope(),
    table.concat(given.fixed, "\n"), self.client:form({}, true), given.subject_token_type or "",
    given.actor_token_type or "", secret.source(given.actor_token), subject_token,
    actor_token or "" }
  for i, part in ipairs(parts) do
    parts[i] = #part .. ":" .. part
  end
  local digest, err = crypto.sha256(table.concat(parts))
  return digest and { "exchange", core.base64url_encode(digest) }, err
end

local SUBJECT_RULES = { actor_token = { "string" } }

--- The account of whoever a token is of. Its key is a digest, which does not lead back to that.
---@param subject_token string
---@param opts? { actor_token?: string }
---@return tokencache.Account?
---@return tokencache.Error?
function TokenExchangeFlow:subject(subject_token, opts)
  local checked, misuse = options.read(opts, SUBJECT_RULES)
  local problem = config.misused(self) or misuse
    or not self.store and "this flow has one cache, and so one subject; give it store="
    or (type(subject_token) ~= "string" or subject_token == "")
    and "subject_token must be a string that is not empty"
  if problem then
    error("subject: " .. problem, 2)
  end
  local key, err = key_of(self, subject_token, checked.actor_token)
  if not key then
    return nil, err
  end
  local account = self:account(key)
  account.exchanged = account.exchanged
    or hidden { subject_token = subject_token, actor_token = checked.actor_token }
  return account
end

--- A token as it is now, and its type.
local function add_token(list, name, source, kind)
  local text, problem = secret.read(source, false)
  if not text then
    return errors.new("config", name .. ": " .. problem)
  end
  for _, value in ipairs { name, text, name .. "_type", type_of(kind or "access_token") } do
    list[#list + 1] = value
  end
end

local function grant_params(self, account)
  local given, list = self.grant(), {}
  local exchanged = account.exchanged and account.exchanged() or given
  local actor = exchanged.actor_token or given.actor_token
  if not exchanged.subject_token then
    return nil, errors.new("config", "this account has no token to exchange; get it by "
      .. "flow:subject(token)")
  end
  local err = add_token(list, "subject_token", exchanged.subject_token, given.subject_token_type)
    or actor and add_token(list, "actor_token", actor, given.actor_token_type)
  for _, value in ipairs(given.fixed) do
    list[#list + 1] = value
  end
  return not err and list or nil, err or nil
end

--- For whom and for what the new tokens are.
local function fixed_params(checked)
  return config.params("audience and resource", {
    audience = checked.audience, resource = checked.resource,
    requested_token_type = type_of(checked.requested_token_type),
  }, {})
end

local function problem_of_secrets(checked)
  for _, name in ipairs { "subject_token", "actor_token" } do
    local problem = secret.problem(checked[name])
    if problem then
      return name .. " " .. problem
    end
  end
end

---@type fun(opts: tokencache.TokenExchangeOptions): tokencache.TokenExchangeFlow
return base.define {
  name = "token_exchange",
  rules = options.merge(config.rules, {
    subject_token = { SECRET },
    subject_token_type = { "string" },
    actor_token = { SECRET },
    actor_token_type = { "string" },
    requested_token_type = { "string" },
    audience = { { "string", "table" } },
    resource = { { "string", "table" } },
  }),
  methods = TokenExchangeFlow,
  account_methods = options.merge(Account, {}),
  auth_method = "client_secret_basic",
  may_be_public = true,
  grant_type = "urn:ietf:params:oauth:grant-type:token-exchange",
  about = function(checked)
    local problem, fixed = problem_of_secrets(checked), nil
    if not problem then
      fixed, problem = fixed_params(checked)
    end
    return fixed and { core.form_encode(fixed), checked.subject_token_type or "",
      checked.actor_token_type or "", secret.source(checked.subject_token),
      secret.source(checked.actor_token) }, problem
  end,
  complete = function(self, checked)
    for _, name in ipairs { "subject_token_type", "actor_token_type", "requested_token_type" } do
      local kind = checked[name]
      if kind and not TYPES[kind] and not kind:find(":", 1, true) then
        return name .. " must be access_token, refresh_token, id_token, jwt, saml1, saml2 or a URN"
      end
    end
    if (checked.subject_token ~= nil) == (checked.store ~= nil) then
      return "give subject_token, for one account, or store, for many; of these each has its own, "
        .. "see flow:subject"
    end
    self.token_types = options.merge(self.token_types or {}, { n_a = true }) -- RFC 8693 §2.2.1
    self.grant = hidden { fixed = fixed_params(checked), subject_token = checked.subject_token,
      subject_token_type = checked.subject_token_type, actor_token = checked.actor_token,
      actor_token_type = checked.actor_token_type }
    self.grant_params = grant_params
  end,
}
