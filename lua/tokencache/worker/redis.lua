--- Commands to Redis servers. The connections stay in this Lua state, one for each server, user and
--- database.

local library = require "tokencache.util.library"

local redis = {}

local callers = {} -- by the options' identity

local function new_caller(options)
  local client, err
  return function(...)
    if not client then
      local hiredis
      hiredis, err = library("tokencache._redis", "hiredis", "give the cache a client=")
      if not hiredis then
        return nil, err
      end
      client = hiredis.open(options)
    end
    return client:command(...)
  end
end

--- What sends commands to a server, which must bear being executed twice, and waits for the replies.
---@param options table  of tokencache.store.redis, checked, with an `identity`
---@return fun(...: string): string|integer|false|nil, tokencache.Error|string|nil
---   reply: false for Redis's nil; nil, err. Beside a reply "reconnected": the connection had been
---   lost and was made anew; "repeated": only after the command was sent, so it was sent again
function redis.caller(options)
  local caller = callers[options.identity] or new_caller(options)
  callers[options.identity] = caller
  return caller
end

--- The same for one command, from a thread.
function redis.call(options, ...)
  return redis.caller(options)(...)
end

return redis
