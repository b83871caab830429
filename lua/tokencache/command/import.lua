--- Takes over logins of other programs: what is JSON and holds a refresh token, whoever has written
--- it. What is encrypted comes by stdin, decrypted.

local change = require "tokencache.command.change"
local errors = require "tokencache.error"
local flows = require "tokencache.command.flows"
local json = require "tokencache.json"
local owner = require "tokencache.command.owner"
local say = require "tokencache.command.say"
local storage = require "tokencache.command.storage"
local timestamp = require "tokencache.util.timestamp"
local token_info = require "tokencache.token_info"

local function read(path)
  local text, problem = change.read(path)
  local object = text and json.decode(text)
  if not text then
    say.fail("usage", problem)
  elseif type(object) ~= "table" then
    say.fail("usage", path .. " is not a JSON object; of an encrypted file pass in what it holds",
      "gpg -d FILE | tokencache import - NAME ...")
  end
  return object
end

--- Names of the fields of a token_info in the files of others.
local OTHER_NAMES = {
  access_token = { "token" },                                       -- google-auth
  expires_at = { "exp_date", "access_token_expiration" },           -- oama, mutt_oauth2.py
  scope = { "scopes" },
}

--- What a provider is called in them.
local PRESETS = { google = "google", microsoft = "microsoft" }

--- Only what is a text, or is absent: JSON's null is no value, and an empty text is none either.
local TEXTS = { "access_token", "refresh_token", "client_id", "client_secret", "token_uri",
  "service", "registration", "type", "token" }

local function check(path, object)
  for name, value in pairs(object) do
    if value == json.null or value == "" then
      object[name] = nil
    end
  end
  for _, name in ipairs(TEXTS) do
    if object[name] ~= nil and type(object[name]) ~= "string" then
      say.fail("usage", path .. ": " .. name .. " must be a string, not a " .. type(object[name]))
    end
  end
  return object
end

--- What the file says of the account, under what is said on the command line.
---@return string? secret  of the client
---@return boolean is_client
local function settings_in(path, object, changes)
  local client = object.installed or object.web -- a client as Google's console has it
  client = type(client) == "table" and check(path, client) or object
  local found = { client_id = client.client_id }
  local service = object.service or (object.registration or ""):match "^%a+$"
  if (client.token_uri or ""):find("googleapis.com", 1, true)
    or object.type == "authorized_user" then
    service = "google"
  end
  if not changes.issuer then
    found.provider = PRESETS[service or ""]
  end
  for name, value in pairs(found) do
    changes[name] = changes[name] or value
  end
  return client.client_secret, found.client_id ~= nil
end

local function token_in(object)
  for name, others in pairs(OTHER_NAMES) do
    for _, other in ipairs(others) do
      object[name] = object[name] or object[other]
      object[other] = nil
    end
  end
  if type(object.scope) == "table" then
    local ok, scope = pcall(table.concat, object.scope, " ")
    object.scope = ok and scope or nil
  end
  if object.expires_at ~= nil and not timestamp.read(object.expires_at) then
    object.expires_at = 0 -- it is renewed at the next call
  end
  return object
end

--- Puts the login into the account. One without an access token gets that first: the provider shows
--- whether it still is one.
local function take(name, settings, object, secrets)
  object.client_id = settings.client_id
  flows.check(name, settings, secrets)
  if object.access_token then
    local info, problem = token_info.normalise(object, json.null)
    if not info then
      say.fail("usage", problem)
    end
    owner.take(name, settings)
    local ok, err = storage.kept(name):save_token_to_cache(info)
    if errors.has_failed(ok, err) then
      say.fail_with(name, err)
    end
  elseif object.refresh_token then
    local account = flows.open(name, settings)
    local info, err = account:refresh_access_token(object.refresh_token)
    if not info then
      say.fail_with(name, err)
    end
  end
end

return {
  import = function(arguments)
    local name, object = arguments.name, read(arguments.file)
    local changes, secrets = change.of(arguments)
    check(arguments.file, object)
    local found, is_client = settings_in(arguments.file, object, changes)
    object = token_in(object)
    local has_login = object.access_token or object.refresh_token
    if not has_login and not is_client then
      say.fail("usage", arguments.file .. " holds neither a token nor a client")
    end
    if secrets.client_secret == nil then
      secrets.client_secret = found
    end
    change.make(arguments, changes, secrets, function(settings)
      take(name, settings, object, secrets)
    end)
    say.note(name, ": imported; ", has_login and "for a token run: tokencache token "
      or "log in: tokencache login ", name)
  end,
}
