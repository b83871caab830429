--- What a store in a Redis Cluster does otherwise: locks and marks lie in the slot of their key, as
--- scripts are about both, and keys are listed of one node after the other.

local errors = require "tokencache.error"
local reserved_key = require "tokencache.store.reserved_key"

local find = string.find

local redis_cluster = {}

--- The key as it stands behind a prefix: with its own hash tag, or as the hash tag. nil: a "}" in
--- it would end that too early.
local function tagged(key)
  local tag = key:match "{(.-)}"
  if tag and tag ~= "" then
    return key
  end
  return key ~= "" and not key:find("}", 1, true) and "{" .. key .. "}" or nil
end

---@param key string  that is not refused
---@return string
function redis_cluster.of_lock(key)
  return reserved_key.of_lock(tagged(key))
end

---@param key string  that is not refused
---@return string
function redis_cluster.of_mark(key)
  return reserved_key.of_mark(tagged(key) or key)
end

--- Why the store cannot have an entry at this key, if it cannot.
---@param place string  the store, for the message
---@param key string
---@return tokencache.Error?
function redis_cluster.refusal(place, key)
  if (key == "" or find(key, "}", 1, true)) and not tagged(key) then
    return errors.new("cache", place .. ': in a cluster a key must not be empty, and holds a "}" '
      .. 'only behind a hash tag such as {user}; choose another, or give a list of texts as key')
  end
  return reserved_key.refusal(place, key)
end

--- The node, if it is in the list; or, without one, the first that is not done.
local function find_node(list, node, done)
  for name in list:gmatch "%S+" do
    if name == node or not node and not done[name] then
      return name
    end
  end
end

---@alias tokencache.RedisPage fun(node: string, at: string): string[]?, any  keys, and where the
---   next page begins, or nil; nil, err

--- A page of the keys of all nodes. A node that has gone is left out: who took its place is a node
--- that was not listed yet.
---@param call fun(...: string): any, any
---@param page tokencache.RedisPage
---@param cursor? table  { node =, at =, done = }
---@return string[]? keys
---@return any next_cursor  or the error
function redis_cluster.keys(call, page, cursor)
  local node, at, done = cursor and cursor.node, cursor and cursor.at, cursor and cursor.done or {}
  while true do
    if not node then
      local list, err = call("CLUSTER", "SLOTS")
      if list == nil then
        return nil, err
      end
      node, at = find_node(list, nil, done), "0"
      if not node then
        return {}
      end
    end
    local keys, next_at = page(node, at)
    if keys then
      done[node] = next_at == nil
      return keys, { node = next_at and node, at = next_at, done = done }
    end
    local list = call("CLUSTER", "SLOTS")
    if list == nil or find_node(list, node) then
      return nil, next_at
    end
    done[node], node = true, nil
  end
end

return redis_cluster
