--- Run inside nginx: a resource server that asks the authorization server about each token it has
--- not seen yet (RFC 7662), and refuses all that are not active, or not any more; and those that
--- are not of the user whom the header X-User names.

local json = require "tokencache.json"

local resource_server = {}

local tokens = ngx.shared.tokens

local function ask(provider, token)
  local host, port = provider:match("^http://([%d.]+):(%d+)$")
  local body = "token=" .. token
  local socket = ngx.socket.tcp()
  socket:settimeout(20000)
  assert(socket:connect(host, tonumber(port)))
  assert(socket:send(table.concat({
    "POST /token/introspection HTTP/1.0",
    "Host: " .. host .. ":" .. port,
    "Authorization: Basic " .. ngx.encode_base64("basic:basic-secret-8d1f"),
    "Content-Type: application/x-www-form-urlencoded",
    "Content-Length: " .. #body,
    "",
    body,
  }, "\r\n")))
  local answer = assert(socket:receive("*a"))
  socket:close()
  return assert(json.decode(answer:match("\r\n\r\n(.*)$")))
end

--- The Unix second at which it ends; 0: it is not active.
local function end_of(provider, token)
  local ends = tokens:get(token)
  if not ends then
    local told = ask(provider, token)
    ends = told.active and told.exp or 0
    tokens:set(token, ends)
    tokens:set("of " .. token, ("%d %d %s"):format(told.iat or 0, ends, told.sub or ""))
  end
  return ends
end

local function is_of(token, user)
  return user == nil or tokens:get("of " .. token):match("%S*$") == user
end

---@param provider string  the authorization server's URL
function resource_server.serve(provider)
  local token = (ngx.var.http_authorization or ""):match("^Bearer ([%w_-]+)$")
  if token and end_of(provider, token) > ngx.now() and is_of(token, ngx.var.http_x_user) then
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
