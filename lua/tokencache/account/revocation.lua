--- Revokes tokens at the provider (RFC 7009): the refresh token first, whose end ends the access
--- tokens at most providers, then the access token.

local endpoint = require "tokencache.transport.endpoint"
local errors = require "tokencache.error"
local token_info = require "tokencache.token_info"

local OK = 200

local function revoke(flow, url, token, hint, deadline, held)
  local timeout = deadline - flow.io.monotonic()
  if timeout <= 0 then
    return errors.new("transient", "there was no time left to revoke the " .. hint:gsub("_", " "))
  end
  local body, authorization = flow.client:revocation(token, hint)
  local request = endpoint.request(url, authorization, body, timeout, deadline, flow.headers)
  if held then
    held:cover(flow.transport, request)
  end
  local response, err = endpoint.send(flow.transport, request)
  if flow.issuer then
    require("tokencache.discovery").note(flow, response, err)
  end
  if not response then
    return err
  elseif response.status ~= OK then
    return errors.new(response.status >= 500 and "transient" or "denied", "the provider did not "
      .. "revoke the " .. hint:gsub("_", " ") .. ": status " .. tostring(response.status),
      { status = response.status })
  end
end

---@param flow tokencache.Flow
---@param info tokencache.TokenInfo
---@param seconds number  for all of it
---@param held? tokencache.Lock  it lasts meanwhile
---@return tokencache.Error?  the first that went wrong; nil also where the provider cannot revoke
---@return boolean? is_revoked
return function(flow, info, seconds, held)
  local deadline = flow.io.monotonic() + seconds
  local url, err = flow:_endpoint("revocation_url", deadline)
  if not url then
    return err.kind ~= "config" and err or nil -- config: it has no such endpoint
  end
  if token_info.has_refresh_token(info) then
    err = revoke(flow, url, info.refresh_token, "refresh_token", deadline, held)
  end
  err = err or revoke(flow, url, info.access_token, "access_token", deadline, held)
  return err, err == nil
end
