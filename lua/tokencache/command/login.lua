--- Lets the user log in.

local change = require "tokencache.command.change"
local config = require "tokencache.command.config"
local flows = require "tokencache.command.flows"
local say = require "tokencache.command.say"

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
local function check_same(name, settings, changes, secret)
  for field, value in pairs(changes) do
    if settings[field] ~= value then
      say.fail("usage", name .. " is there already, with another " .. field, "tokencache set "
        .. name .. " --" .. field:gsub("_", "-") .. " ...")
    end
  end
  if secret ~= nil then
    say.fail("usage", name .. " is there already", "tokencache set " .. name
      .. " --client-secret-file ...")
  end
end

local function log_in(name, settings, arguments)
  if settings.grant then
    say.fail("usage", name .. ": nobody logs in to it", "tokencache token " .. name)
  end
  local ways = ways_of(arguments)
  if #ways == 1 and ways[1] == "paste" then -- nobody listens, so no port is free or taken
    settings.redirect_uri = settings.redirect_uri or "http://127.0.0.1/callback"
  end
  local info, err = flows.open(name, settings, ways):get_token_info { login = true }
  if not info then
    say.fail_with(name, err)
  end
end

--- The same of a new account: whatever ends it leaves nothing behind.
local function begin(name, changes, secret, arguments)
  local ok, failure = pcall(change.make, name, changes, secret, function(settings)
    log_in(name, settings, arguments)
  end)
  if not ok then
    local step = type(failure) == "table" and failure.step or ""
    if step:find "^tokencache " then -- there is no such account any more
      failure.step = "tokencache login " .. name .. " ..."
    end
    error(failure, 0)
  end
end

function login.login(arguments)
  local name = arguments.name
  local changes, secret = change.of(arguments)
  local settings = config.find(name)
  if settings then
    check_same(name, settings, changes, secret)
    log_in(name, settings, arguments)
  elseif next(changes) then
    begin(name, changes, secret, arguments)
  else
    config.account(name)
  end
  say.note(name, ": logged in; for a token run: tokencache token ", name)
end

return login
