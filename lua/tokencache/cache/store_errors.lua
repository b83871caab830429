--- Errors of cache handlers that stand on a store.

local core = require "tokencache._core"
local errors = require "tokencache.error"
local keys = require "tokencache.key"

local store_errors = {}

--- What messages call the entry.
---@param handler tokencache.StoreHandler
---@return string
function store_errors.name_of(handler)
  return handler.path and core.printable(handler.path) or keys.shown(handler.key)
end

---@return tokencache.Error
function store_errors.failure(handler, message)
  return errors.new("cache", store_errors.name_of(handler) .. ": " .. message, { reason = message })
end

--- What a store said went wrong; an error of our own stores names the place itself.
---@param method string  the store's
---@param err any
---@return tokencache.Error
function store_errors.of_store(handler, method, err)
  if type(err) == "table" and err.kind then
    return errors.wrap("cache", err)
  end
  return store_errors.failure(handler, "the store's " .. method .. " failed"
    .. (err ~= nil and ": " .. tostring(err) or ""))
end

--- For a method that can only succeed or fail.
---@return true?
---@return tokencache.Error?
function store_errors.outcome(handler, method, result, err)
  if errors.has_failed(result, err) then
    return nil, store_errors.of_store(handler, method, err)
  end
  return true
end

return store_errors
