--- The fields of a token_info that tokencache knows, in the types it counts on. Whatever else a
--- provider put there is left as it is.

local errors = require "tokencache.error"
local in_words = require "tokencache.util.in_words"
local timestamp = require "tokencache.util.timestamp"

local json -- loaded when first used

local token_info = {}

---@class tokencache.TokenInfo
---@field access_token string
---@field token_type? string
---@field expires_in? number     seconds, counted from when the token was received
---@field expires_at? number     Unix seconds
---@field expires_on? any        the same as others put it: Azure, Go's programs, Google's; it is
---@field expiry? any            read where there is no expires_at, and kept up in its form
---@field expiry_date? any
---@field created_at? any        when it was made: with expires_in, of some providers
---@field authorized_at? number  Unix seconds: when the user last logged in
---@field refresh_token? string
---@field refresh_token_expires_at? number  Unix seconds, where the provider has said it
---@field scope? string          scopes joined by spaces
---@field requested_scope? string  what was asked for, where it is not what was granted
---@field client_id? string      whose token it is
---@field grant_digest? string   of what its grant is about, where that is more than the client
---@field [string] any

local NUMBERS = { "expires_in", "authorized_at" }
local TEXTS = { "token_type", "refresh_token", "scope" }

local floor = math.floor

local to_integer = math.tointeger or function(value)
  return value
end

--- "3600" and 3600.0 are 3600, as far as this Lua tells them apart.
local function to_number(value)
  if type(value) == "userdata" then
    value = tostring(value) -- it may be JSON's integer beyond 2^53, on Lua 5.1
  end
  if type(value) == "string" and (value:find("^%-?%d+$") or value:find("^%-?%d+%.%d+$")) then
    value = tonumber(value)
  end
  if type(value) == "number" then
    return to_integer(value) or value
  end
end

local LONGEST = 3155760000 -- seconds: a century. Java's greatest number, added to now, is negative

--- How long something lives.
local function lifetime_of(value)
  local seconds = to_number(value)
  return seconds and math.min(seconds, LONGEST)
end

--- Where others keep a token's end; the first that can be read counts.
local ENDS = { "expires_on", "expiry", "expiry_date" }
local NONE = {}
local IS_END = { expires_on = true, expiry = true, expiry_date = true }

--- The end that a token states in another field than expires_at. Go's time zero means none.
local function end_elsewhere(info)
  for _, name in ipairs(ENDS) do
    local seconds = info[name] ~= nil and timestamp.read(info[name])
    if seconds and seconds > 0 then
      return seconds
    end
  end
  local lifetime, created_at = lifetime_of(info.expires_in), timestamp.read(info.created_at)
  return lifetime and created_at and created_at + lifetime or nil
end

--- The end that an answer with a new token states, as a point in time. Zero means none.
---@param answer table
---@return number?  Unix seconds; nil also where it states a lifetime, which counts
function token_info.end_in(answer)
  local lifetime = answer.expires_in
  if type(lifetime) == "number" and lifetime >= 0 then
    return nil
  end
  local ends = timestamp.read(answer.expires_at)
  return ends and ends > 0 and ends or end_elsewhere(answer)
end

--- The token's end. What states only for how long it was to serve has none, and counts as expired.
---@param info tokencache.TokenInfo
---@return any  Unix seconds; nil: it states none; something else: it cannot be read
function token_info.end_of(info)
  local ends = info.expires_at
  if type(ends) == "number" or type(ends) == "string" then
    return timestamp.read(ends) or ends
  elseif ends == nil then
    return end_elsewhere(info)
  end
  return ends
end

--- The same where it is known.
---@param info tokencache.TokenInfo
---@return number?
function token_info.known_end(info)
  return tonumber(token_info.end_of(info))
end

--- The end of the refresh token that an answer brings or keeps.
---@param answer table
---@param now number
---@return number|false|nil  Unix seconds; false: it has none; nil: nothing is said
function token_info.refresh_token_end(answer, now)
  local seconds = lifetime_of(answer.refresh_token_expires_in)
    or lifetime_of(answer.refresh_expires_in)
  if seconds and seconds >= 0 then
    return seconds > 0 and floor(now) + seconds -- zero is none: Keycloak's offline tokens
  end
  return timestamp.read(answer.refresh_token_expires_at)
