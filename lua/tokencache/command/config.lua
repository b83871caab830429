--- Where things are, and what the user has chosen: for each account a file of Lua assignments,
--- which people edit and `tokencache set` changes line by line. It holds no secrets.

local core = require "tokencache._core"
local options = require "tokencache.util.options"
local say = require "tokencache.command.say"

local config = {}

--- The settings of an account that have an option of the command line, in their order.
config.fields = {
  { "provider", "PRESET", "a provider by its name: google, microsoft, github, ..." },
  { "issuer", "URL", "any other provider that publishes its metadata" },
  { "tenant", "ID", "of microsoft" },
  { "host", "HOST", "of gitlab and keycloak" },
  { "realm", "NAME", "of keycloak" },
  { "domain", "HOST", "of auth0 and okta" },
  { "client_id", "ID", "of the program that you have registered at the provider" },
  { "client_secret_command", "COMMAND", "prints the client's secret; without it, see "
    .. "--client-secret-file" },
  { "scope", "SCOPES", "separated by blanks" },
  { "redirect_uri", "URI", "as registered; default: http://127.0.0.1, any port" },
  { "grant", "GRANT", '"client_credentials": the program acts for itself, and nobody logs in' },
}

local LONGEST_NAME = 100

local account_rules = {
  provider = { { "string", "table" } }, token_endpoint_auth_method = { "string" },
  authorize_params = { "table" }, token_params = { "table" }, proxy = { "string" },
  ca_file = { "string" }, server = { { "string", "boolean" } },
  redirect_uri = { { "string", "table" } }, scope = { { "string", "table" } },
}
for _, field in ipairs(config.fields) do
  account_rules[field[1]] = account_rules[field[1]] or { "string" }
end

local common_rules = {
  store = { "string", default = "file" },
  passphrase_command = { "string" },
  collection = { "string" },
  unlock = { "boolean" },
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

local function is_name(text)
  return text:find("^[%w_][%w_.@+-]*$") and #text <= LONGEST_NAME
end

---@param name string  of an account
---@return string path
function config.path(name)
  if not is_name(name) then
    say.fail("usage", '"' .. core.printable(name) .. '" is no name of an account: letters, digits '
      .. "and _ . @ + - only")
  end
  return config.directory() .. "/accounts/" .. name .. ".lua"
end

--- A word of the shell.
---@param word string
---@return string
function config.quoted(word)
  return word:find("^[%w_./:@%%+=-]+$") and word or "'" .. word:gsub("'", "'\\''") .. "'"
end

--- Runs a file of assignments in an environment that has nothing else.
---@param path string
---@param text string
---@return table? assigned
---@return string? problem
function config.evaluate(path, text)
  local assigned = {}
  local chunk, problem
  if text:sub(1, 1) == "\27" then
    return nil, path .. " is compiled; only text will do"
  elseif _VERSION == "Lua 5.1" then
    chunk, problem = loadstring(text, "@" .. path) -- luacheck: ignore 113
    chunk = chunk and setfenv(chunk, assigned) -- luacheck: ignore 113
  else
    chunk, problem = load(text, "@" .. path, "t", assigned)
  end
  if not chunk then
    return nil, problem
  end
  local ok, why = pcall(chunk)
  return ok and assigned or nil, not ok and tostring(why) or nil
end

--- The command that lets a person mend a file.
---@param path string
---@return string
function config.edit(path)
  return "${EDITOR:-vi} " .. config.quoted(path)
end

--- What is read is checked: a typo must not be silence. Files of others are refused, for they may
--- name commands.
local function read(path, rules)
  local text, err, doubt = core.file.read(path)
  if err then
    say.fail("config", tostring(err), "ls -l " .. config.quoted(path))
  elseif doubt then
    say.note(path, ": ", doubt)
  end
  local assigned, checked, problem
  if text then
    assigned, problem = config.evaluate(path, text)
  end
  if assigned then
    checked, problem = options.read(assigned, rules)
    problem = problem and path .. ": " .. problem
  end
  if problem then
    say.fail("config", problem, config.edit(path))
  end
  return checked, text
end

--- The file with the settings of all accounts.
---@return string path
function config.common_path()
  return config.directory() .. "/config.lua"
end

---@return { store: string, passphrase_command?: string, collection?: string, unlock?: boolean }
function config.common()
  return read(config.common_path(), common_rules) or { store = "file" }
end

---@param name string
---@return table? settings  nil: there is no such account
---@return string? text     of its file
function config.find(name)
  return read(config.path(name), account_rules)
end

--- The same; there must be one.
---@param name string
---@return table settings
function config.account(name)
  local settings = config.find(name)
  if not settings then
    say.fail("config", name .. ": there is no such account; tokencache list shows those that there "
      .. "are", "tokencache login " .. name .. " --provider ...")
  end
  return settings
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
