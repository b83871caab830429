--- ID tokens of strangers. The input is one as it is; or its header, its claims and the provider's
--- keys, as JSON in a line each.

local core = require "tokencache._core"
local id_token = require "tokencache.id_token"
local json = require "tokencache.json"
local outcome = require "fuzz.outcome"

local NOW, CLIENT_ID = 1760000000, "an-id"
local ISSUERS = { "https://login.example", "https://login.example/{tenantid}" }
local SIGNATURE = core.base64url_encode(("s"):rep(256))

local function check(result, problem, ...)
  if result == nil then
    outcome.check_text(tostring(problem))
  end
  return result, problem, ...
end

local function names(audience, client_id)
  local text = json.encode(audience)
  return text:find('"' .. client_id .. '"', 1, true) ~= nil
end

--- What passes says who it is for, by whom, and until when.
local function check_claims(claims)
  for _, issuer in ipairs(ISSUERS) do
    local problem = id_token.problem_of_claims(claims, { issuer = issuer, client_id = CLIENT_ID,
      now = NOW, nonce = "n", max_age = 600, access_token = "a",
      previous = { sub = "alice", azp = CLIENT_ID, auth_time = NOW } })
    if problem then
      outcome.check_text(problem)
    else
      assert(claims.iss == issuer or issuer == ISSUERS[2] and #claims.iss == #ISSUERS[1] + 37)
      assert(claims.sub == "alice" and claims.nonce == "n" and names(claims.aud, CLIENT_ID))
      assert(claims.exp > NOW - 60 and claims.auth_time >= NOW - 660 and claims.auth_time == NOW)
    end
  end
end

--- No key of the fuzzer's has made any signature; a single one fits what was signed by it.
local function check_token(text, keys)
  local jws = check(id_token.read(text))
  if not jws then
    return
  end
  check_claims(jws.claims)
  if check(id_token.verify(text, keys)) then
    local last = text:sub(-2, -2) == "A" and "B" or "A"
    assert(not id_token.verify(text:sub(1, -3) .. last .. text:sub(-1), keys), "two signatures fit")
  end
end

local function keys_of(text)
  local object = json.decode_answer(text)
  return type(object) == "table" and type(object.keys) == "table" and object.keys or {}
end

return function(bytes)
  local header, claims, keys = bytes:match "^([^\n]*)\n([^\n]*)\n(.*)$"
  if not header then
    return check_token(bytes, {})
  end
  local input = core.base64url_encode(header) .. "." .. core.base64url_encode(claims)
  local signed = claims:match '"signature":"([%w_-]+)"' or SIGNATURE
  check_token(input .. "." .. signed, keys_of(keys))
end
