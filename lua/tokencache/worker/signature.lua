--- Makes JSON Web Signatures (RFC 7515). To sign by RSA takes milliseconds, as it does to read a
--- key that is encrypted.

local errors = require "tokencache.error"
local json = require "tokencache.json"
local private_key = require "tokencache.private_key"

local signature = {}

---@class tokencache.SigningKey  plain data
---@field text string         PEM or a JWK
---@field passphrase? string
---@field name string         of it, for messages: a path
---@field option? string      what gives it

local function config_error(key, problem)
  if type(problem) == "table" then
    return nil, problem
  elseif key.option then
    problem = problem:gsub("passphrase", key.option .. "_%0")
      :gsub("^signs with .*", "%0; check token_endpoint_auth_signing_alg")
  end
  return nil, errors.new("config", key.name .. " " .. problem)
end

--- Checks a key that is not signed with here.
---@param key tokencache.SigningKey
---@return true?
---@return tokencache.Error?
function signature.check(key)
  local read, problem = private_key.read(key.text, key.passphrase)
  if not read then
    return config_error(key, problem)
  end
  return true
end

--- The key's own, unless the provider takes PS256 from RSA keys and no RS256, as FAPI has it.
---@param own string
---@param accepted? string[]
local function choose(own, accepted)
  local chosen = own
  for _, alg in ipairs(own == "RS256" and accepted or {}) do
    if alg == "RS256" then
      return own
    elseif alg == "PS256" then
      chosen = alg
    end
  end
  return chosen
end

--- Signs claims.
---@param key tokencache.SigningKey
---@param header table   alg is the key's own where there is none, and kid that of a JWK
---@param claims string  JSON
---@param accepted? string[]  what the provider says that it takes
---@return string? jws   in the compact form
---@return tokencache.Error?
function signature.sign(key, header, claims, accepted)
  local read, problem = private_key.read(key.text, key.passphrase)
  if not read then
    return config_error(key, problem)
  end
  header.alg = header.alg or choose(read.key:alg(), accepted)
  header.kid = header.kid or read.kid
  local text, jws, err
  text, problem = json.encode(header)
  if not text then
    return nil, errors.new("config", "the header of what is signed: " .. problem)
  end
  jws, err = read.key:sign(header.alg, text, claims)
  if not jws then
    return config_error(key, err.message)
  end
  return jws
end

return signature