end

--- Completes an answer with a new token by what the one before says, but for its end.
---@param answer table  changed in place
---@param previous? tokencache.TokenInfo
---@param now number    Unix seconds
---@return table answer
function token_info.complete(answer, previous, now)
  local refresh_token_end = token_info.refresh_token_end(answer, now)
  local is_new = previous and token_info.has_refresh_token(answer)
    and answer.refresh_token ~= previous.refresh_token
  for name, value in next, previous or NONE do
    local is_over = IS_END[name] or name == "refresh_token_expires_at" and is_new
    if answer[name] == nil and not is_over then
      answer[name] = value
    end
  end
  if refresh_token_end ~= nil then
    answer.refresh_token_expires_at = refresh_token_end or nil
  end
  return answer
end

--- Has a token that is about to be saved state its end wherever the one before did, in the same
--- form, for the programs that share the cache.
---@param info tokencache.TokenInfo  changed in place
---@param former table  as the cache held it
---@return boolean  it states it elsewhere than in expires_at
function token_info.keep_form(info, former)
  local ends, lifetime = token_info.known_end(info), to_number(info.expires_in)
  local is_elsewhere = false
  for _, name in ipairs(ENDS) do
    local is_read = former[name] ~= nil and timestamp.read(former[name]) ~= nil
    if is_read and ends then
      info[name], is_elsewhere = timestamp.like(ends, former[name]), true
    elseif is_read then
      info[name] = nil
    end
  end
  if ends and lifetime and former.created_at ~= nil and info.created_at == former.created_at then
    info.created_at = timestamp.like(ends - lifetime, former.created_at) or info.created_at
  end
  if ends and (type(former.expires_at) == "number" or type(former.expires_at) == "string") then
    info.expires_at = timestamp.like(ends, former.expires_at) or ends
  end
  return is_elsewhere
end

local function with_end(info, null)
  local value = info.expires_at
  if value == null then
    info.expires_at, value = nil, nil
  elseif type(value) == "userdata" then
    value = to_number(value)
  end
  local ends = value == nil and end_elsewhere(info) or timestamp.read(value)
  if value ~= nil and not ends then
    return nil, "the token_info's expires_at is neither a number nor a date"
  end
  info.expires_at = ends and (to_integer(ends) or ends)
  return info
end

--- Puts the known fields right, in place.
---@param info any
---@param null? any  what stands for JSON's null; a known field that holds it is taken away
---@return tokencache.TokenInfo?  the same table, or nil if it is no token_info
---@return string? problem  in words that quote no value
function token_info.normalise(info, null)
  if type(info) ~= "table" then
    return nil, "a token_info is a table, not " .. in_words(info)
  end
  if type(info.access_token) ~= "string" or info.access_token == "" then
    return nil, "the token_info has no access_token"
  elseif info.access_token:find "%c" then -- in a request's header it would begin another one
    return nil, "the token_info's access_token holds a control character"
  end
  for _, name in ipairs(TEXTS) do
    if info[name] == null then
      info[name] = nil
    end
  end
  for _, name in ipairs(NUMBERS) do
    local value = info[name]
    if value == null then
      info[name] = nil
    elseif value ~= nil then
      info[name] = to_number(value)
      if info[name] == nil then
        return nil, "the token_info's " .. name .. " is not a number"
      end
    end
  end
  return with_end(info, null)
end

--- What a handler's get_cached_token returned, if it may be used.
---@param info any
---@param err any
---@return tokencache.TokenInfo?
---@return tokencache.Error?
function token_info.checked(info, err)
  if err == nil and info ~= nil
    and (type(info) ~= "table" or type(info.access_token) ~= "string") then
    err = "get_cached_token must return a table with an access_token, or nil; mend the handler "
      .. "or empty the cache"
  elseif err == nil and info ~= nil and info.access_token:find "%c" then
    err = "get_cached_token returned an access_token with a control character; mend the handler "
      .. "or empty the cache"
  end
  if err ~= nil then
    return nil, errors.wrap("cache", err)
  end
  return info
