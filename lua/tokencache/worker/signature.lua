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
  local is_accepted = {}
  for _, alg in ipairs(accepted or {}) do
    is_accepted[alg] = true
  end
  return own == "RS256" and not is_accepted.RS256 and is_accepted.PS256 and "PS256" or own
end

--- Signs claims.
---@param key tokencache.SigningKey
---@param header table   without alg; a JWK's kid is added where there is none
---@param claims string  JSON
---@param alg? string    default: the key's own
---@param accepted? string[]  what the provider says that it takes
---@return string? jws   in the compact form
---@return tokencache.Error?
function signature.sign(key, header, claims, alg, accepted)
  local read, problem = private_key.read(key.text, key.passphrase)
  if not read then
    return config_error(key, problem)
  end
  header.alg = alg or choose(read.key:alg(), accepted)
  header.kid = header.kid or read.kid
  local jws, err = read.key:sign(header.alg, json.encode(header), claims)
  if not jws then
    return config_error(key, err.message)
  end
  return jws
end

return signature
