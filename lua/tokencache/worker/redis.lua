--- Commands to Redis servers. The connections stay in this Lua state, one for each server, user and
--- database.

local library = require "tokencache.util.library"

local redis = {}

local clients = {} -- by the options' identity

local function connect(options)
  local hiredis, err = library("tokencache._redis", "hiredis", "give the cache a client=")
  if not hiredis then
    return nil, err
  end
  local client
  client, err = hiredis.open(options)
  clients[options.identity] = client
  return client, err
end

--- Sends a command, which must bear being executed twice, and waits for the reply.
---@param options table  of tokencache.store.redis, checked, with an `identity`
---@param ... string     the command's words
---@return string|integer|false|nil reply  false for Redis's nil; nil: failed
---@return tokencache.Error|"reconnected"|"repeated"|nil  beside a reply: the connection had been
---   lost and was made anew; "repeated": only after the command was sent, so it was sent again
function redis.call(options, ...)
  local client = clients[options.identity]
  if not client then
    local err
    client, err = connect(options)
    if not client then
      return nil, err
    end
  end
  return client:command(...)
end

return redis
