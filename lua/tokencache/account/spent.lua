--- Refresh tokens that must not be sent again, because they are spent or dead. A process keeps
--- digests of them. A store may bring a spent one back (a failover, a restored copy); then the
--- token that came in its place is known here.

local crypto = require "tokencache.crypto"
local errors = require "tokencache.error"
local token_info = require "tokencache.token_info"

local spent = {}

local MOST = 8 -- of an account: what a store brings back is not much older than that

--- What a provider says to a refresh token that is spent or dead.
spent.ANSWER = { status = 400, object = { error = "invalid_grant" } }

--- What a run ends with that would have sent one of those.
---@return tokencache.Error
function spent.unsent_error()
  return errors.new("reauthorize", "the refresh token is spent or dead, so it was not sent; the "
    .. "user must log in again", { code = "invalid_grant" })
end

--- Returns the token's digest; without libcrypto the token itself, which is worth nothing any more.
local function digest(refresh_token)
  return crypto.sha256(refresh_token) or refresh_token
end

local function is_in(marks, refresh_token)
  if marks and type(refresh_token) == "string" and refresh_token ~= "" then
    local mark = digest(refresh_token)
    for i = 1, #marks do
      if marks[i] == mark then
        return true
      end
    end
  end
  return false
end

--- Adds the token's digest to those of the account, of which the oldest goes in time.
local function add(state, name, refresh_token)
  local marks = state[name] or {}
  state[name] = marks
  if not is_in(marks, refresh_token) then
    marks[#marks + 1] = digest(refresh_token)
    if #marks > MOST then
      table.remove(marks, 1)
    end
  end
end

--- Notes that `info` has come in place of the refresh token `old`.
---@param state tokencache.AccountState
---@param old string
---@param info tokencache.TokenInfo
---@param since number  Unix seconds: a log out since then counts for it
function spent.note(state, old, info, since)
  if not token_info.has_refresh_token(info) or info.refresh_token == old then
    return
  end
  state.latest, state.latest_since = info, since
  add(state, "spent", old)
end

--- Notes that the provider knows the refresh token no longer.
function spent.note_dead(state, refresh_token)
  add(state, "dead", refresh_token)
  if state.latest and state.latest.refresh_token == refresh_token then
    state.latest = nil
  end
end

--- Reports whether the refresh token must not be sent again.
---@param state? tokencache.AccountState
---@param refresh_token any
---@return boolean
function spent.has(state, refresh_token)
  return state ~= nil and (is_in(state.spent, refresh_token) or is_in(state.dead, refresh_token))
end

--- Returns the latest token_info that came in place of a spent refresh token, or nil.
---@return tokencache.TokenInfo?
---@return number? since  Unix seconds: a log out since then counts for it
function spent.successor(state, refresh_token)
  if is_in(state.spent, refresh_token) then
    return state.latest, state.latest_since
  end
end

--- The user has logged out: nothing is the successor of anything any more. What was spent stays so.
function spent.forget(state)
  state.latest = nil
end

return spent
