--- Private keys as text: PEM, or a JWK (RFC 7517). What is read once is kept for the next time.

local core = require "tokencache._core"
local crypto = require "tokencache.crypto"
local json = require "tokencache.json"
local lru = require "tokencache.util.lru"
local secret = require "tokencache.util.secret"

local private_key = {}

local kept = lru(16) -- by passphrase and text

--- The numbers of a JWK (RFC 7518 §6), as the functions of crypto take them; the first of them must
--- be there.
local FORMS = {
  RSA = { read = crypto.read_rsa_key, needed = 3, "n", "e", "d", "p", "q", "dp", "dq", "qi" },
  EC = { read = crypto.read_ec_key, needed = 3, "x", "y", "d" },
}

---@return string[]?
---@return string? problem
local function numbers_of(jwk, form)
  local numbers = {}
  for i, name in ipairs(form) do
    local value = jwk[name]
    if value == nil and i <= form.needed then
      return nil, name == "d" and "is the JWK of a public key, which has no d"
        or "is a JWK without its " .. name
    end
    numbers[i] = value == nil and "" or type(value) == "string" and core.base64url_decode(value)
    if not numbers[i] then
      return nil, "is a JWK whose " .. name .. " is not base64url"
    end
  end
  return numbers
end

local function read_jwk(text)
  local jwk = json.decode(text)
  if type(jwk) ~= "table" then
    return nil, "begins as JSON and is none"
  elseif jwk.keys ~= nil then
    return nil, "is a set of JWKs; give one of its keys"
  end
  local form = FORMS[jwk.kty]
  if not form then
    return nil, "is a JWK whose kty is neither RSA nor EC"
  elseif jwk.kty == "EC" and jwk.crv ~= "P-256" then
    return nil, "is a JWK on another curve than P-256, which ES256 needs"
  end
  local n, problem = numbers_of(jwk, form)
  if not n then
    return nil, problem
  end
  local key, err = form.read(n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8])
  return key, err, type(jwk.kid) == "string" and jwk.kid or nil
end

---@class tokencache.PrivateKey
---@field key userdata
---@field kid? string  of a JWK that says it

--- Reads a key. What is wrong with it, in words that may follow its name, says nothing of it.
---@param text string
---@param passphrase? string  of PKCS#8
---@return tokencache.PrivateKey?
---@return string|tokencache.Error|nil problem  an error: libcrypto is missing
function private_key.read(text, passphrase)
  local id = passphrase and passphrase .. "\0" .. text or text
  local made = kept:get(id)
  if made then
    return made
  end
  local is_ready, missing = crypto.sha256 ""
  if not is_ready then
    return nil, missing
  end
  local key, err, kid
  if text:find "^%s*{" then
    key, err, kid = read_jwk(text)
  elseif text:find "^%s*$" then
    err = "is empty"
  else
    err = secret.problem_of_pem(text)
    if not err then
      key, err = crypto.read_key(text, passphrase or "")
    end
  end
  if not key then
    return nil, type(err) == "table" and err.message or err
  end
  made = { key = key, kid = kid }
  kept:set(id, made)
  return made
end

return private_key
