-- What needs libcrypto, while allocations fail; see alloc.c.

local judge = dofile "tests/alloc/judge.lua"
local check, expect = judge.check, judge.expect

local SECRET = "0123456789abcdef"

--- RFC 7515, appendix A.3.
local EC_X = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
local EC_Y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
local INPUT = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leG"
  .. "FtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
local SIGNATURE = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-"
  .. "Kg6NU1Q"

local function verify()
  local crypto = require "tokencache._crypto"
  local decode = require("tokencache._core").base64url_decode
  expect(true, crypto.verify("ES256", decode(EC_X), decode(EC_Y), INPUT, decode(SIGNATURE)))
  expect(false, crypto.verify("PS256", ("\255"):rep(256), "\1\0\1", INPUT, ("\1"):rep(256)))
end

--- Its private part.
local EC_D = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"

--- libcrypto does not always say that it had no memory.
local INSTEAD = { "numbers make no key", "is damaged", "on another curve", "no point of P-256" }

local function check_key(result, err)
  for _, saying in ipairs(INSTEAD) do
    err = tostring(err):find(saying, 1, true) and "not enough memory" or err
  end
  return check(result, err)
end

local function sign()
  local crypto = require "tokencache._crypto"
  local decode, encode = require("tokencache._core").base64url_decode,
    require("tokencache._core").base64url_encode
  local x, y, d = decode(EC_X), decode(EC_Y), decode(EC_D)
  local key = check_key(crypto.read_ec_key(x, y, d))
  local made = check(key:sign("ES256", INPUT))
  expect(true, check_key(crypto.verify("ES256", x, y, INPUT, made)))
  local der = "\48\49\2\1\1\4\32" .. d .. "\160\10\6\8\42\134\72\206\61\3\1\7" -- RFC 5915
  local pem = ("-----BEGIN EC %s KEY-----\n%s\n-----END EC %s KEY-----\n"):format("PRIVATE",
    encode(der):gsub("-", "+"):gsub("_", "/"), "PRIVATE")
  key = check_key(crypto.read_key(pem, ""))
  expect(64, #check(key:sign("ES256", INPUT)))
  expect(32, #check(check(crypto.new_key()):numbers()))
end

local function seal()
  local crypto, core = require "tokencache._crypto", require "tokencache._core"
  local sealed = check(crypto.seal(SECRET, "aad", "plaintext"))
  expect("plaintext", crypto.open(SECRET, "aad", sealed))
  expect(nil, crypto.open(SECRET, "other", sealed))
  local digest, err = crypto.sha256("abc")
  expect("ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0",
    digest and core.base64url_encode(digest), err)
  expect("abc", core.base64url_decode("YWJj"))
  local key = check(crypto.hmac("sha1", SECRET))
  expect(20, #check(key:digest "abc"))
  expect(3, check(key:verify(check(key:sign("abc", ".")), ".", "01")))
  expect(16, #check(crypto.digest("md5", "abc")))
  local zlib = require "tokencache._zlib"
  local text = ("abc"):rep(100)
  local packed = check(zlib.pack(text))
  expect(text, check(zlib.unpack(packed, #packed, 300)))
end

--- The cookie of a session, and a pickle.
local function session()
  local pickle, flask = require "tokencache.session.pickle", require "tokencache.session.flask"
  expect(2.5, check(pickle.decode(check(pickle.encode { a = { 1, 2.5, "x" } }))).a[2])
  local opts = { secret_key = SECRET, clock = function() return 1e9 end }
  local begun = check(flask(opts))
  begun.token_info = { access_token = ("a"):rep(100) }
  opts.cookie = check(begun:set_cookie()):match "=([^;]*)"
  expect(100, #check(flask(opts)).token_info.access_token)
end

local function use()
  seal()
  session()
  sign()
  judge.look_up(verify, "the key is no point of P-256") -- so libcrypto says, too
end

dofile "tests/alloc/luajit.lua"
use() -- libcrypto keeps what it looked up

return use, use
