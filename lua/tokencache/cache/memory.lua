--- The memory cache handler: keeps one token_info, the table itself, as long as the handler lives.

local core = require "tokencache._core"
local options = require "tokencache.util.options"

local rules = { token_info = { "table" } }

---@param opts? { token_info?: tokencache.TokenInfo }
return function(opts)
  return core.new_memory(options.check("cache.memory", opts, rules).token_info)
end
