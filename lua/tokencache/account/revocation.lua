--- Revokes the tokens of a login at the provider (RFC 7009): the refresh token first, whose end
--- ends the access tokens at most providers, then the access token.

local about_token = require "tokencache.flow.about_token"
local token_info = require "tokencache.token_info"

---@param flow tokencache.Flow
---@param info tokencache.TokenInfo
---@param seconds number  for all of it
---@return tokencache.Error?  the first that went wrong; nil also where the provider cannot revoke
---@return boolean? is_revoked
return function(flow, info, seconds)
  local deadline = flow.io.monotonic() + seconds
  local url, err = flow:_endpoint("revocation_url", deadline)
  if not url then
    return err.kind ~= "config" and err or nil -- config: it has no such endpoint
  end
  local revoked = true
  if token_info.has_refresh_token(info) then
    revoked, err = about_token.revoke_at(flow, url, info.refresh_token, "refresh_token", deadline)
  end
  if revoked then
    revoked, err = about_token.revoke_at(flow, url, info.access_token, "access_token", deadline)
  end
  return err, revoked
end
