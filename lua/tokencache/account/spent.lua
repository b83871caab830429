--- Refresh tokens that must not be sent again, because they are spent or dead. A process keeps
--- digests of them. A store may bring a spent one back (a failover, a restored copy); then the
--- token that came in its place is known here.

local crypto = require "tokencache.crypto"
local token_info = require "tokencache.token_info"

local spent = {}

local MOST = 8 -- of an account: what a store brings back is not much older than that

--- What a provider says to a refresh token that is spent or dead.
spent.ANSWER = { status = 400, object = { error = "invalid_grant" } }

--- Returns the token's digest; without libcrypto the token itself, which is worth nothing any more.
local function digest(refresh_token)
  return crypto.sha256(refresh_token) or refresh_token
end

local function is_known(state, refresh_token)
  return state ~= nil and (state.spent ~= nil or state.dead ~= nil)
    and type(refresh_token) == "string" and refresh_token ~= ""
end

--- Notes that `info` has come in place of the refresh token `old`.
---@param state tokencache.AccountState
---@param old string
---@param info tokencache.TokenInfo
function spent.note(state, old, info)
  if not token_info.has_refresh_token(info) or info.refresh_token == old then
    return
  end
  local order = state.spent_order or {}
  state.spent, state.spent_order, state.latest = state.spent or {}, order, info
  state.spent[digest(old)] = true
  order[#order + 1] = digest(old)
  if #order > MOST then
    state.spent[table.remove(order, 1)] = nil
  end
end

--- Notes that the provider knows the refresh token no longer.
function spent.note_dead(state, refresh_token)
  state.dead = digest(refresh_token)
  if state.latest and state.latest.refresh_token == refresh_token then
    state.latest = nil
  end
end

--- Reports whether the refresh token must not be sent again.
---@param state? tokencache.AccountState
---@param refresh_token any
---@return boolean
function spent.has(state, refresh_token)
  if not is_known(state, refresh_token) then
    return false
  end
  local mark = digest(refresh_token)
  return state.dead == mark or (state.spent ~= nil and state.spent[mark] == true)
end

--- Returns the latest token_info that came in place of a spent refresh token, or nil.
---@return tokencache.TokenInfo?
function spent.successor(state, refresh_token)
  if is_known(state, refresh_token) and state.spent and state.spent[digest(refresh_token)] then
    return state.latest
  end
end

--- The user has logged out: nothing is the successor of anything any more. What was spent stays so.
function spent.forget(state)
  state.latest = nil
end

return spent
