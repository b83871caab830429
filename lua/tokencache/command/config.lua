--- Where things are, and what the user has chosen: for each account a file of assignments as Lua
--- has them, which people edit and `tokencache set` changes line by line. It holds no secrets.

local core = require "tokencache._core"
local data = require "tokencache.command.data"
local options = require "tokencache.util.options"
local say = require "tokencache.command.say"

local config = {}

--- The settings of an account that have an option of the command line, in their order.
config.fields = {
  { "provider", "PRESET", "a provider by its name: atlassian, auth0, discord, dropbox, github, "
    .. "gitlab, google, keycloak, microsoft, okta, reddit, slack, spotify, strava, twitch, zoom" },
  { "issuer", "URL", "any other provider that publishes its metadata" },
  { "tenant", "ID", "of microsoft" },
  { "host", "HOST", "of gitlab and keycloak" },
  { "realm", "NAME", "of keycloak" },
  { "domain", "HOST", "of auth0 and okta" },
  { "client_id", "ID", "of the program that you have registered at the provider" },
  { "client_secret_command", "COMMAND", "prints the client's secret; without it, see "
    .. "--client-secret-file" },
  { "client_key", "FILE", "with the client's private key, PEM or a JWK; in place of a secret" },
  { "client_key_id", "ID", "by which the provider finds the key; of a JWK its own" },
  { "client_key_passphrase_command", "COMMAND", "prints the key's passphrase; without it, see "
    .. "--client-key-passphrase-file" },
  { "client_certificate", "FILE", "with the client's certificate" },
  { "client_assertion", "FILE", "with a ready-made assertion, such as a platform writes" },
  { "token_endpoint_auth_method", "METHOD", "how the client proves who it is, where that is not "
    .. 'plain: "tls_client_auth" and the like' },
  { "scope", "SCOPES", "separated by blanks" },
  { "redirect_uri", "URI", "as registered; default: http://127.0.0.1:0/callback, where 0 is any "
    .. "free port; of microsoft http://localhost:0, of spotify http://127.0.0.1:8888/callback" },
  { "grant", "GRANT", '"client_credentials": the program acts for itself, and nobody logs in; '
    .. "default: somebody does" },
}

--- What no settings hold: the output of a command, or kept beside the tokens.
config.secrets = { "client_secret", "client_key_passphrase" }

--- Settings that are paths, of files that are read anew each time.
config.paths = { "client_key", "client_certificate", "client_assertion", "ca_file" }

local LONGEST_NAME = 100

local account_rules = {
  provider = { { "string", "table" } },
  authorize_params = { "table" }, token_params = { "table" }, proxy = { "string" },
  server = { { "string", "boolean" } },
  client_assertion_type = { "string" }, token_endpoint_auth_signing_alg = { "string" },
  timeout = { "number>0" }, request_time = { "number>0" },
  redirect_uri = { { "string", "table" } }, scope = { { "string", "table" } },
}
for _, field in ipairs(config.paths) do
  account_rules[field] = { { "string", "table" } }
end
for _, field in ipairs(config.fields) do
  account_rules[field[1]] = account_rules[field[1]] or { "string" }
end

local common_rules = {
  store = { "string", default = "file" },
  passphrase_command = { "string" },
  collection = { "string" },
  unlock = { "boolean" },
  plaintext = { "string" },
  allow_foreign = { "boolean" },
}

--- A directory of the XDG Base Directory Specification; a relative path there is to be ignored.
local function base(variable, beneath)
  local path = os.getenv(variable)
  if path and path:sub(1, 1) == "/" then
    return path .. "/tokencache"
  end
  local home = os.getenv "HOME"
  if not home or home == "" then
    say.fail("config", "neither HOME nor " .. variable .. " is set", "export HOME=...")
  end
  return home .. beneath .. "/tokencache"
end

---@return string path  of what people write
function config.directory()
  return base("XDG_CONFIG_HOME", "/.config")
end

---@return string path  of tokens and secrets
function config.state_directory()
  return base("XDG_STATE_HOME", "/.local/state")
end

---@param name string  of an account
---@return string path  of its token, where those are files
function config.token_path(name)
  return config.state_directory() .. "/" .. require "tokencache.store.file_name".of(name)
