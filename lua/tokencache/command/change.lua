--- What the command line says of an account, and how that is written down.

local config = require "tokencache.command.config"
local core = require "tokencache._core"
local data = require "tokencache.command.data"
local flows = require "tokencache.command.flows"
local options = require "tokencache.util.options"
local owner = require "tokencache.command.owner"
local say = require "tokencache.command.say"
local storage = require "tokencache.command.storage"
local util_secret = require "tokencache.util.secret"

local change = {}

local PATIENCE, STEP = 2, 0.05 -- seconds for another process to be done; between two looks

--- What is in a file, or comes by stdin.
---@param path string  "-": stdin
---@return string?
---@return string? problem
function change.read(path)
  if util_secret.is_no_path(path) then
    return nil, "give the path of a file, and not what is in it"
  end
  local file, problem = io.stdin, nil
  if path ~= "-" then
    file, problem = util_secret.open(path)
  end
  if not file then
    return nil, problem
  end
  local text, failure = file:read "*a" -- of a directory nil
  return text, failure and path .. ": " .. failure .. "; check the path"
end

--- Ends the command over an option.
---@param name string  as in the table of arguments
local function fail(name, problem)
  say.fail("usage", "--" .. name:gsub("_", "-") .. ": " .. problem)
end

--- Reads the file that an option names.
---@param name string  of the option, as in the table of arguments
---@param path string
---@return string  which is not empty
local function read_file(name, path)
  local text, problem = change.read(path)
  if not problem and not text:find "%S" then
    problem = (path == "-" and "stdin" or path) .. ": there is nothing in it"
  end
  return not problem and text or fail(name, problem)
end

--- Checks a setting that is a path, of a file that is read anew each time.
---@return string path  which is absolute
local function check_path(name, path)
  local absolute = not util_secret.is_no_path(path)
    and config.absolute(path, core.file.real_path ".") or path
  if absolute:sub(1, 2) == "./" then
    fail(name, "the directory that one is in now does not exist any more; go to another, or give "
      .. "the whole path")
  end
  read_file(name, absolute)
  return absolute
end

---@alias tokencache.SecretChanges table<string, string|false>  by name, of config.secrets; false:
---   the client is to have none

---@param arguments table
---@return table<string, string> changes
---@return tokencache.SecretChanges
function change.of(arguments)
  local changes, secrets = {}, {}
  for _, field in ipairs(config.fields) do
    changes[field[1]] = arguments[field[1]]
  end
  for _, field in ipairs(config.paths) do
    local path = changes[field]
    changes[field] = path and path ~= "" and check_path(field, path) or path
  end
  if (changes.provider or "") ~= "" and (changes.issuer or "") ~= "" then
    say.fail("usage", "give --provider or --issuer, not both")
  end
  for _, secret in ipairs(config.secrets) do
    local option = secret .. "_file"
    local path = arguments[option]
    secrets[secret] = path and path ~= "" and read_file(option, path):gsub("%s+$", "") -- or false
  end
  return changes, secrets
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

--- Does some work while no other process changes the account.
---@param name string
---@param work fun(): any
---@return any  what the work returns
function change.alone(name, work)
  storage.make_directories()
  local locks = require "tokencache.store.file" { directory = config.directory() }
  local ends, held = core.monotonic() + PATIENCE, nil
  repeat
    if held then
      core.sleep(STEP)
    end
    held = { locks:try_lock(name) }
  until held[1] ~= false or core.monotonic() > ends
  if held[1] == nil then
    say.fail("config", tostring(held[2]))
  elseif not held[1] then
    say.fail("transient", name .. ": another tokencache makes or changes it", "tokencache status "
      .. name)
  end
  local ok, result = pcall(work)
  locks:unlock(held[1])
  return ok and result or not ok and error(result, 0)
end

--- The settings after the changes. Provider and issuer stand for each other.
local function merged(former, changes)
  for one, other in pairs { provider = "issuer", issuer = "provider" } do
    if (changes[one] or "") ~= "" and former[other] then
      changes[other] = ""
    end
  end
  local settings = options.merge(former, changes)
  for field, value in pairs(settings) do
    settings[field] = value ~= "" and value or nil
  end
  return settings
end

--- Writes what is new in an account's settings; an empty string takes one away. Secrets come
--- first: who is killed in between has no account that lacks them.
---@param name string
---@param changes table<string, string>
---@param secrets tokencache.SecretChanges
---@return boolean has_changed
function change.write(name, changes, secrets)
  local former, text = config.find(name)
  if former then
    local settings = merged(former, changes)
    owner.check(name, settings, former)
    flows.check(name, settings, options.merge(storage.kept_secrets(name), secrets))
  end
  for secret, now in pairs(secrets) do
    storage.keep_beside(name, secret, now)
  end
  local has_changed = former == nil
  for field, value in pairs(changes) do
    has_changed = has_changed or ((former or {})[field] or "") ~= value
  end
  if not has_changed then
    return next(secrets) ~= nil
  end
  local path = config.path(name)
  local new = changed(text or "-- What tokencache knows of " .. name .. "; see docs/command.md. "
    .. "No secrets here.\n", changes)
  local assigned = data(new)
  for field, value in pairs(changes) do
    if not assigned or (assigned[field] or "") ~= value then
      say.fail("config", path .. ": " .. field .. " is not on a line of its own; change it there",
        config.edit(path))
    end
  end
  local ok, err = core.file.write(core.file.target(path) or path, new)
  if not ok then
    say.fail("config", tostring(err))
  end
  return true
end

--- Makes an account and does the work. If that fails, there is no account. What was left behind of
--- an account of that name belongs to nobody.
---@param arguments table  of the command line
---@param changes table<string, string>
---@param secrets tokencache.SecretChanges
---@param work fun(settings: table)
function change.make(arguments, changes, secrets, work)
  local name = arguments.name
  change.alone(name, function()
    if config.find(name) then
      say.fail("usage", name .. " is there already", "tokencache status " .. name)
    end
    storage.forget_token(name)
    local ok, failure = pcall(function()
      change.write(name, changes, options.merge(storage.no_secrets, secrets))
      work(config.account(name))
    end)
    if ok then
      return
    end
    core.process.hold_signals(true)
    local looked, is_there = pcall(storage.has_token, name)
    if not looked or not is_there then -- else somebody else has logged in meanwhile
      os.remove(config.path(name))
      pcall(storage.forget_beside, name)
    end
    if type(failure) == "table" and (failure.step or ""):find "^tokencache " then
      local is_mistake = failure.kind == "config" or failure.kind == "usage"
      failure.step = is_mistake and "tokencache " .. arguments.operand .. " --help"
        or say.typed -- there is no such account any more
    end
    error(failure, 0)
  end)
end

return change
