--- Run inside nginx: a resource server that asks the authorization server about each token it has
--- not seen yet (RFC 7662), and refuses all that are not active, or were not any more when they
--- were sent, which the header X-Sent tells; and those that are not of the user whom X-User names.

local json = require "tokencache.json"

local resource_server = {}

local tokens = ngx.shared.tokens

local function ask(provider, method, path, body)
  local host, port = provider:match("^http://([%d.]+):(%d+)$")
  local socket = ngx.socket.tcp()
  socket:settimeout(20000)
  assert(socket:connect(host, tonumber(port)))
  assert(socket:send(table.concat({
    method .. " " .. path .. " HTTP/1.0",
    "Host: " .. host .. ":" .. port,
    "Authorization: Basic " .. ngx.encode_base64("basic:basic-secret-8d1f"),
    "Content-Type: application/x-www-form-urlencoded",
    "Content-Length: " .. #body,
    "",
    body,
  }, "\r\n")))
  local answer = assert(socket:receive("*a"))
  socket:close()
  return answer:match("\r\n\r\n(.*)$")
end

--- When a token was issued, when it ends, and whose it is, as text; nil: it is not active, and not
--- because it has ended.
local function ask_about(provider, token)
  local told = json.decode(ask(provider, "POST", "/token/introspection", "token=" .. token))
  if told.active then
    return ("%d %d %s"):format(told.iat, told.exp, told.sub or "")
  end
  local ended = ask(provider, "GET", "/test/ended?token=" .. token, "")
  return ended ~= "" and ended or nil
end

--- The Unix second at which it ends; 0: it is not active.
local function end_of(provider, token)
  local ends = tokens:get(token)
  if not ends then
    local told = ask_about(provider, token) or "0 0 "
    ends = tonumber(told:match "^%d+ (%d+)")
    tokens:set(token, ends)
    tokens:set("of " .. token, told)
  end
  return ends
end

local function is_of(token, user)
  return user == nil or tokens:get("of " .. token):match("%S*$") == user
end

---@param provider string  the authorization server's URL
function resource_server.serve(provider)
  local var = ngx.var
  local token = (var.http_authorization or ""):match("^Bearer ([%w_-]+)$")
  if token and end_of(provider, token) > tonumber(var.http_x_sent)
    and is_of(token, var.http_x_user) then
    return ngx.print("here")
  end
  tokens:incr("refused", 1, 0)
  return ngx.exit(401)
end

--- A line for each token: when it was issued, when it ends, and whose it is; and how many requests
--- were refused.
function resource_server.report()
  for _, key in ipairs(tokens:get_keys(0)) do
    if key:find("^of ") then
      ngx.say(tokens:get(key))
    end
  end
  ngx.say("refused ", tokens:get("refused") or 0)
end

return resource_server
