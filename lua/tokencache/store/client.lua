--- A store over a client object of the user's, for Redis or Memcached. Of such an object
--- is asked what all of them have in common:
---
---     client:get(key)         --> a string; nil, false or a null (any userdata) for a miss
---     client:set(key, bytes)
---     client:del(key)         or another name, where there is one
---
--- A failure is raised, as by lua-redis, or is the first value after nil or false that is not nil:
--- `nil, err` as from lua-resty-redis, `nil, nil, err` as from lua-resty-memcached. Methods may
--- yield. How an entry is given a time to live differs too much: the maker of the store says it.
--- There are no locks.

local options = require "tokencache.util.options"
local protected = require "tokencache.util.protected"

--- Redis quotes the words of a command it does not know.
local function message_of(problem)
  return (tostring(problem):gsub(",? with args beginning with.*", ""))
end

--- What a method came to: its value, or nil and what went wrong. A miss is nil alone.
local function outcome(ok, value, second, third)
  if not ok then
    return nil, message_of(value)
  end
  if value ~= nil and value ~= false and type(value) ~= "userdata" then
    return value
  end
  local problem = second
  if problem == nil then
    problem = third
  end
  return nil, problem ~= nil and message_of(problem) or nil
end

---@class tokencache.ClientStore: tokencache.Store
---@field identity table|userdata  the client: handlers are made anew, and the client stays
---@field private client table|userdata
---@field private put fun(client: any, key: string, bytes: string, ttl?: number): ...
---@field private remover? string
local Store = {}

function Store:get(key)
  local client = self.client
  return outcome(protected(client.get, client, key))
end

function Store:set(key, bytes, ttl)
  local value, problem = outcome(protected(self.put, self.client, key, bytes, ttl))
  if value == nil and problem ~= nil then
    return nil, problem
  end
  return true
end

local metatable = { __index = Store }

local RemovingStore = setmetatable({}, metatable)

function RemovingStore:delete(key)
  local client = self.client
  local value, problem = outcome(protected(client[self.remover], client, key))
  if value == nil and problem ~= nil and problem ~= "NOT_FOUND" then -- as lua-resty-memcached says
    return nil, problem
  end
  return true
end

local removing_metatable = { __index = RemovingStore }

---@param where string  the function's name, for messages
---@param client table|userdata
---@param put fun(client: any, key: string, bytes: string, ttl?: number): ...  sets an entry;
---   returns what the client's method did
---@param remover string  the name of the method that deletes a key; the client need not have it
---@return tokencache.ClientStore
return function(where, client, put, remover)
  local problem = options.lacking(client, { "get", "set" })
  if problem then
    error(where .. ": client " .. problem, 3)
  end
  return setmetatable({ client = client, identity = client, put = put, remover = remover },
    client[remover] ~= nil and removing_metatable or metatable)
end
