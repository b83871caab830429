--- ID tokens: what a client must check before it believes one (OpenID Connect Core §3.1.3.7, §12.2;
--- RFC 8725). Whatever a header says of where to find the key (jwk, jku, x5u) is not looked at.

local core = require "tokencache._core"
local crypto = require "tokencache.crypto"
local is_uuid = require "tokencache.util.is_uuid"
local json = require "tokencache.json"

local id_token = {}

local MOST = 65536 -- bytes
local TOLERANCE = 60 -- seconds that the provider's clock may differ

local RSA = { kty = "RSA", "n", "e" }

--- By alg: the key it wants (RFC 7518 §3.1, §6). Not "none"; and not HS256, whose key is the client
--- secret: all who know that could sign.
local KEYS = { RS256 = RSA, PS256 = RSA, ES256 = { kty = "EC", crv = "P-256", "x", "y" } }

---@class tokencache.Jws
---@field header table
---@field claims table
---@field input string      what is signed
---@field signature string

local function read_object(part)
  local text = core.base64url_decode(part)
  local object = text and json.decode(text)
  return type(object) == "table" and object[1] == nil and json.without_nulls(object) or nil
end

--- Takes an ID token apart and checks nothing in it.
---@param text any
---@return tokencache.Jws?
---@return string? problem
function id_token.read(text)
  if type(text) ~= "string" or #text > MOST then
    return nil, "it is no text of up to " .. MOST .. " bytes"
  end
  local input, header, payload, signature = text:match "^(([%w_-]+)%.([%w_-]+))%.([%w_-]*)$"
  if not input then
    return nil, select(2, text:gsub("%.", "")) == 4 and "it is encrypted, which is not supported"
      or "it is not three parts of base64url"
  end
  local jws = { header = read_object(header), claims = read_object(payload), input = input,
    signature = core.base64url_decode(signature) }
  if not jws.header or not jws.claims or not jws.signature then
    return nil, "a part of it cannot be read"
  end
  return jws
end

local function problem_of_header(header)
  if header.alg == "none" or header.alg == "HS256" then
    return "its alg is " .. header.alg .. ", which proves nothing"
  elseif not KEYS[header.alg] then
    return "its alg is none of RS256, PS256 and ES256"
  elseif header.crit ~= nil or header.b64 ~= nil then -- RFC 7515 §4.1.11, RFC 7797
    return "its header wants what is not supported (crit or b64)"
  elseif header.kid ~= nil and type(header.kid) ~= "string" then
    return "its kid is no string"
  end
end

--- Reports whether the token says that this is its issuer. Microsoft's name {tenantid} in their
--- place where there are many, and the token names its own (tid).
function id_token.is_of(issuer, claims)
  if is_uuid(claims.tid) then
    issuer = issuer:gsub("{tenantid}", claims.tid)
  end
  return claims.iss == issuer and not issuer:find("{tenantid}", 1, true)
end

--- Reports whether a key of the provider's may have made the signature (RFC 7517 §4).
local function suits(key, header, wanted)
  return type(key) == "table" and key.kty == wanted.kty and key.crv == wanted.crv
    and (key.use == nil or key.use == "sig") and (key.alg == nil or key.alg == header.alg)
    and (header.kid == nil or key.kid == header.kid)
end

local function number_of(key, name)
  return type(key[name]) == "string" and core.base64url_decode(key[name]) or ""
end

---@param jws tokencache.Jws
---@param keys table[]  JWKs
---@return boolean? is_signed  nil: no key of the provider's can be the one
---@return any problem
local function check_signature(jws, keys)
  local header, wanted = jws.header, KEYS[jws.header.alg]
  local problem
  for _, key in ipairs(keys) do
    if suits(key, header, wanted) then
      local fits, err
      if type(key.issuer) == "string" and not id_token.is_of(key.issuer, jws.claims) then
        err = "it is signed by the key of another issuer" -- which Microsoft's keys name
      else
        fits, err = crypto.verify(header.alg, number_of(key, wanted[1]),
          number_of(key, wanted[2]), jws.input, jws.signature)
      end
      if fits then
        return true
      end
      problem = err or "its signature is wrong"
    end
  end
  return problem and header.kid and false,
    problem or "the provider has no key that it could be signed with (alg, kid)"
end

--- Checks the signature.
---@param text any
---@param keys table[]  the provider's, as JWKs
---@return tokencache.Jws?
---@return any problem
---@return boolean? may_be_new  the key may be one that the provider has made since
function id_token.verify(text, keys)
  local jws, problem = id_token.read(text)
  problem = problem or problem_of_header(jws.header)
  if problem then
    return nil, problem
  end
  local is_signed
  is_signed, problem = check_signature(jws, keys)
  if not is_signed then
    return nil, problem, is_signed == nil
  end
  return jws
