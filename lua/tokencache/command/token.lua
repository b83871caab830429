--- The token, as it is wanted.

local fresh = require "tokencache.command.fresh"
local say = require "tokencache.command.say"

local token = {}

local function base64(bytes)
  local text = require("tokencache._core").base64url_encode(bytes)
  return text:gsub("[-_]", { ["-"] = "+", _ = "/" }) .. ("="):rep(-#text % 4)
end

--- https://developers.google.com/workspace/gmail/imap/xoauth2-protocol
local function xoauth2(user, access_token)
  return base64("user=" .. user .. "\1auth=Bearer " .. access_token .. "\1\1")
end

--- RFC 7628 §3.1; "=" and "," in a name are escaped (RFC 5801 §4).
local function oauthbearer(user, access_token)
  user = user:gsub("[=,]", { ["="] = "=3D", [","] = "=2C" })
  return base64("n,a=" .. user .. ",\1auth=Bearer " .. access_token .. "\1\1")
end

local function as_json(info)
  local json = require "tokencache.json"
  return json.encode {
    access_token = info.access_token, expires_at = info.expires_at, scope = info.scope,
    token_type = info.token_type,
  }
end

--- A token that was refused is read from stdin: the list of processes must not show it.
local function read_refused()
  local line = (io.stdin:read "*l" or ""):gsub("%s+$", "")
  if line == "" then
    say.fail("usage", "--refused: there is no token on stdin")
  end
  return line
end

function token.token(arguments)
  local info = fresh.wanted(arguments, arguments.refused and read_refused() or nil)
  local text = info.access_token
  if arguments.json then
    text = as_json(info)
  elseif arguments.xoauth2 then
    text = xoauth2(arguments.xoauth2, text)
  elseif arguments.oauthbearer then
    text = oauthbearer(arguments.oauthbearer, text)
  end
  say.result(text, "\n")
end

function token.header(arguments)
  local info = fresh.wanted(arguments)
  say.result("Authorization: Bearer ", info.access_token, "\n")
end

return token
