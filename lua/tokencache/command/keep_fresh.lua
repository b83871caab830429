--- Renews tokens before they end, so that nobody waits for it; and says when a login is over.
--- flow:keep_fresh needs an event loop and flows that stay: here accounts come and go as files.

local config = require "tokencache.command.config"
local core = require "tokencache._core"
local fresh = require "tokencache.command.fresh"
local owed = require "tokencache.command.owed"
local say = require "tokencache.command.say"
local shield = require "tokencache.command.shield"
local token_info = require "tokencache.token_info"

local LONGEST = 300 -- seconds until the accounts are looked at again: they may have changed
local SHORTEST = 1
local BEAT = 2 -- seconds until what could not be saved is tried again

local asked = {} -- by account: somebody has been told that it needs a login
local told = {}  -- by account: the kind of failure that was told of last

--- A person may take a while, in which other tokens end.
local function ask(name, arguments)
  local command = arguments.on_login_needed
  if command and not asked[name] then
    core.process.set_environment("TOKENCACHE_ACCOUNT", name)
    os.execute(arguments.once and command or "(" .. command .. "\n) &")
  end
  asked[name] = true
end

--- Renews a token that is about to end.
---@return number seconds  until it is to be looked at again
---@return integer status
local function look(name, arguments)
  local margin = arguments.margin
  local ok, info = pcall(fresh.token, name, margin)
  core.process.hold_signals(false)
  if ok then
    asked[name], told[name] = nil, nil
    local left = token_info.left(info, core.now()) or math.huge
    return math.max(SHORTEST, left - fresh.needed(info, margin)), 0
  elseif type(info) ~= "table" or not info.kind then
    error(info, 0)
  end
  if told[name] ~= info.kind then
    told[name] = info.kind
    say.failure(info)
  end
  if info.kind == "reauthorize" then
    ask(name, arguments)
  end
  return math.max(SHORTEST, margin / 4), say.statuses[info.kind]
end

local function look_at_all(arguments)
  local wait, status = LONGEST, 0
  local names = #arguments.names > 0 and arguments.names or config.names()
  for _, name in ipairs(names) do
    local seconds, how = look(name, arguments)
    wait, status = math.min(wait, seconds), status ~= 0 and status or how
  end
  return wait, status
end

return {
  ["keep-fresh"] = function(arguments)
    local wait, status
    repeat
      wait, status = look_at_all(arguments)
      while not arguments.once and wait > 0 do
        local seconds = owed.save() and math.min(wait, BEAT) or wait
        shield.sleep(seconds, 1) -- it stays for days, and need not wake the machine so often
        wait = wait - seconds
      end
    until arguments.once
    return status
  end,
}
