--- Errors as values: what can go wrong at run time is returned as `nil, err`.

local core = require "tokencache._core"

---@alias tokencache.Kind
---| "reauthorize" # the user must log in again
---| "denied"      # the user or the server said no
---| "transient"   # try later: network, 429, 5xx
---| "config"      # the program or its registration must change
---| "state"       # a callback that does not belong to this authorization
---| "cache"       # the cache handler failed
---| "protocol"    # an answer that makes no sense
---| "timeout"     # the caller's deadline passed

---@class tokencache.Error
---@field kind tokencache.Kind
---@field message string        what happened and the way out; `tostring(err)`
---@field code? string          the server's or backend's own code, such as "invalid_client"
---@field description? string   the server's own words, made printable
---@field status? integer       HTTP status
---@field retry_after? number   seconds the server asked to wait
---@field package reason? string  of a store's: the same for all of its keys

local errors = {}

---@param kind tokencache.Kind
---@param message string
---@param fields? table  code, description, status, retry_after
---@return tokencache.Error
function errors.new(kind, message, fields)
  local err = { kind = kind, message = message }
  for name, value in pairs(fields or {}) do
    err[name] = value
  end
  return core.as_error(err)
end

local kinds = {
  reauthorize = true, denied = true, transient = true, config = true, state = true, cache = true,
  protocol = true, timeout = true,
}

--- Makes an error of whatever a user's handler or transport returned as one.
---@param kind tokencache.Kind  used where `err` has no kind of its own
---@param err any
---@return tokencache.Error
function errors.wrap(kind, err)
  if type(err) ~= "table" or getmetatable(err) == "tokencache.error" then
    return type(err) == "table" and err or errors.new(kind, tostring(err))
  end
  local message = type(err.message) == "string" and err.message
    or require("tokencache.util.text_of_error")(err, "an error without a message")
  return errors.new(kinds[err.kind] and err.kind or kind, message, {
    code = err.code,
    description = err.description,
    status = err.status,
    retry_after = err.retry_after,
    sent = err.sent,
    reason = err.reason,
  })
end

--- What log.repeated knows a failure of a cache by: the same for all accounts in one store.
---@param doing string
---@param err any
---@return string
function errors.id(doing, err)
  local reason = type(err) == "table" and err.reason -- of a program's error it may be anything
  return doing .. ": " .. (type(reason) == "string" and reason or tostring(err))
end

--- Whether a method that can only succeed or fail has failed; returning nothing is success.
---@param result any
---@param err any
---@return boolean
function errors.has_failed(result, err)
  return result == false or (result == nil and err ~= nil)
end

--- What a method that can only succeed or fail returns, whatever more its `result` says.
---@param result any  nil: it has failed
---@param err any
---@return true?
---@return any err
function errors.done(result, err)
  if result == nil then
    return nil, err
  end
  return true
end

return errors