end

---@class tokencache.IdTokenExpectation
---@field issuer string          {tenantid} in it stands for the claim tid
---@field client_id string
---@field now number             Unix seconds
---@field access_token? string   that came with it
---@field nonce? string          of the login; nil: it had none
---@field max_age? number        seconds since the person's last login that were allowed
---@field previous? table        claims of the token that is renewed

---@param audience any  the claim aud
---@param client_id string
---@return boolean
function id_token.names_client(audience, client_id)
  if type(audience) ~= "table" then
    return audience == client_id
  end
  for _, name in ipairs(audience) do
    if name == client_id then
      return true
    end
  end
  return false
end

local function is_number(value)
  return type(value) == "number" and value == value
end

--- Seconds between two times, as text. In floats, as no difference may overflow.
local function seconds_from(earlier, later)
  return ("%.0f"):format(later + 0.0 - earlier)
end

--- What a log knows a problem by when it comes again, as the seconds in it grow.
---@param problem any
---@return string
function id_token.kind_of_problem(problem)
  return (tostring(problem):gsub("%d+ seconds", "seconds"))
end

--- What is wrong with its times, of which exp and iat must be there.
---@param claims table
---@param expected { now: number, max_age?: number }
---@return string?
function id_token.problem_of_times(claims, expected)
  local now, exp, iat, nbf = expected.now, claims.exp, claims.iat, claims.nbf
  local auth_time = claims.auth_time
  if not is_number(exp) then
    return "it does not say when it ends (exp)"
  elseif not is_number(iat) then
    return "it does not say when it was issued (iat)"
  elseif nbf ~= nil and not is_number(nbf) then
    return "its nbf is no number"
  elseif exp <= now - TOLERANCE then -- no sum may overflow
    return ("it has been over for %s seconds (exp); set this machine's clock if that is ahead")
      :format(seconds_from(exp, now))
  elseif iat > now + TOLERANCE then
    return ("it seems to be from %s seconds in the future (iat); set this machine's clock if that "
      .. "is behind"):format(seconds_from(now, iat))
  elseif nbf and nbf > now + TOLERANCE then
    return ("it is not valid for %s seconds yet (nbf); set this machine's clock if that is behind")
      :format(seconds_from(now, nbf))
  elseif expected.max_age and not is_number(auth_time) then
    return "it does not say when the user has logged in (auth_time), which max_age asks for"
  elseif expected.max_age and auth_time < now - expected.max_age - TOLERANCE then
    return "the user has logged in longer ago than max_age allows (auth_time)"
  end
end

--- The left half of the token's digest (§3.1.3.6).
local function fits_hash(hash, access_token)
  local digest = crypto.sha256(access_token)
  return digest ~= nil and hash == core.base64url_encode(digest:sub(1, #digest / 2))
end

--- What must not change when it is renewed (§12.2).
local function problem_of_renewal(claims, previous)
  for _, name in ipairs { "sub", "azp", "auth_time", "nonce" } do
    local value, before = claims[name], previous[name]
    if value ~= before and value ~= nil and before ~= nil then
      return "its " .. name .. " is not that of the login"
    end
  end
end

--- What is wrong with claims, in words that quote none of them.
---@param claims table
---@param expected tokencache.IdTokenExpectation
---@return string?
function id_token.problem_of_claims(claims, expected)
  local audience, client_id = claims.aud, expected.client_id
  if not id_token.is_of(expected.issuer, claims) then
    return "its iss is not " .. expected.issuer
  elseif type(claims.sub) ~= "string" or claims.sub == "" then
    return "it names no user (sub)"
  elseif not id_token.names_client(audience, client_id) then
    return "it is for other clients (aud)"
  elseif type(audience) == "table" and #audience > 1 and claims.azp == nil then
    return "it is for several clients and does not say which one has asked for it (azp)"
  elseif claims.azp ~= nil and claims.azp ~= client_id then
    return "another client has asked for it (azp)"
  elseif expected.nonce and claims.nonce ~= expected.nonce then
    return "its nonce is not that of this login"
  elseif expected.access_token and claims.at_hash ~= nil
    and not fits_hash(claims.at_hash, expected.access_token) then
    return "its at_hash is not that of the access token"
  end
  return id_token.problem_of_times(claims, expected)
    or expected.previous and problem_of_renewal(claims, expected.previous)
end

return id_token
