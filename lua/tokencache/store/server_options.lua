--- What the options that name a server have in common, whatever it speaks.

local options = require "tokencache.util.options"

local TIMEOUTS = {
  connect_timeout = { "number>0", default = 5 },
  timeout = { "number>0", default = 5 },
}

local MOST_SECONDS = 1e6

---@class tokencache.ServerOptions
---@field RULES table<string, tokencache.OptionRule>
---@field check fun(where: string, given?: table): table  checks the options, and raises; returns
---   what the worker takes: plain data. `where` is the function's name, for messages
---@field complete fun(where: string, checked: table): table  the same for options of which each has
---   been checked by itself, which it changes

---@param rules table<string, tokencache.OptionRule>  but for the timeouts
---@param complete fun(checked: table): string?  fills in `place`, `identity` and the like; returns
---   what is wrong between options that are right by themselves
---@return tokencache.ServerOptions
return function(rules, complete)
  local all = options.merge(TIMEOUTS, rules)

  local function complete_all(where, checked)
    for name in pairs(TIMEOUTS) do
      checked[name] = math.min(checked[name], MOST_SECONDS)
    end
    local problem = complete(checked)
    if problem then
      error(where .. ": " .. problem, 4)
    end
    return checked
  end

  local function check(where, given)
    local checked = complete_all(where, options.check(where, given, all, 3))
    return checked -- no tail call, for the level that is blamed
  end

  return { RULES = all, check = check, complete = complete_all }
end
