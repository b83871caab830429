--- Makes presets of which a part is the user's: a host, a tenant, a realm. They are called with it.

local core = require "tokencache._core"
local options = require "tokencache.util.options"

local preset = {}

--- The address that the endpoints of a host begin with. A host is https; what is given as a URL,
--- as that is.
---@param host string  "login.example.com", "login.example.com/auth", "http://localhost:8080"
---@return string? base  without a slash at its end
---@return string? problem
function preset.base(host)
  local base = host:find("://", 1, true) and host or "https://" .. host
  base = base:gsub("/+$", "")
  local url, problem = core.parse_url(base)
  if not url then
    return nil, problem
  elseif url.query or url.fragment then
    return nil, "a host, with a path if need be; not a query or a fragment"
  end
  return base
end

--- Whether the text can be a part of a path as it is.
---@param text string
---@return boolean
function preset.is_segment(text)
  return text:find("^[%w._~-]+$") ~= nil and text:find "[^.]" ~= nil
end

local calls = setmetatable({}, { __mode = "k" }) -- by preset, how it is called

--- How a preset is called, in words.
---@param given function
---@return string
function preset.call_of(given)
  return calls[given] or "it returns the table that is wanted"
end

local function shown_call(name, rules)
  local fields = {}
  for field, rule in pairs(rules) do
    fields[#fields + 1] = rule.required and field .. " = ..." or nil
  end
  table.sort(fields)
  return ("tokencache.provider.%s { %s }"):format(name, table.concat(fields, ", "))
end

---@param name string   of the preset, for messages
---@param rules table<string, tokencache.OptionRule>
---@param make fun(checked: table): tokencache.Provider?, string?  or what is wrong
---@return fun(given: table): tokencache.Provider
function preset.define(name, rules, make)
  local function call(given)
    local made
    local checked, problem = options.read(given, rules)
    if checked then
      made, problem = make(checked)
    end
    if not made then
      error("provider." .. name .. ": " .. problem, 2)
    end
    return made
  end
  calls[call] = shown_call(name, rules)
  return call
end

--- The same with a default: what `make` returns for no options is the preset, and a call makes
--- another.
---@return tokencache.Provider
function preset.with_default(name, rules, make)
  local call = preset.define(name, rules, make)
  local default = call {}
  return setmetatable(default, { __call = function(_, given) return call(given) end })
end

return preset
