--- A token that is good for a while. What is found in a file costs the command a look and nothing
--- more: stores and flows are most of what there is to load, four times as much as all the rest.

local config = require "tokencache.command.config"
local core = require "tokencache._core"
local json = require "tokencache.json"
local owner = require "tokencache.command.owner"
local say = require "tokencache.command.say"
local token_info = require "tokencache.token_info"

local fresh = {}

local LEEWAY = 60 -- seconds, as of every flow

--- Reads a token as the store would; nil: it is for the store to say what is there.
---@return tokencache.TokenInfo?
local function read(name)
  local bytes, _, doubt = core.file.read(config.token_path(name))
  local info = bytes and not doubt and json.decode(bytes)
  return info and token_info.normalise(info, json.null) or nil
end

--- Judges tokens as the account's flow would, or more strictly.
---@param settings table
---@return tokencache.Client
local function judge_of(settings)
  local scope = settings.scope
  return core.new_client {
    flow = settings.grant and "client_credentials" or "pkce", client_id = settings.client_id,
    leeway = LEEWAY, issuer = "https://-",
    scope = type(scope) == "table" and table.concat(scope, " ") or scope,
  }
end

--- Looks whether a token is there that will do.
---@param name string
---@param settings table
---@return tokencache.TokenInfo?
local function look(name, settings)
  local info = settings.client_id and config.common().store == "file"
    and owner.is_of_file(name, settings) and read(name)
  if not info then
    return nil
  end
  local from, until_ = judge_of(settings):window(token_info.flat(info))
  local now = core.now()
  return from and now >= from and now <= until_ and info or nil
end

local function left(info)
  return token_info.left(info, core.now()) or math.huge
end

--- How long a token must last: where the provider's live no longer than is wanted, half of that, or
--- each call would renew it. How long they live is not known of a token from another program: once
--- it is renewed it is.
---@param info tokencache.TokenInfo
---@param min_valid number
---@return number seconds
function fresh.needed(info, min_valid)
  local life = info.expires_in or math.huge
  return life > min_valid and min_valid or life / 2
end

--- A token that lasts, and what is known of it.
---@param name string
---@param min_valid? number  seconds
---@param refused? string    the token that an API does not take any more
---@return tokencache.TokenInfo
function fresh.token(name, min_valid, refused)
  local settings, account = config.account(name, true), nil
  local function ask(which)
    account = account or require "tokencache.command.flows".open(name, settings)
    local info, err = account:get_token_info { refused = which }
    return info or require "tokencache.command.storage".fail_with_entry(name, err)
  end
  local info = not refused and look(name, settings) or ask(refused)
  if min_valid and left(info) < fresh.needed(info, min_valid) then
    info = ask(info.access_token)
  end
  return info
end

--- The same by the command line; says so where a token does not last as long as is wanted there.
---@param arguments { name: string, min_valid?: number }
---@param refused? string
---@return tokencache.TokenInfo
function fresh.wanted(arguments, refused)
  local info = fresh.token(arguments.name, arguments.min_valid, refused)
  if left(info) < (arguments.min_valid or 0) then
    say.note(arguments.name, ": the provider's tokens last ",
      ("%.0f"):format(info.expires_in or left(info)), " seconds and no longer")
  end
  return info
end

return fresh
