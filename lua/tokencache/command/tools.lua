--- A token as other programs ask for it.

local accounts = require "tokencache.command.account"
local config = require "tokencache.command.config"
local fresh = require "tokencache.command.fresh"
local say = require "tokencache.command.say"

local tools = {}

--- For `curl -K -`: curl's own file is read by nobody else, its command line by everybody.
tools["curl-config"] = function(arguments)
  local info = fresh.wanted(arguments)
  say.result('header = "Authorization: Bearer ', (info.access_token:gsub('[\\"]', "\\%0")), '"\n')
end

--- The same token is not to be given again. The account is asked for another one at once, so that
--- who asks next finds it.
local function refuse(name, token)
  if not token then
    return
  end
  local _, err = accounts.open(name, config.account(name)):get_token_info { refused = token }
  if err then
    say.fail_with(name, err)
  end
end

--- What git says: lines of name=value, to a blank one (gitcredentials(7)).
local function read_lines()
  local told = {}
  for line in io.stdin:lines() do
    local name, value = line:match "^([^=]+)=(.*)$"
    if not name then
      break
    end
    told[name] = value
  end
  return told
end

local function is_safe(told)
  local host = (told.host or ""):gsub(":%d+$", "")
  return told.protocol ~= "http" or host == "localhost" or host:find "^127%." or host == "[::1]"
end

tools["git-credential"] = function(arguments)
  local told = read_lines()
  if arguments.operation == "erase" then
    refuse(arguments.name, told.password)
  elseif arguments.operation == "get" then
    if not is_safe(told) then
      say.fail("config", arguments.name .. ": " .. told.host .. " would get the token over plain "
        .. "http; use https in the address")
    end
    local info = fresh.token(arguments.name)
    say.result("username=", told.username or arguments.username, "\npassword=", info.access_token,
      "\n", info.expires_at and ("password_expiry_utc=%.0f\n"):format(info.expires_at) or "")
  end
end

--- https://github.com/docker/docker-credential-helpers
tools["docker-credential"] = function(arguments)
  local told = (io.stdin:read "*a" or ""):gsub("%s+$", "")
  if arguments.operation == "get" then
    local info = fresh.token(arguments.name)
    say.result(require("tokencache.json").encode {
      ServerURL = told, Username = arguments.username, Secret = info.access_token,
    }, "\n")
  end
end

return tools
