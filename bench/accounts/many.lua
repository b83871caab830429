--- The tokens of many users in one store, taken in turn.

local contestant = require "bench.contestant"
local token_info = require "bench.token_info"
local tokencache = require "tokencache"

local many = {}

---@param count integer
---@return string[]
function many.keys(count)
  local keys = {}
  for i = 1, count do
    keys[i] = "user:" .. i
  end
  return keys
end

--- Saves a token for each of them.
---@param store tokencache.Store
---@param keys string[]
function many.fill(store, keys)
  for _, key in ipairs(keys) do
    assert(tokencache.cache.from_store(store, key):save_token_to_cache(token_info))
  end
end

--- A flow that never has to ask for a token.
---@param place { cache: table }|{ store: tokencache.Store }
---@return tokencache.Flow
function many.new_flow(place)
  return tokencache.flow.client_credentials {
    provider = tokencache.provider.spotify,
    client_id = "bench",
    client_secret = "bench",
    cache = place.cache,
    store = place.store,
  }
end

--- What a first look costs, which is far more, is no part of it.
local function take_turns(keys, take)
  local last = 0
  for _, key in ipairs(keys) do
    take(key)
  end
  contestant(function(times)
    local token
    for _ = 1, times do
      last = last % #keys + 1
      token = take(keys[last])
    end
    assert(token == token_info.access_token)
  end)
end

local ways = {}

--- By the accounts of one flow.
function ways.account(store, keys)
  local flow = many.new_flow { store = store }
  take_turns(keys, function(key)
    return flow:account(key):get_access_token()
  end)
end

--- By a flow made for each request.
function ways.flow(store, keys)
  take_turns(keys, function(key)
    return many.new_flow({ cache = tokencache.cache.from_store(store, key) }):get_access_token()
  end)
end

---@param way "account"|"flow"
---@param store tokencache.Store
---@param keys string[]
function many.take(way, store, keys)
  ways[way](store, keys)
end

return many