end

--- A shallow copy: nested tables are shared.
---@param info table
---@return table
function token_info.copy(info)
  local copy = {}
  for name, value in pairs(info) do
    copy[name] = value
  end
  return copy
end

--- A copy that shares no table, so that neither side can change the other's; but those of a handler
--- of the program's own which are nested too deeply, or in themselves, stay shared.
---@param info table
---@return table
function token_info.deep_copy(info)
  json = json or require "tokencache.json"
  local done, copy = pcall(json.copy, info)
  return done and copy or token_info.copy(info)
end

local FIELDS = {
  access_token = true, token_type = true, expires_in = true, expires_at = true,
  authorized_at = true, refresh_token = true, scope = true, requested_scope = true,
  client_id = true,
}

--- Whether it holds the fields of tokencache.TokenInfo and no other, so that `plain_copy` is whole.
---@param info tokencache.TokenInfo
---@return boolean
function token_info.is_plain(info)
  for name, value in pairs(info) do
    if not FIELDS[name] or type(value) == "table" then
      return false
    end
  end
  return true
end

--- Much faster than to go through the fields. The table is made for those that a client's own token
--- has, with room for a user's: to set a field to nil costs as much as to set it.
---@param info tokencache.TokenInfo  for which `is_plain`
---@return tokencache.TokenInfo
function token_info.plain_copy(info)
  local copy = {
    access_token = info.access_token,
    token_type = info.token_type,
    expires_in = info.expires_in,
    expires_at = info.expires_at,
    scope = info.scope,
    client_id = info.client_id,
  }
  if info.refresh_token ~= nil then
    copy.refresh_token = info.refresh_token
  end
  if info.authorized_at ~= nil then
    copy.authorized_at = info.authorized_at
  end
  if info.requested_scope ~= nil then
    copy.requested_scope = info.requested_scope
  end
  return copy
end

--- The fields that decisions depend on, in the order the engine reads them.
---@param info? tokencache.TokenInfo
function token_info.flat(info)
  if not info then
    return nil
  end
  return info.access_token, token_info.end_of(info), info.refresh_token, info.scope,
    info.requested_scope, info.client_id, info.authorized_at, info.expires_in, info.grant_digest
end

--- Seconds left of the token; nil where it states no end.
---@param info tokencache.TokenInfo
---@param now number  Unix seconds
---@return number?
function token_info.left(info, now)
  local ends = token_info.known_end(info)
  return ends and ends - now
end

--- An empty refresh token is none: servers send it where they mean to send nothing.
---@param info tokencache.TokenInfo
---@return boolean
function token_info.has_refresh_token(info)
  return type(info.refresh_token) == "string" and info.refresh_token ~= ""
end

--- When the login ends, however often its tokens are renewed before.
---@param info tokencache.TokenInfo
---@param refresh_token_lifetime? number  seconds from the login, where the provider has a limit
---@return number?  Unix seconds; nil: never, as far as anyone knows
function token_info.login_end(info, refresh_token_lifetime)
  local authorized_at = tonumber(info.authorized_at)
  local of_login = authorized_at and refresh_token_lifetime
    and authorized_at + refresh_token_lifetime
  local of_token = timestamp.read(info.refresh_token_expires_at)
  return of_login and of_token and math.min(of_login, of_token) or of_login or of_token
end

--- From when on nothing in it is of use: neither the token nor what could renew it.
---@param info tokencache.TokenInfo
---@param refresh_token_lifetime? number  as for login_end
---@return number?  Unix seconds; nil: never, as far as anyone knows
function token_info.good_until(info, refresh_token_lifetime)
  local expires_at = token_info.known_end(info)
  if not token_info.has_refresh_token(info) then
    return expires_at
  end
  local login_end = token_info.login_end(info, refresh_token_lifetime)
  return login_end and math.max(login_end, expires_at or 0)
end

return token_info
