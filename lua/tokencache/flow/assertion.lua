--- JWTs that say who somebody is (RFC 7523 §3), signed here.

local blocking = require "tokencache.blocking"
local core = require "tokencache._core"
local environment = require "tokencache.environment"
local errors = require "tokencache.error"

local assertion = {}

local json, signature -- loaded when first used

--- Claims with those that each assertion has: for whom it is, for how long, and an id by which it
--- counts once.
---@param flow tokencache.Flow
---@param claims table  changed in place
---@param audience string
---@param life number   seconds
---@return string?  JSON
---@return tokencache.Error?
function assertion.claims(flow, claims, audience, life)
  local id, err = flow.io.random(16)
  if not id then
    return nil, errors.wrap("transient", err)
  end
  local now = math.floor(flow.now())
  claims.aud, claims.jti = audience, core.base64url_encode(id)
  claims.iat, claims.exp = now, now + life
  json = json or require "tokencache.json"
  local text, problem = json.encode(claims)
  return text, problem and errors.new("config", "claims: " .. problem) or nil
end

--- The functions of the worker that signs. In nginx's stream {}, which has no threads, they run
--- here.
---@return table
function assertion.signature()
  if not signature then
    local in_stream = environment.nginx and require("tokencache.nginx.phase").is_stream()
    signature = in_stream and require "tokencache.worker.signature"
      or blocking.worker "signature"
  end
  return signature
end

return assertion
