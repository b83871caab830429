--- The flows that the settings of accounts stand for.

local say = require "tokencache.command.say"
local storage = require "tokencache.command.storage"

local flows = {}

local PARTS = { "tenant", "host", "realm", "domain", "server" }

---@return tokencache.Provider
function flows.provider_of(name, settings)
  local given = settings.provider
  if type(given) ~= "string" then
    if not given and not settings.issuer then
      say.fail("config", name .. " has neither provider nor issuer",
        "tokencache set " .. name .. " --provider ...")
    end
    given = given or {}
    given.issuer = settings.issuer or given.issuer
    return given
  end
  local ok, preset = pcall(function() return require("tokencache").provider[given] end)
  if not ok then
    say.fail("config", name .. ": " .. storage.complaint(preset),
      "tokencache set " .. name .. " --provider ...")
  end
  local parts = {}
  for _, part in ipairs(PARTS) do
    parts[part] = settings[part]
  end
  if next(parts) or type(preset) == "function" then
    ok, preset = pcall(preset, parts)
    if not ok then
      say.fail("config", name .. ": " .. storage.complaint(preset),
        "tokencache set " .. name .. " --help")
    end
  end
  return preset
end

local REDIRECTS = {
  microsoft = "http://localhost:0",
  spotify = "http://127.0.0.1:8888/callback",
}

---@return string flow  its name
local function flow_of(name, settings, provider, secret)
  if settings.grant == "client_credentials" then
    return "client_credentials"
  elseif settings.grant then
    say.fail("config", name .. ': grant may be "client_credentials", or be left out',
      "tokencache set " .. name .. ' --grant ""')
  elseif not provider.authorize_url and not provider.issuer then
    return "device"
  end
  return secret and "authorization_code" or "pkce"
end

--- The account, ready for everything.
---@param name string
---@param settings table
---@param ways? string[]  of logging in; nil: nobody is asked to
---@return tokencache.Account
function flows.open(name, settings, ways)
  local kept = storage.store()
  storage.make_directories()
  local secret = storage.secret_of(name, settings)
  local provider = flows.provider_of(name, settings)
  local flow = flow_of(name, settings, provider, secret)
  local given = {
    provider = provider, store = kept, client_id = settings.client_id, client_secret = secret,
    scope = settings.scope, token_endpoint_auth_method = settings.token_endpoint_auth_method,
    token_params = settings.token_params, proxy = settings.proxy, ca_file = settings.ca_file,
    io = require "tokencache.command.shield",
  }
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
    say.fail("config", name .. ": " .. storage.complaint(made),
      "tokencache set " .. name .. " --help")
  end
  return made:account(name)
end

return flows