end

local function is_name(text)
  return text:find("^[%w_][%w_.@+-]*$") and #text <= LONGEST_NAME
end

---@param name string  of an account
---@return string path
function config.path(name)
  if not is_name(name) then
    say.fail("usage", '"' .. core.printable(name) .. '" is no name of an account: letters, digits '
      .. "and _ . @ + - only, a letter, a digit or _ first; " .. LONGEST_NAME .. " at most")
  end
  return config.directory() .. "/accounts/" .. name .. ".lua"
end

--- The command that lets a person mend a file.
---@param path string
---@return string
function config.edit(path)
  return "${EDITOR:-vi} " .. say.quoted(path)
end

--- What is read is checked: a typo must not be silence. Files of others are refused, for they may
--- name commands.
local function read(path, rules)
  local text, err, doubt = core.file.read(path)
  if err then
    say.fail("config", tostring(err), "ls -l " .. say.quoted(path))
  elseif doubt then
    say.note(path, ": ", doubt)
  end
  if not text then
    return nil
  end
  local checked, problem = nil, nil
  local assigned, place = data(text)
  for _, name in ipairs(assigned and config.secrets or {}) do
    problem = problem or assigned[name] ~= nil and name .. " is no setting, for these hold no "
      .. "secrets; give --" .. name:gsub("_", "-") .. "-file to `tokencache set`, or "
      .. name .. "_command" or nil
  end
  if assigned and not problem then
    checked, problem = options.read(assigned, rules)
  end
  if not checked then
    say.fail("config", path .. ":" .. (place or " " .. problem:gsub("%?$", "")), config.edit(path))
  end
  return checked, text
end

--- The file with the settings of all accounts.
---@return string path
function config.common_path()
  return config.directory() .. "/config.lua"
end

---@class tokencache.CommonSettings   beside the store, its options as the library has them
---@field store "file"|"encrypted"|"secret-service"
---@field passphrase_command? string  of "encrypted"
---@field plaintext? "allow"
---@field allow_foreign? boolean      of "file" and "encrypted"
---@field collection? string          of "secret-service"
---@field unlock? boolean

---@return tokencache.CommonSettings
function config.common()
  return read(config.common_path(), common_rules) or { store = "file" }
end

---@param path string
---@param directory string  that a relative one begins at
---@return string
function config.absolute(path, directory)
  return path:find "^[^/]" and directory .. "/" .. path or path
end

---@param name string
---@return table? settings  nil: there is no such account
---@return string? text     of its file
function config.find(name)
  local settings, text = read(config.path(name), account_rules)
  for _, field in ipairs(settings and config.paths or {}) do
    local path = settings[field]
    path = type(path) == "table" and path.file or path -- { file = path }, as the library has it
    settings[field] = type(path) == "string"
      and not require "tokencache.util.secret".is_no_path(path)
      and config.absolute(path, config.directory() .. "/accounts") or path
  end
  return settings, text
end

---@param name string
---@return boolean  there is a file of it, whatever is in it
function config.is_there(name)
  local found = core.file.list(config.directory() .. "/accounts") or ""
  return ("/" .. found):find("/" .. name .. ".lua/", 1, true) ~= nil
end

--- The same as find; there must be one.
---@param name string
---@param is_wanted? boolean  whoever asks wants it made, and not another that is there
---@return table settings
function config.account(name, is_wanted)
  local settings = config.find(name)
  if settings then
    return settings
  end
  local near = require "tokencache.util.nearest"(name, config.names())
  if near then
    say.fail("config", "there is no account " .. name .. near)
  end
  say.fail("config", "there is no account " .. name, is_wanted
    and "tokencache login " .. name .. " --provider ... --client-id ..." or "tokencache list")
end

--- The names of all accounts, sorted.
---@return string[]
function config.names()
  local names = {}
  local listed = core.file.list(config.directory() .. "/accounts") or ""
  for entry in listed:gmatch("[^/]+") do
    local name = entry:match "^([^.].*)%.lua$" -- editors leave hidden files
    if name and is_name(name) then
      names[#names + 1] = name
    elseif name then
      say.note(core.printable(entry), ": no name of an account, and left out")
    end
  end
  table.sort(names)
  return names
end

return config
