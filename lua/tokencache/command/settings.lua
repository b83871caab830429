--- What the command line says of an account, and how that is written down.

local accounts = require "tokencache.command.account"
local config = require "tokencache.command.config"
local core = require "tokencache._core"
local say = require "tokencache.command.say"

local setting = {}

---@param arguments table
---@return table<string, string> changes
---@return string? secret  of the client
function setting.of(arguments)
  local changes = {}
  for _, field in ipairs(config.fields) do
    changes[field[1]] = arguments[field[1]]
  end
  if (changes.provider or "") ~= "" and (changes.issuer or "") ~= "" then
    say.fail("usage", "give --provider or --issuer, not both")
  end
  local path = arguments.client_secret_file
  return changes, path and accounts.read_secret(path) or nil
end

--- A value as it is written into such a file.
local function literal(value)
  return '"' .. value:gsub('[%c"\\]', function(char)
    return (char == '"' or char == "\\") and "\\" .. char or ("\\%03d"):format(char:byte())
  end) .. '"'
end

--- Changes the lines of some settings, and leaves all others as they are.
---@param text string  of the file
---@param changes table<string, string>
---@return string
local function changed(text, changes)
  for _, field in ipairs(config.fields) do
    local name, value = field[1], changes[field[1]]
    local line = value and value ~= "" and name .. " = " .. literal(value) .. "\n" or ""
    if value then
      local from, to = ("\n" .. text):find("\n" .. name .. "%s*=[^\n]*")
      if from then
        text = text:sub(1, from - 1) .. line .. text:sub(to + 1)
      else
        text = (text .. "\n"):gsub("\n*$", "\n"):gsub("^\n", "") .. line
      end
    end
  end
  return text
end

--- Writes what is new in an account's settings; an empty string takes one away. The secret comes
--- first: who is killed in between has no account that lacks it.
---@param name string
---@param changes table<string, string>
---@param secret? string
---@return boolean has_changed
function setting.write(name, changes, secret)
  if secret then
    accounts.keep_secret(name, secret)
  end
  local former, text = config.find(name)
  local has_changed = former == nil
  for field, value in pairs(changes) do
    has_changed = has_changed or ((former or {})[field] or "") ~= value
  end
  if not has_changed then
    return secret ~= nil
  end
  accounts.make_directories()
  local path = config.path(name)
  local new = changed(text or "-- What tokencache knows of " .. name .. "; see docs/command.md. "
    .. "No secrets here.\n", changes)
  local assigned, problem = config.evaluate(path, new)
  for field, value in pairs(changes) do
    if not problem and (assigned[field] or "") ~= value then
      problem = path .. ": " .. field .. " is not on a line of its own; change it there"
    end
  end
  if problem then
    say.fail("config", problem, config.edit(path))
  end
  local ok, err = core.file.write(path, new)
  if not ok then
    say.fail_with(name, err)
  end
  return true
end

--- Makes an account and does the work. If that fails, there is no account.
---@param name string
---@param changes table<string, string>
---@param secret? string
---@param work fun(settings: table)
function setting.make(name, changes, secret, work)
  local ok, failure = pcall(function()
    setting.write(name, changes, secret)
    work(config.account(name))
  end)
  if not ok then
    os.remove(config.path(name))
    if secret then
      accounts.keep_secret(name, nil)
    end
    error(failure, 0)
  end
end

return setting
