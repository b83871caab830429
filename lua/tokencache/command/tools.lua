--- A token as other programs ask for it.

local config = require "tokencache.command.config"
local core = require "tokencache._core"
local flows = require "tokencache.command.flows"
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
  local _, err = flows.open(name, config.account(name)):get_token_info { refused = token }
  if err then
    say.fail_with(name, err)
  end
end

--- What git says: lines of name=value, to a blank one (gitcredentials(7)). A closed stdin says
--- nothing.
local function read_lines()
  local told = {}
  for line in function() return io.stdin:read "*l" end do
    local name, value = line:match "^([^=]+)=(.*)$"
    if not name then
      break
    end
    told[name] = value
  end
  return told
end

local function is_loopback(host)
  host = host:gsub(":%d+$", "")
  return host == "localhost" or host == "[::1]" or host:find "^127%.%d+%.%d+%.%d+$" ~= nil
end

--- The token goes to one host, where that is named, and never to another machine in plain text.
local function check(arguments, protocol, host)
  local name = arguments.name
  if host == "" then
    say.fail("usage", name .. ": stdin names no host that is to get the token")
  elseif arguments.host and host:lower() ~= arguments.host:lower() then
    say.fail("config", ("%s: its token is for %s, not for %s"):format(name, arguments.host,
      core.printable(host)))
  elseif protocol ~= "https" and not (protocol == "http" and is_loopback(host)) then
    say.fail("config", ("%s: %s would get the token over plain %s; use https in the address")
      :format(name, core.printable(host), core.printable(protocol)))
  end
end

--- What git may ask one day, and this does not know, is ignored without a word: gitcredentials(7).
tools["git-credential"] = function(arguments)
  local told = read_lines()
  if arguments.operation == "erase" then
    refuse(arguments.name, told.password)
  elseif arguments.operation == "get" then
    check(arguments, told.protocol or "text", told.host or "")
    local info = fresh.token(arguments.name)
    say.result("username=", told.username or arguments.username, "\npassword=", info.access_token,
      "\n", info.expires_at and ("password_expiry_utc=%.0f\n"):format(info.expires_at) or "")
  end
end

--- https://github.com/docker/docker-credential-helpers
tools["docker-credential"] = function(arguments)
  local json = require "tokencache.json"
  if arguments.operation == "list" then
    say.result(json.encode(arguments.host
      and { ["https://" .. arguments.host] = arguments.username } or {}), "\n")
  elseif arguments.operation == "get" then
    local url = (io.stdin:read "*a" or ""):gsub("%s+$", "")
    local protocol, host = url:match "^(%a[%w+.-]*)://([^/?#]*)"
    check(arguments, protocol or "https", host or url:match "^[^/?#]*")
    local info = fresh.token(arguments.name)
    say.result(json.encode {
      ServerURL = url, Username = arguments.username, Secret = info.access_token,
    }, "\n")
  end
end

return tools
