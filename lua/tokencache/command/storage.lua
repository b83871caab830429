--- Where the command keeps things: its directories, the store of the tokens, and the secrets of
--- clients, which are beside the tokens.

local config = require "tokencache.command.config"
local core = require "tokencache._core"
local errors = require "tokencache.error"
local from_store = require "tokencache.cache.from_store"
local say = require "tokencache.command.say"

local storage = {}

--- What a command prints, run by the shell.
---@param name string     of the setting
---@param command string  which may hold a password, so it is not shown
---@param path string     of the file that the setting is in
---@return string
function storage.output_of(name, command, path)
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

local function is_there(path)
  local file = io.open(path)
  return file ~= nil and file:close()
end

--- Makes a directory for this user alone; why it cannot be had is why the first that is missing of
--- its path cannot.
---@param path string
---@param kind string  of the failure
local function make_directory(path, kind)
  local made = is_there(path)
    or os.execute("umask 077; exec mkdir -p " .. say.quoted(path) .. " 2>/dev/null")
  if made == true or made == 0 then -- Lua 5.1 has the status
    return
  end
  local parent = path:match "^(.+)/"
  while parent and not is_there(parent) do
    path, parent = parent, parent:match "^(.+)/"
  end
  local ok, err = core.file.can_replace(path, 0)
  say.fail(kind, ok and path .. ": the directory cannot be made" or tostring(err))
end

--- Makes both directories.
function storage.make_directories()
  make_directory(config.directory() .. "/accounts", "config")
  make_directory(config.state_directory(), "cache")
end

--- What a constructor that has raised says.
---@param raised any
---@return string
function storage.complaint(raised)
  return (tostring(raised):match "^[^\n]*":gsub("^%S+:%d+: ", ""))
end

local store

local SHORTEST = 16  -- bytes of a secret
local A_TOKEN = 4096 -- bytes

local makes = {}

function makes.file(common)
  return require "tokencache.store.file" { directory = config.state_directory(),
    allow_foreign = common.allow_foreign }
end

function makes.encrypted(common)
  if not common.passphrase_command then
    say.fail("config", config.common_path() .. ': the store "encrypted" needs passphrase_command',
      config.edit(config.common_path()))
  end
  local secret = storage.output_of("passphrase_command", common.passphrase_command,
    config.common_path())
  if #secret < SHORTEST then
    say.fail("config", "passphrase_command printed " .. #secret .. " bytes, and " .. SHORTEST
      .. " are the least; better are 32 random ones (openssl rand -base64 32)",
      config.edit(config.common_path()))
  end
  return require "tokencache.store.encrypted"(makes.file(common),
    { keys = { command = secret }, use = "command", plaintext = common.plaintext })
end

makes["secret-service"] = function(common)
  return require "tokencache.store.secret_service" { collection = common.collection,
    unlock = common.unlock }
end

--- Where tokens are kept.
---@return tokencache.Store
function storage.store()
  if not store then
    local common = config.common()
    local make = makes[common.store]
    if not make then
      say.fail("config", config.common_path() .. ': store must be "file", "encrypted" or '
        .. '"secret-service"', config.edit(config.common_path()))
    end
    local ok, made = pcall(make, common)
    if not ok then
      say.fail(made.kind or "config", made.message or storage.complaint(made), made.step)
    end
    store = made
  end
  return store
end

--- Ends the command where an account's entry could not be read. A damaged one is named by its file,
--- if it has one; a login overwrites it.
---@param name string
---@param err any  of the library
function storage.fail_with_entry(name, err)
  local text, damaged = say.text_of(name, err):gsub("; mend or remove it$", "")
  if damaged == 0 then
    say.fail_with(name, err)
  end
  local place = config.common().store ~= "secret-service" and config.token_path(name) .. ": " or ""
  say.fail("cache", place .. text, "tokencache login " .. name)
end

--- The handler of an account's token, which asks no provider.
---@param name string
---@return tokencache.CacheHandler
function storage.kept(name)
  return from_store(storage.store(), name)
end

--- No name of an account has a colon.
local function key_beside(name, what)
  return what .. ":" .. name
end

--- Nobody is to log in, and no account is made, for what cannot be kept: writes as much as a token
--- may take, and deletes it.
---@param name string
function storage.check_room(name)
  local kept, key = storage.store(), "room:" .. name
  local ok, err = kept:set(key, ("-"):rep(A_TOKEN))
  if not errors.has_failed(ok, err) then
    ok, err = kept:delete(key)
  end
  if errors.has_failed(ok, err) then
    say.fail_with(name, err)
  end
end

--- The client's secrets, by their names in config.secrets.
---@param name string
---@param settings table
---@return table<string, string>
function storage.secrets_of(name, settings)
  local secrets = storage.kept_secrets(name)
  for _, secret in ipairs(config.secrets) do
    local command = settings[secret .. "_command"]
    secrets[secret] = command
      and storage.output_of(secret .. "_command", command, config.path(name)) or secrets[secret]
  end
  return secrets
end

--- Those that are beside the tokens.
---@param name string
---@return table<string, string>
function storage.kept_secrets(name)
  local secrets = {}
  for _, secret in ipairs(config.secrets) do
    secrets[secret] = storage.beside(name, secret)
  end
  return secrets
end

--- What is kept beside an account's token.
---@param name string
---@param what string  one of config.secrets, or "owner"
---@return string?
function storage.beside(name, what)
  local text, err = storage.store():get(key_beside(name, what))
  if err ~= nil then
    say.fail_with(name, err)
  end
  return text
end

---@param name string
---@param what string        as above
---@param text string|false  false: forgets it
function storage.keep_beside(name, what, text)
  local kept = storage.store()
  local ok, err
  if text then
    ok, err = kept:set(key_beside(name, what), text)
  else
    ok, err = kept:delete(key_beside(name, what))
  end
  if not ok and err ~= nil then
    say.fail_with(name, err)
  end
end

--- What config.secrets are where a client has none.
storage.no_secrets = {}
for _, secret in ipairs(config.secrets) do
  storage.no_secrets[secret] = false
end

--- Forgets all that is beside an account's token.
---@param name string
function storage.forget_beside(name)
  storage.keep_beside(name, "owner", false)
  for _, secret in ipairs(config.secrets) do
    storage.keep_beside(name, secret, false)
  end
end

---@param name string
---@return boolean
function storage.has_token(name)
  local info, err = storage.kept(name):get_cached_token(true)
  if err ~= nil then
    say.fail_with(name, err)
  end
  return info ~= nil
end

--- Forgets a token, and asks no provider.
---@param name string
function storage.forget_token(name)
  local ok, err = storage.kept(name):remove_cached_token()
  if errors.has_failed(ok, err) then
    say.fail_with(name, err)
  end
end

return storage
