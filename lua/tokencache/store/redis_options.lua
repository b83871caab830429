--- The options that say which Redis server is meant.

local secret = require "tokencache.util.secret"
local server_options = require "tokencache.store.server_options"

---@class tokencache.RedisOptions
---@field host? string      a name or an address; default "127.0.0.1"
---@field port? integer     default 6379
---@field path? string      a Unix socket, instead of host and port
---@field username? string  default: Redis's default user
---@field password? tokencache.Secret  a file and a function are asked for each connection
---@field db? integer       number of the database; default 0
---@field tls? boolean      speak TLS; the server's certificate is always verified
---@field ca_file? string   PEM file of trusted authorities; default: the system's
---@field cert_file? string, key_file? string  PEM files, where the server wants a certificate
---@field connect_timeout? number  seconds for connecting, logging in included; default 5
---@field timeout? number          seconds for a command and its reply; default 5

local RULES = {
  host = { "string" },
  port = { "number>0" },
  path = { "string" },
  username = { "string" },
  password = { { "string", "table", "function" } },
  db = { "number>=0", default = 0 },
  tls = { "boolean" },
  ca_file = { "string" },
  cert_file = { "string" },
  key_file = { "string" },
}

local function is_integer(value, most)
  return value % 1 == 0 and value <= most
end

--- What is wrong between options that are right by themselves.
local function problem_of(checked)
  for _, name in ipairs { "host", "path", "ca_file", "cert_file", "key_file" } do
    local value = checked[name]
    if value and (value == "" or value:find("%z")) then
      return name .. " is empty or holds a NUL byte"
    end
  end
  local wrong = secret.problem(checked.password)
  if wrong then
    return "password " .. wrong
  elseif checked.host and checked.host:find "[/@]" then -- not quoted: a URL may hold the password
    return "host must be a name or an address, not a URL; its parts are the options port, "
      .. "username, password, db and tls"
  elseif checked.path and (checked.host or checked.port) then
    return "path is a Unix socket: leave out host and port"
  elseif checked.path and checked.tls then
    return "tls is for host and port, not for a Unix socket"
  elseif checked.port and not is_integer(checked.port, 65535) then
    return "port must be an integer from 1 to 65535"
  elseif not is_integer(checked.db, 2 ^ 31 - 1) then
    return "db must be an integer"
  elseif checked.username and not checked.password then
    return "username needs a password"
  elseif checked.key_file and not checked.cert_file then
    return "key_file needs a cert_file"
  elseif (checked.ca_file or checked.cert_file) and not checked.tls then
    return "ca_file and cert_file are for tls = true"
  end
end

local function place_of(checked)
  if checked.path then
    return checked.path
  end
  return (checked.host:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(checked.host,
    checked.port)
end

--- Tells connections apart, which only options that are the same in all may share.
local function identity_of(checked)
  local parts = {}
  for name, value in pairs(checked) do
    local text = type(value) == "table" and value.file or tostring(value)
    parts[#parts + 1] = ("%s:%s=%q"):format(name, type(value), text)
  end
  table.sort(parts)
  return table.concat(parts, "\0")
end

--- Completes the options; returns what is wrong with them.
local function complete(checked)
  local problem = problem_of(checked)
  if problem then
    return problem
  end
  if not checked.path then
    checked.host, checked.port = checked.host or "127.0.0.1", checked.port or 6379
  end
  checked.asks_password = checked.password ~= nil and type(checked.password) ~= "string"
  checked.place, checked.identity = place_of(checked), identity_of(checked)
end

return server_options(RULES, complete)
