--- A grant of a provider's own (RFC 6749 §4.5): its name, and the parameters that it wants.

local base = require "tokencache.flow.base"
local config = require "tokencache.flow.config"
local core = require "tokencache._core"
local errors = require "tokencache.error"
local hidden = require "tokencache.util.hidden"
local options = require "tokencache.util.options"
local secret = require "tokencache.util.secret"

---@class tokencache.GrantOptions: tokencache.FlowOptions
---@field grant string  grant_type
---@field params? table<string, tokencache.Secret|string[]>  read anew for each request

local function is_source(value)
  return type(value) == "function" or type(value) == "table" and value.file ~= nil
end

local function form(params)
  return core.form_encode(config.params("params", params, {}))
end

--- The parameters as they are now.
---@return string[]?
---@return tokencache.Error?
local function grant_params(self)
  local given, changing = self.grant(), {}
  for name, value in pairs(given.params) do
    local text, problem = secret.read(value, false)
    if not text then
      return nil, errors.new("config", "params: " .. name .. ": " .. problem)
    end
    changing[name] = text
  end
  local list = config.params("params", changing, {})
  for _, value in ipairs(given.fixed) do
    list[#list + 1] = value
  end
  return list
end

---@type fun(opts: tokencache.GrantOptions): tokencache.Flow
return base.define {
  name = "grant",
  rules = options.merge(config.rules, {
    grant = { "string", required = true },
    params = { "table", default = {} },
  }),
  auth_method = "client_secret_basic",
  may_be_public = true,
  about = function(checked)
    local sources, fixed = {}, {}
    for name, value in pairs(checked.params) do
      local source = is_source(value)
      local problem = source and secret.problem(value)
      if problem then
        return nil, "params: " .. tostring(name) .. " " .. problem
      end
      (source and sources or fixed)[name] = source and secret.source(value) or value
    end
    local all, problem = config.params("params", options.merge(fixed, sources),
      config.reserved_params)
    return all and { form(fixed), form(sources) }, problem
  end,
  complete = function(self, checked)
    local changing, fixed = {}, {}
    for name, value in pairs(checked.params) do
      (is_source(value) and changing or fixed)[name] = value
    end
    self.grant_params = grant_params
    self.grant = hidden { params = changing, fixed = config.params("params", fixed, {}) }
  end,
}
