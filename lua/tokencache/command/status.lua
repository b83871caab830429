--- Who is logged in, and for how long. Nothing is asked of a provider.

local config = require "tokencache.command.config"
local core = require "tokencache._core"
local flows = require "tokencache.command.flows"
local json = require "tokencache.json"
local owner = require "tokencache.command.owner"
local say = require "tokencache.command.say"
local storage = require "tokencache.command.storage"
local token_info = require "tokencache.token_info"

local commands = {}

--- Says what to do where there is no account yet.
local function greet(names)
  if #names == 0 then
    say.note("there are no accounts yet; run: tokencache login --help")
  end
end

function commands.list()
  local names = config.names()
  greet(names)
  for _, name in ipairs(names) do
    local ok, failure = pcall(config.find, name)
    if not ok then
      say.failure(failure)
    end
  end
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

--- Scopes, sorted, as one text.
local function in_order(scope)
  local words = {}
  for word in (type(scope) == "table" and table.concat(scope, " ") or scope or ""):gmatch "%S+" do
    words[#words + 1] = word
  end
  table.sort(words)
  return table.concat(words, " ")
end

--- What is known of the token and of the login, added to the state.
local function add_token(state, info, provider, flow)
  local now = core.now()
  local login_end = token_info.login_end(info, provider.refresh_token_lifetime)
  local left = token_info.left(info, now)
  state.who, state.scope = who(info), info.scope or state.asked
  state.expires_in = left and math.max(0, math.floor(left))
  state.login_due_in = login_end and math.floor(login_end - now)
  state.logged_in = (left == nil or left > 0 or token_info.has_refresh_token(info))
    and (login_end == nil or login_end > now)
    and flow.client:judge(now, token_info.flat(info)) ~= "unfit"
end

--- Everything that there is to say of an account, as it is printed by --json. Whether somebody is
--- logged in is left out where the token cannot be read.
---@param state table
local function fill(state)
  local name = state.name
  local settings = config.account(name)
  local flow = flows.check(name, settings)
  local provider = flows.provider_of(name, settings)
  state.provider = provider.name or provider.issuer or provider.token_url
  state.asked, state.has_user = settings.scope and in_order(settings.scope), not settings.grant
  state.scope = state.asked
  if state.has_user then
    owner.check(name, settings)
  end
  local info, err = storage.kept(name):get_cached_token()
  if err then
    storage.fail_with_entry(name, err)
  end
  state.logged_in = false
  if info then
    add_token(state, info, provider, flow)
  end
end

--- Of an account that cannot be read it tells why.
local function look(name)
  local state = { name = name, settings = config.path(name) }
  local ok, failure = pcall(fill, state)
  if not ok and (type(failure) ~= "table" or not failure.kind) then
    error(failure, 0)
  elseif not ok then
    state.error, state.step, state.kind = failure.message, failure.step, failure.kind
  end
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

local function token_in_words(state)
  if state.logged_in == nil then
    return nil
  elseif state.expires_in then
    return state.expires_in > 0 and in_words(state.expires_in) .. " left"
      or "over; the next call renews it"
  end
  return state.logged_in and "does not end, as far as is known" or "none"
end

local function login_in_words(state)
  if state.logged_in == nil then
    return "not known"
  elseif not state.logged_in then
    return state.has_user and "needed; run: tokencache login " .. state.name or nil
  end
  return state.login_due_in and "due in " .. in_words(state.login_due_in) or "no end is known"
end

local function lines_of(state)
  return {
    { "who", state.who }, { "provider", state.provider }, { "scopes", state.scope },
    { "asked", in_order(state.scope) ~= state.asked and state.asked or nil },
    { "problem", state.error and state.error .. (state.step and "; run: " .. state.step or "") },
    { "token", token_in_words(state) }, { "login", login_in_words(state) },
    { "settings", state.settings },
  }
end

local function show(state, in_colour)
  local function colour(code, text)
    return in_colour and "\27[" .. code .. "m" .. text .. "\27[0m" or text
  end
  say.result(colour(state.logged_in and "1;32" or "1;31", state.name), "\n")
  for _, line in ipairs(lines_of(state)) do
    if line[2] then
      say.result(("  %-9s "):format(line[1]), core.printable(line[2]), "\n")
    end
  end
end

--- The status of what --json leaves out too.
local function status_of(state)
  if state.kind then
    return say.statuses[state.kind]
  end
  return not state.logged_in and state.has_user and say.statuses.reauthorize or 0
end

function commands.status(arguments)
  local names = arguments.name and { arguments.name } or config.names()
  if arguments.name and not config.is_there(arguments.name) then
    config.account(arguments.name)
  elseif #names > 0 then
    storage.store() -- where that cannot be had nothing can be told
  end
  greet(names)
  local states, status = json.array {}, 0
  for i, name in ipairs(names) do
    states[i] = look(name)
    if arguments.name or states[i].kind then
      status = status ~= 0 and status or status_of(states[i])
    end
  end
  if arguments.json then
    for _, state in ipairs(states) do
      state.has_user, state.kind, state.step = nil, nil, nil
    end
    say.result(json.encode(arguments.name and states[1] or states), "\n")
  else
    local in_colour = say.in_colour(1)
    for _, state in ipairs(states) do
      show(state, in_colour)
    end
  end
  return status
end

return commands
