--- The options that say which Redis server is meant.

local options = require "tokencache.util.options"
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
---@field cert_file? string  PEM file, where the server wants a certificate; as is
---@field key_file? string   the key of that
---@field cluster? string[]  "host:port" of some nodes, instead of host and port
---@field sentinels? string[]  "host:port" of each, instead of host and port
---@field master? string       the sentinels' name of the servers
---@field sentinel_username? string  where sentinels ask for it; as is
---@field sentinel_password? string
---@field sentinel_tls? boolean  speak TLS to the sentinels; default: as `tls`
---@field replicas? integer  that must have what is written before it counts; default 0
---@field connect_timeout? number  seconds for connecting, logging in included; default 5
---@field timeout? number          seconds for a command and its reply; default 5

local unpack = table.unpack or unpack -- luacheck: ignore 143 113

local MOST_ADDRESSES = 16

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
  cluster = { "table", hint = 'give a list of texts "host:port"' },
  sentinels = { "table", hint = 'give a list of texts "host:port"' },
  master = { "string", hint = "it is the name that the sentinels give the servers" },
  sentinel_username = { "string" },
  sentinel_password = { "string" },
  sentinel_tls = { "boolean" },
  replicas = { "number>=0", default = 0 },
}

local function is_integer(value, most)
  return value % 1 == 0 and value <= most
end

--- The texts as a list of addresses; nil where that is no such list.
local function addresses_of(texts)
  local addresses = {}
  for i, text in ipairs(options.is_list(texts, "string") and texts or {}) do
    local host, port = text:match "^([^%z/@]+):(%d+)$"
    host, port = host and (host:match "^%[(.+)%]$" or host), tonumber(port)
    if not host or #host > 255 or port < 1 or port > 65535 then
      return nil
    end
    addresses[i] = { host = host, port = port }
  end
  return #addresses > 0 and #addresses <= MOST_ADDRESSES and addresses or nil
end

--- The same of sentinels, or of a cluster's nodes, which say where the servers are.
local function problem_of_list(checked, name)
  if checked.host or checked.port or checked.path then
    return name .. (name == "cluster" and " says where the servers are" or
      " say where the server is") .. ": leave out host, port and path"
  elseif not addresses_of(checked[name]) then
    return ('%s must be a list of "host:port", from 1 to %d of them'):format(name, MOST_ADDRESSES)
  end
end

local function problem_of_sentinels(checked)
  if not checked.sentinels then
    for _, name in ipairs { "master", "sentinel_username", "sentinel_password", "sentinel_tls" } do
      if checked[name] ~= nil then
        return name .. ' is for sentinels: name these, sentinels = { "host:port", ... }'
      end
    end
    return nil
  elseif not checked.master or checked.master == "" then
    return "sentinels need master, their name of the servers"
  elseif checked.sentinel_username and not checked.sentinel_password then
    return "sentinel_username needs a sentinel_password"
  end
  return problem_of_list(checked, "sentinels")
end

local function problem_of_cluster(checked)
  if not checked.cluster then
    return nil
  elseif checked.sentinels then
    return "a cluster has no sentinels: leave out one of the two"
  elseif checked.db ~= 0 then
    return "a cluster has one database: leave out db"
  end
  return problem_of_list(checked, "cluster")
end

--- What is wrong between options that are right by themselves.
local function problem_of(checked)
  for _, name in ipairs { "host", "path", "ca_file", "cert_file", "key_file" } do
    local value = checked[name]
    if value and (value == "" or value:find("%z")) then
      return name .. " is empty or holds a NUL byte"
    end
  end
  local wrong = problem_of_cluster(checked) or problem_of_sentinels(checked)
  if wrong then
    return wrong
  elseif secret.problem(checked.password) then
    return "password " .. secret.problem(checked.password)
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
  elseif not is_integer(checked.replicas, 1000) then
    return "replicas must be an integer"
  elseif checked.username and not checked.password then
    return "username needs a password"
  elseif checked.key_file and not checked.cert_file then
    return "key_file needs a cert_file"
  elseif (checked.ca_file or checked.cert_file) and not (checked.tls or checked.sentinel_tls) then
    return "ca_file and cert_file are for tls = true"
  end
end

local function place_of(checked)
  if checked.path then
    return checked.path
  elseif not checked.host then
    local addresses = { unpack(checked.sentinels or checked.cluster) }
    table.sort(addresses) -- their order makes no other store
    return (checked.sentinels and checked.master .. " of the sentinels " or "the cluster ")
      .. table.concat(addresses, ", ")
  end
  return (checked.host:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(checked.host,
    checked.port)
end

--- Tells connections apart, which only options that are the same in all may share.
local function identity_of(checked)
  local parts = {}
  for name, value in pairs(checked) do
    local text = type(value) == "table" and (value.file or table.concat(value, ","))
      or tostring(value)
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
  if not checked.path and not checked.sentinels and not checked.cluster then
    checked.host, checked.port = checked.host or "127.0.0.1", checked.port or 6379
  end
  checked.asks_password = checked.password ~= nil and type(checked.password) ~= "string"
  if checked.sentinels and checked.sentinel_tls == nil then
    checked.sentinel_tls = checked.tls
  end
  checked.place, checked.identity = place_of(checked), identity_of(checked)
  for _, name in ipairs { "sentinels", "cluster" } do
    checked[name] = checked[name] and addresses_of(checked[name])
  end
end

return server_options(RULES, complete)
