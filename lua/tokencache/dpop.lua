--- Tokens that are bound to a key (RFC 9449): who steals one cannot use it. Each account has a key
--- of its own, on P-256, which is kept with its token; a key for all of them would be in every
--- entry, or change under tokens that are bound to it.

local core = require "tokencache._core"
local crypto = require "tokencache.crypto"
local endpoint = require "tokencache.transport.endpoint"
local errors = require "tokencache.error"
local json = require "tokencache.json"
local lru = require "tokencache.util.lru"

local dpop = {}

local MOST_NONCES = 100
local LONGEST_NONCE = 4096 -- bytes

local kept = lru(1000) -- what is read of keys

local function encoded(jwk, key)
  local public = { kty = "EC", crv = "P-256", x = jwk.x, y = jwk.y }
  local header = { typ = "dpop+jwt", alg = "ES256", jwk = public }
  return { key = key, header = json.encode(header) }
end

--- Makes a key: a JWK with its private part.
---@return table?
---@return tokencache.Error?
function dpop.new_key()
  local key, err = crypto.new_key()
  local x, y, d
  if key then
    x, y, d = key:numbers()
    err = y
  end
  if not d then
    return nil, err
  end
  return { kty = "EC", crv = "P-256", x = core.base64url_encode(x), y = core.base64url_encode(y),
    d = core.base64url_encode(d) }
end

--- The digest of a key (RFC 7638), by which an authorization request names it (RFC 9449 §10).
---@param jwk table  of new_key
---@return string?
---@return tokencache.Error?
function dpop.thumbprint(jwk)
  local digest, err = crypto.sha256(('{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}')
    :format(jwk.x, jwk.y))
  return digest and core.base64url_encode(digest), err
end

---@return table?
---@return tokencache.Error?
local function read_key(jwk)
  local id = type(jwk) == "table" and table.concat { tostring(jwk.d), tostring(jwk.x),
    tostring(jwk.y) }
  local read = id and kept:get(id)
  if read then
    return read
  end
  local made, problem
  if id then
    made, problem = require("tokencache.private_key").read(json.encode(jwk))
  end
  if type(problem) == "table" then
    return nil, problem
  elseif not made then
    return nil, errors.new("cache", "the key that the token is bound to "
      .. (problem or "is not there, as it was got without dpop; remove it"))
  end
  read = encoded(jwk, made.key)
  kept:set(id, read)
  return read
end

local function origin_of(url)
  return url:match "^[^/]*//[^/?#]*" or url
end

local function nonces_of(flow)
  local process = flow.process
  process.dpop_nonces = process.dpop_nonces or lru(MOST_NONCES)
  return process.dpop_nonces
end

--- The URL that a proof names: without query and fragment, and in ASCII whatever a client has asked
--- for (RFC 3986 §6.2.2.1).
local function htu_of(url)
  return (url:match "^[^?#]*":gsub("[^!-~]", function(byte)
    return ("%%%02X"):format(byte:byte())
  end))
end

--- Whether a text can be one (§8.1): what is not ASCII could not be put into a proof.
local function is_nonce(text)
  return type(text) == "string" and text:find "^[!-~]+$" and #text <= LONGEST_NONCE
end

--- Notes the nonce that a server wants from now on (§8), if an answer has one.
---@param flow tokencache.Flow
---@param url string
---@param nonce? string
---@return boolean is_new
function dpop.note(flow, url, nonce)
  if not is_nonce(nonce) or nonce == nonces_of(flow):get(origin_of(url)) then
    return false
  end
  nonces_of(flow):set(origin_of(url), nonce)
  return true
end

--- The nonce in an answer.
---@param response tokencache.HttpResponse
---@return string?
function dpop.nonce_of(response)
  return endpoint.header(response, "dpop-nonce", true)
end

--- Proves for one request that its sender holds the key (§4.2).
---@param flow tokencache.Flow
---@param jwk table         of new_key
---@param method string
---@param url string
---@param token? string     that the request carries
---@return string?
---@return tokencache.Error?
function dpop.proof(flow, jwk, method, url, token)
  local key, err = read_key(jwk)
  local id, digest
  if key then
    id, err = flow.io.random(16)
  end
  if id and token then
    digest, err = crypto.sha256(token)
  end
  if err then
    return nil, errors.wrap("config", err)
  end
  local claims = json.encode { jti = core.base64url_encode(id), htm = method,
    htu = htu_of(url), iat = math.floor(flow.now()),
    ath = digest and core.base64url_encode(digest), nonce = nonces_of(flow):get(origin_of(url)) }
  return key.key:sign("ES256", key.header, claims)
end

--- The headers of a request to an API.
---@param flow tokencache.Flow
---@param info tokencache.TokenInfo
---@param method string
---@param url string
---@return table<string, string>?
---@return tokencache.Error?
function dpop.headers(flow, info, method, url)
  if tostring(info.token_type):lower() ~= "dpop" then
    return { Authorization = "Bearer " .. info.access_token }
  end
  local proof, err = dpop.proof(flow, info.dpop_key, method, url, info.access_token)
  return proof and { Authorization = "DPoP " .. info.access_token, DPoP = proof }, err
end

return dpop
