--- Commands to Redis servers. The connections stay in this Lua state, one for each server, user and
--- database.

local errors = require "tokencache.error"
local library = require "tokencache.util.library"
local secret = require "tokencache.util.secret"

local redis = {}

--- What a connection logs in with.
---@param options table
---@param is_refused boolean  the last one was refused
---@return string?
---@return tokencache.Error?
function redis.password(options, is_refused)
  local text, problem = secret.read(options.password, is_refused)
  if text then
    return text
  end
  return nil, errors.new("cache", ("%s: Redis: no password: %s"):format(options.place, problem))
end

local callers = {} -- by the options' identity

local function new_caller(options)
  local client

  local function call(...)
    if not client then
      local hiredis, err = library("tokencache._redis", "hiredis", "give the cache a client=")
      if not hiredis then
        return nil, err
      end
      client = hiredis.open(options)
    end
    return client:command(...)
  end

  --- The conversation asks for the password again only once.
  local function call_with_password(...)
    local reply, note, is_refused = call(...)
    while reply == nil and note == "password" do
      local password, problem = redis.password(options, is_refused)
      if not password then
        return nil, problem
      end
      client:give_password(password)
      reply, note, is_refused = call(...)
    end
    return reply, note
  end

  return options.asks_password and call_with_password or call
end

--- What sends commands to a server, which must bear being executed twice, and waits for replies.
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
