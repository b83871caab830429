--- Text sealed with AES-256-GCM (src/backend/crypto.h), as text again: base64url.

local core = require "tokencache._core"
local crypto = require "tokencache.crypto"

local sealed = {}

---@param secret string  16 bytes or more
---@param bound string   not part of the result, but must be the same when it is opened
---@param text string
---@return string?
---@return tokencache.Error?
function sealed.seal(secret, bound, text)
  local bytes, err = crypto.seal(secret, bound, text)
  if not bytes then
    return nil, err
  end
  return core.base64url_encode(bytes)
end

---@param secret string
---@param bound string
---@param text string  of `seal`
---@return string?  nil without an error: altered, or sealed with another secret or bound
---@return tokencache.Error?
function sealed.open(secret, bound, text)
  local bytes = core.base64url_decode(text)
  if not bytes then
    return nil
  end
  return crypto.open(secret, bound, bytes)
end

return sealed
