--- For what a store or a cache handler returned: a failure with that code.
---
---     local message = cache_failure("TIMEOUT", store:get "k")

local assert = require "luassert"

---@param code string
---@return string message
return function(code, result, err)
  assert.is_nil(result)
  assert.same({ "cache", code }, { err and err.kind, err and err.code }, tostring(err))
  return tostring(err)
end
