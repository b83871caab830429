-- What needs libcrypto and no private key, while allocations fail; see alloc.c.

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
  judge.look_up(verify, "the key is no point of P-256") -- so libcrypto says, too
end

dofile "tests/alloc/luajit.lua"
use() -- libcrypto keeps what it looked up

return use, use
