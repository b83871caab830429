-- Signatures by keys, while allocations fail; see alloc.c.

local judge = dofile "tests/alloc/judge.lua"
local check, expect = judge.check, judge.expect

--- RFC 7515, appendix A.3.
local EC_X = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
local EC_Y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
local HEADER, CLAIMS = '{"alg":"ES256"}', '{"iss":"joe","exp":1300819380}'
local EC_D = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"

--- libcrypto does not always say that it had no memory.
local INSTEAD = { "numbers make no key", "is damaged", "on another curve", "no point of P-256" }

local function check_key(result, err)
  for _, saying in ipairs(INSTEAD) do
    err = tostring(err):find(saying, 1, true) and "not enough memory" or err
  end
  return check(result, err)
end

local kept -- a key that goes on after what has failed

local function use()
  local crypto = require "tokencache._crypto"
  local decode, encode = require("tokencache._core").base64url_decode,
    require("tokencache._core").base64url_encode
  local x, y, d = decode(EC_X), decode(EC_Y), decode(EC_D)
  local key = check_key(crypto.read_ec_key(x, y, d))
  kept = kept or key
  local input, made = check(kept:sign("ES256", HEADER, CLAIMS)):match "^(.+)%.(.+)$"
  expect(true, check_key(crypto.verify("ES256", x, y, input, decode(made))))
  local der = "\48\49\2\1\1\4\32" .. d .. "\160\10\6\8\42\134\72\206\61\3\1\7" -- RFC 5915
  local pem = ("-----BEGIN EC %s KEY-----\n%s\n-----END EC %s KEY-----\n"):format("PRIVATE",
    encode(der):gsub("-", "+"):gsub("_", "/"), "PRIVATE")
  key = check_key(crypto.read_key(pem, ""))
  expect(#input + 1 + #made, #check(key:sign("ES256", HEADER, CLAIMS)))
  expect(32, #check(check(crypto.new_key()):numbers()))
end

dofile "tests/alloc/luajit.lua"
use() -- libcrypto keeps what it looked up

return use, use
