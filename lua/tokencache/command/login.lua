--- Lets the user log in.

local change = require "tokencache.command.change"
local config = require "tokencache.command.config"
local flows = require "tokencache.command.flows"
local owed = require "tokencache.command.owed"
local say = require "tokencache.command.say"
local storage = require "tokencache.command.storage"

local login = {}

local WAYS = { "browser", "device", "paste" }

local function ways_of(arguments)
  for _, way in ipairs(WAYS) do
    if arguments[way] then
      return { way }
    end
  end
  return WAYS
end

--- Other settings than the account has would leave it with tokens of the old ones, were the login
--- to fail; `set` says so.
local function check_same(name, settings, changes, secrets)
  for field, value in pairs(changes) do
    if settings[field] ~= value then
      say.fail("usage", name .. " is there already, with another " .. field, "tokencache set "
        .. name .. " --" .. field:gsub("_", "-") .. " ...")
    end
  end
  local secret = next(secrets)
  if secret then
    say.fail("usage", name .. " is there already", "tokencache set " .. name .. " --"
      .. secret:gsub("_", "-") .. "-file ...")
  end
end

local function log_in(name, settings, arguments)
  if settings.grant then
    say.fail("usage", name .. ": nobody logs in to it", "tokencache token " .. name)
  end
  local account = flows.open(name, settings, ways_of(arguments))
  storage.check_room(name)
  local info, err = account:get_token_info { login = true }
  if not info then
    say.fail_with(name, err, err.kind ~= "config" and err.kind ~= "cache" and say.typed or nil)
  elseif owed.save() then
    say.fail("cache", name .. ": the login could not be kept", say.typed)
  end
end

function login.login(arguments)
  local name = arguments.name
  local changes, secrets = change.of(arguments)
  local settings = config.find(name)
  if settings then
    check_same(name, settings, changes, secrets)
    log_in(name, settings, arguments)
  elseif next(changes) then
    change.make(arguments, changes, secrets, function(made)
      log_in(name, made, arguments)
    end)
  else
    config.account(name, true) -- fails
  end
  say.note(name, ": logged in; for a token run: tokencache token ", name)
end

return login
