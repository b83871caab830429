--- What providers want and answer otherwise than the RFCs say: put right on the way out and in. The
--- fields that say so are those of tokencache.Provider.

local options = require "tokencache.util.options"
local protected = require "tokencache.util.protected"

local quirks = {}

--- A list of scopes as one text; nil: it is no list of strings.
---@param scopes table
---@return string?
function quirks.joined(scopes)
  return options.is_list(scopes, "string") and table.concat(scopes, " ") or nil
end

--- Puts right what an answer means but does not say.
---@param flow tokencache.Flow
---@param object table  the answer's, changed in place
function quirks.mend(flow, object)
  local scope, token_type = object.scope, object.token_type
  if type(scope) == "table" then
    object.scope = quirks.joined(scope) -- Twitch's
  end
  if flow.token_types and type(token_type) == "string" and flow.token_types[token_type:lower()] then
    object.token_type = "Bearer"
  end
end

--- What a function of the provider's has come to, for a message. What it says itself may hold
--- secrets: it has seen them.
local function failure(name, err)
  local place = type(err) == "string" and err:match "^[%w_./\\-]+%.lua:%d+"
  return "the provider's " .. name .. " raised an error" .. (place and " at " .. place or "")
    .. "; what it says is not shown, as it may hold secrets"
end

--- Reports whether an answer says in the provider's own way that the refresh token is dead. One
--- with a token never does.
---@param flow tokencache.Flow
---@param answer { status: integer, object?: table, body?: string }
---@return boolean
---@return string? problem
function quirks.is_dead(flow, answer)
  if not flow.calls_dead or answer.object and answer.object.access_token ~= nil then
    return false
  end
  local ok, is_dead = protected(flow.calls_dead, answer)
  if not ok then
    return false, failure("dead_refresh_token", is_dead)
  end
  return is_dead and true or false
end

--- Returns a function that finds one of the codes or statuses in an answer. A code counts on a
--- working server's word only, as invalid_grant does.
local function finder(list)
  local codes, statuses = {}, {}
  for _, sign in ipairs(list) do
    (type(sign) == "number" and statuses or codes)[sign] = true
  end
  return function(answer)
    local status, code = answer.status, answer.object and answer.object.error
    return statuses[status] or code ~= nil and codes[code] and status < 500 and status ~= 429
  end
end

local function lowered(names)
  local set = {}
  for _, name in ipairs(names) do
    set[name:lower()] = true
  end
  return set
end

--- Adds to a flow what it needs to know of its provider's quirks.
---@param flow table
---@param server tokencache.Provider  checked
function quirks.take(flow, server)
  local dead = server.dead_refresh_token
  flow.calls_dead = options.matches(dead, "callable") and dead or dead and finder(dead)
  flow.token_types = server.token_types and lowered(server.token_types)
end

return quirks
