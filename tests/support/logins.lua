--- A user's login at a server that gives each refresh token once, for the specs of refresh.

local assert = require "luassert"
local merged = require "support.merged"
local stages = require "support.stage"

local logins = {}

--- Expired on the stage's clock; NEWER is what another process made of it.
logins.LOGIN = { access_token = "old", refresh_token = "refresh-1", expires_at = 990,
  scope = "a b", authorized_at = 500, client_id = stages.CLIENT_ID }
logins.NEWER = merged(logins.LOGIN, { access_token = "newer", refresh_token = "refresh-2",
  expires_at = 5000 })

--- Makes the server give access-1 and refresh-2, access-2 and refresh-3, ... and `changes`.
---@param stage Stage
---@param changes? table
function logins.rotate(stage, changes)
  local count = 0
  stage.on.request = function()
    count = count + 1
    return stages.answer(merged({ access_token = "access-" .. count, expires_in = 3600,
      refresh_token = "refresh-" .. count + 1 }, changes))
  end
end

--- For `on.request`: the refresh token is dead.
function logins.dead()
  return stages.answer({ error = "invalid_grant", error_description = "revoked" }, 400)
end

--- For `on.load` and `on.save`.
function logins.fail()
  return nil, "the disk is full"
end

--- For what a call returned: the user must log in again.
function logins.expect_reauthorize(token, err)
  assert.is_nil(token)
  assert.equal("reauthorize", err.kind)
end

--- The refresh tokens that were sent, in turn.
---@param stage Stage
---@return string
function logins.sent(stage)
  local tokens = {}
  for i, request in ipairs(stage.requests) do
    tokens[i] = request.body:match("^grant_type=refresh_token&refresh_token=([%w-]+)$")
      or request.body
  end
  return table.concat(tokens, " ")
end

return logins
