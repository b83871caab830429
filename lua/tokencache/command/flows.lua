--- The flows that the settings of accounts stand for.

local config = require "tokencache.command.config"
local owner = require "tokencache.command.owner"
local say = require "tokencache.command.say"
local storage = require "tokencache.command.storage"

local flows = {}

--- What the library says of options, said of settings: what it says comes first, then what helps.
local IN_WORDS = {
  { "^%l+%.[%w_]+: ", "" }, { "^provider: ", "" },
  { "^tokencache%.provider has no ", "there is no preset " },
  { "; or allow_insecure_http.*$", "" },
  { "^(%l+) is required$", "%0: give --%1" },
  { ": pass client_secret=$", ": give --client-secret-file, --client-secret-command or "
    .. "--client-key" },
  { "; give { file = path }", "; give its path" },
  { "^[%w_]+ is of no use .*leave it out$", function(text)
    local name = text:match "^[%w_]+"
    local is_secret = storage.no_secrets[name] == false
    return text .. ", by --" .. name:gsub("_", "-") .. (is_secret and '-file ""' or ' ""')
  end },
  { ": pass ([%w_]+)=$", function(option) return ": give --" .. option:gsub("_", "-") end },
}

---@param raised any  by a constructor
local function fail(name, raised)
  local text = storage.complaint(raised)
  for _, words in ipairs(IN_WORDS) do
    text = text:gsub(words[1], words[2])
  end
  say.fail("config", name .. ": " .. text, "tokencache set " .. name .. " --help")
end

local PARTS = { "tenant", "host", "realm", "domain", "server" }

---@return tokencache.Provider
function flows.provider_of(name, settings)
  local given = settings.provider
  if type(given) ~= "string" then
    if not given and not settings.issuer then
      fail(name, "neither provider nor issuer is given")
    end
    given = given or {}
    given.issuer = settings.issuer or given.issuer
    return given
  end
  local ok, preset = pcall(function() return require("tokencache").provider[given] end)
  if not ok then
    fail(name, preset)
  end
  local parts = {}
  for _, part in ipairs(PARTS) do
    parts[part] = settings[part]
  end
  if next(parts) or type(preset) == "function" then
    ok, preset = pcall(preset, parts)
    if not ok then
      fail(name, preset)
    end
  end
  return preset
end

local REDIRECTS = {
  microsoft = "http://localhost:0",
  spotify = "http://127.0.0.1:8888/callback",
}

---@return string flow  its name
local function flow_of(name, settings, provider, is_confidential)
  if settings.grant == "client_credentials" then
    return "client_credentials"
  elseif settings.grant then
    say.fail("config", name .. ': grant may be "client_credentials", or be left out',
      "tokencache set " .. name .. ' --grant ""')
  elseif not provider.authorize_url and not provider.issuer then
    return "device"
  end
  return is_confidential and "authorization_code" or "pkce"
end

--- Settings that are options of all flows.
local OPTIONS = { "client_id", "client_key_id", "client_assertion_type", "scope",
  "token_endpoint_auth_method", "token_endpoint_auth_signing_alg", "token_params", "proxy",
  "ca_file", "timeout", "request_time" }

local FILES = { "client_key", "client_certificate", "client_assertion" }

local function has_own_key(settings)
  return settings.client_key or settings.client_assertion
end

---@return tokencache.Flow
local function new_flow(name, settings, secrets, kept, ways)
  local provider = flows.provider_of(name, settings)
  local flow = flow_of(name, settings, provider, secrets.client_secret or has_own_key(settings))
  local given = { provider = provider, store = kept, io = require "tokencache.command.shield" }
  for _, option in ipairs(OPTIONS) do
    given[option] = settings[option]
  end
  for _, option in ipairs(FILES) do
    given[option] = settings[option] and { file = settings[option] }
  end
  for option, text in pairs(secrets) do
    given[option] = text or nil
  end
  if flow ~= "client_credentials" then
    given.authorize_params = settings.authorize_params
    if not ways then
      given.authorize = false
    end
  end
  if flow == "pkce" or flow == "authorization_code" then
    given.redirect_uri = settings.redirect_uri or REDIRECTS[settings.provider]
      or "http://127.0.0.1:0/callback"
    given.login = ways
    given.pkce = flow == "authorization_code" and true or nil
  end
  local ok, made = pcall(require("tokencache").flow[flow], given)
  if not ok then
    fail(name, made)
  end
  return made
end

--- Fails where no flow can be made of the settings. Nothing is kept, sent or asked.
---@param name string
---@param settings table
---@param secrets? tokencache.SecretChanges  nil: those that are needed are there
---@return tokencache.Flow  without its store
function flows.check(name, settings, secrets)
  local given = secrets and {} or { client_secret = not has_own_key(settings) and "-" }
  for _, secret in ipairs(config.secrets) do
    given[secret] = given[secret] or secrets and secrets[secret]
      or settings[secret .. "_command"] and "-"
  end
  return new_flow(name, settings, given, require "tokencache.store.memory"())
end

--- The account, ready for everything.
---@param name string
---@param settings table
---@param ways? string[]  of logging in; nil: nobody is asked to
---@return tokencache.Account
function flows.open(name, settings, ways)
  local kept = storage.store()
  storage.make_directories()
  owner.take(name, settings)
  return new_flow(name, settings, storage.secrets_of(name, settings), kept, ways):account(name)
end

return flows
