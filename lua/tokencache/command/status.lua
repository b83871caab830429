--- Who is logged in, and for how long. Nothing is asked of a provider.

local config = require "tokencache.command.config"
local core = require "tokencache._core"
local flows = require "tokencache.command.flows"
local json = require "tokencache.json"
local say = require "tokencache.command.say"
local storage = require "tokencache.command.storage"
local token_info = require "tokencache.token_info"

local commands = {}

function commands.list()
  local names = config.names()
  say.result(table.concat(names, "\n"), #names > 0 and "\n" or "")
end

--- Who the user is, as far as the ID token tells.
local function who(info)
  local jws = type(info.id_token) == "string"
    and require("tokencache.id_token").read(info.id_token)
  local claims = jws and jws.claims or {}
  for _, claim in ipairs { "email", "preferred_username", "name", "sub" } do
    if type(claims[claim]) == "string" then
      return claims[claim]
    end
  end
end

--- Everything that there is to say of an account, as it is printed by --json.
---@return table
local function look(name)
  local settings = config.account(name)
  local provider = flows.provider_of(name, settings)
  local info, err = storage.kept(name):get_cached_token()
  local state = {
    name = name, provider = provider.name or provider.issuer or provider.token_url,
    scope = settings.scope, settings = config.path(name), error = err and tostring(err),
    logged_in = false,
  }
  if not info then
    return state
  end
  local now = core.now()
  local login_end = token_info.login_end(info, provider.refresh_token_lifetime)
  local left = token_info.left(info, now)
  state.who, state.scope = who(info), info.scope or settings.scope
  state.expires_in = left and math.max(0, math.floor(left))
  state.login_due_in = login_end and math.floor(login_end - now)
  state.logged_in = (left == nil or left > 0 or token_info.has_refresh_token(info))
    and (login_end == nil or login_end > now)
  return state
end

local UNITS = { { 86400, "day" }, { 3600, "hour" }, { 60, "minute" }, { 1, "second" } }

local function in_words(seconds)
  for _, unit in ipairs(UNITS) do
    if seconds >= 2 * unit[1] or unit[1] == 1 then
      local count = math.floor(seconds / unit[1])
      return ("%d %s%s"):format(count, unit[2], count == 1 and "" or "s")
    end
  end
end

local function lines_of(state)
  local token, due = "none", "needed; run: tokencache login " .. state.name
  if state.error then
    token = state.error
  elseif state.logged_in and not state.expires_in then
    token = "does not end, as far as is known"
  elseif state.expires_in then
    token = state.expires_in > 0 and in_words(state.expires_in) .. " left"
      or "over; the next call renews it"
  end
  if state.logged_in then
    due = state.login_due_in and "due in " .. in_words(state.login_due_in) or "no end is known"
  end
  return {
    { "who", state.who }, { "provider", state.provider }, { "scopes", state.scope },
    { "token", token }, { "login", due }, { "settings", state.settings },
  }
end

local function show(state, in_colour)
  local function colour(code, text)
    return in_colour and "\27[" .. code .. "m" .. text .. "\27[0m" or text
  end
  say.result(colour(state.logged_in and "1;32" or "1;31", state.name), "\n")
  for _, line in ipairs(lines_of(state)) do
    local value = type(line[2]) == "table" and table.concat(line[2], " ") or line[2]
    if value then
      say.result(("  %-9s "):format(line[1]), core.printable(value), "\n")
    end
  end
end

function commands.status(arguments)
  local names = arguments.name and { arguments.name } or config.names()
  local states = json.array {}
  for i, name in ipairs(names) do
    states[i] = look(name)
  end
  if arguments.json then
    say.result(json.encode(arguments.name and states[1] or states), "\n")
  else
    local in_colour = say.in_colour(1)
    for _, state in ipairs(states) do
      show(state, in_colour)
    end
  end
  local state = arguments.name and states[1]
  return state and (state.error and say.statuses.cache
    or not state.logged_in and state.settings.grant == nil and say.statuses.reauthorize) or 0
end

return commands
