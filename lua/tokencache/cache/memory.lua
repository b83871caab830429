--- The memory cache handler: keeps one token_info, the table itself, as long as the handler lives.

local core = require "tokencache._core"
local options = require "tokencache.util.options"

local rules = { token_info = { "table" } }

---@class tokencache.MemoryOptions
---@field token_info? tokencache.TokenInfo  to begin with

---@param opts? tokencache.MemoryOptions
---@return tokencache.Handler
return function(opts)
  return core.new_memory(options.check("cache.memory", opts, rules).token_info)
end
