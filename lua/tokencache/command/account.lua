--- The accounts of the command: where their tokens are, and their flows.

local config = require "tokencache.command.config"
local core = require "tokencache._core"
local from_store = require "tokencache.cache.from_store"
local say = require "tokencache.command.say"

local accounts = {}

--- What a command prints, run by the shell.
---@param name string     of the setting
---@param command string  which may hold a password, so it is not shown
---@param path string     of the file that the setting is in
---@return string
function accounts.output_of(name, command, path)
  core.process.hold_signals(false) -- or they would be blocked for the command too
  local pipe = io.popen(command, "r")
  local text = pipe:read("*a"):gsub("\r?\n$", "")
  local ok, _, status = pipe:close()
  if not ok or text == "" then
    say.fail("config", name .. (ok and " printed nothing"
      or " failed" .. (status and " with status " .. status or "")), config.edit(path))
  end
  return text
end

--- Makes both directories, for this user alone.
function accounts.make_directories()
  for _, path in ipairs { config.directory() .. "/accounts", config.state_directory() } do
    local there = io.open(path)
    if there then
      there:close()
    else
      os.execute("umask 077; exec mkdir -p " .. config.quoted(path)) -- it says what is wrong
    end
  end
end

--- What a constructor that has raised says.
local function complaint(raised)
  return (tostring(raised):match "^[^\n]*":gsub("^%S+:%d+: ", ""))
end

local store

local makes = {}

function makes.file()
  return require "tokencache.store.file" { directory = config.state_directory() }
end

function makes.encrypted(common)
  if not common.passphrase_command then
    say.fail("config", config.common_path() .. ': the store "encrypted" needs passphrase_command',
      config.edit(config.common_path()))
  end
  local secret = accounts.output_of("passphrase_command", common.passphrase_command,
    config.common_path())
  return require "tokencache.store.encrypted"(makes.file(),
    { keys = { command = secret }, use = "command" })
end

makes["secret-service"] = function(common)
  return require "tokencache.store.secret_service" { collection = common.collection,
    unlock = common.unlock }
end

--- Where tokens are kept.
---@return tokencache.Store
function accounts.store()
  if not store then
    local common = config.common()
    local make = makes[common.store]
    if not make then
      say.fail("config", config.common_path() .. ': store must be "file", "encrypted" or '
        .. '"secret-service"', config.edit(config.common_path()))
    end
    local ok, made = pcall(make, common)
    if not ok then
      say.fail(made.kind or "config", made.message or complaint(made), made.step)
    end
    store = made
  end
  return store
end

--- The handler of an account's token, which asks no provider.
---@param name string
---@return tokencache.CacheHandler
function accounts.kept(name)
  return from_store(accounts.store(), name)
end

--- No name of an account has a colon.
local function secret_key(name)
  return "client_secret:" .. name
end

---@param name string
---@return string?
local function secret_of(name, settings)
  if settings.client_secret_command then
    return accounts.output_of("client_secret_command", settings.client_secret_command,
      config.path(name))
  end
  local secret, err = accounts.store():get(secret_key(name))
  if err ~= nil then
    say.fail_with(name, err)
  end
  return secret
end

--- Keeps a client's secret where the tokens are.
---@param name string
---@param secret? string  nil: forgets it
function accounts.keep_secret(name, secret)
  local kept = accounts.store()
  local ok, err
  if secret then
    ok, err = kept:set(secret_key(name), secret)
  else
    ok, err = kept:delete(secret_key(name))
  end
  if not ok and err ~= nil then
    say.fail_with(name, err)
  end
end

--- What is in a file, or comes by stdin.
---@param path string  "-": stdin
---@return string?
---@return string? problem
function accounts.read(path)
  local file, problem = io.stdin, nil
  if path ~= "-" then
    file, problem = io.open(path, "rb")
  end
  return file and file:read "*a", problem
end

--- Reads a client's secret.
---@param path string
---@return string
function accounts.read_secret(path)
  local text, problem = accounts.read(path)
  text = text and text:gsub("%s+$", "")
  if not text or text == "" then
    say.fail("usage", problem or path .. ": there is no secret in it")
  end
  return text
end

local PARTS = { "tenant", "host", "realm", "domain", "server" }

---@return tokencache.Provider
function accounts.provider_of(name, settings)
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
    say.fail("config", name .. ": " .. complaint(preset),
      "tokencache set " .. name .. " --provider ...")
  end
  local parts = {}
  for _, part in ipairs(PARTS) do
    parts[part] = settings[part]
  end
  if next(parts) or type(preset) == "function" then
    ok, preset = pcall(preset, parts)
    if not ok then
      say.fail("config", name .. ": " .. complaint(preset),
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
function accounts.open(name, settings, ways)
  local kept = accounts.store()
  accounts.make_directories()
  local secret = secret_of(name, settings)
  local provider = accounts.provider_of(name, settings)
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
    say.fail("config", name .. ": " .. complaint(made),
      "tokencache set " .. name .. " --help")
  end
  return made:account(name)
end

return accounts
