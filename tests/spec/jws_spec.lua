local core = require "tokencache._core"
local crypto = require "tokencache._crypto"
local process = require "support.process"

local decode = core.base64url_decode

--- RFC 7515, appendices A.2 and A.3.
local PAYLOAD = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb"
  .. "290Ijp0cnVlfQ"
local RS256 = {
  "RS256",
  "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4"
    .. "QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5re"
    .. "xMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhy"
    .. "xXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
  "AQAB", "eyJhbGciOiJSUzI1NiJ9." .. PAYLOAD,
  "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5juj"
    .. "Gbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1"
    .. "L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9Q"
    .. "OYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
}
local ES256 = {
  "ES256", "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
  "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", "eyJhbGciOiJFUzI1NiJ9." .. PAYLOAD,
  "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
}

--- What Node signs; `code` sees c (its crypto module) and ends in key, options.
local function sign(alg, code)
  local status, output = process.run { "node", "-e", [[
    const c = require("crypto"), alg = process.argv[1];
    const make = (...args) => c.generateKeyPairSync(...args).privateKey;
    const [key, options] = ]] .. code .. [[;
    const jwk = key.export({ format: "jwk" });
    const signature = c.sign("sha256", "input", { key, ...options }).toString("base64url");
    console.log([jwk.n ?? jwk.x, jwk.e ?? jwk.y, signature].join(" "));
  ]], alg }
  assert.equal(0, status, output)
  local a, b, signature = output:match "^(%S+) (%S+) (%S+)\n$"
  return { alg, a, b, "input", signature }
end

local function verify(parts, changes)
  changes = changes or {}
  return crypto.verify(changes.alg or parts[1], changes.n or decode(parts[2]),
    changes.e or decode(parts[3]), changes.input or parts[4],
    changes.signature or decode(parts[5]))
end

local function refusal(...)
  local fits, err = verify(...)
  assert.is_nil(fits)
  return err.kind .. ": " .. err.message
end

describe("a signature #c", function()
  local PSS = "[make('rsa', { modulusLength: 2048 }), "
    .. "{ padding: c.constants.RSA_PKCS1_PSS_PADDING, saltLength: %d }]"
  local ps256

  setup(function() ps256 = sign("PS256", PSS:format(32)) end)

  it("is that of the key, by RS256, ES256 and PS256", function()
    for _, parts in ipairs { RS256, ES256, ps256 } do
      assert.is_true(verify(parts))
    end
  end)

  it("is that of no other input", function()
    for _, parts in ipairs { RS256, ES256, ps256 } do
      for _, input in ipairs { "", parts[4] .. " ", parts[4]:sub(2), ("x"):rep(100000) } do
        assert.is_false(verify(parts, { input = input }))
      end
    end
  end)

  it("is not accepted changed", function()
    for _, parts in ipairs { RS256, ES256, ps256 } do
      local whole = decode(parts[5])
      for _, other in ipairs { "", "\0", ("\0"):rep(#whole), ("\255"):rep(#whole), whole:sub(2),
        whole:sub(1, -2), whole .. "\0", "\0" .. whole,
        whole:sub(1, -2) .. string.char((whole:byte(-1) + 1) % 256) } do
        assert.is_false(verify(parts, { signature = other }))
      end
    end
  end)

  it("of another algorithm for the same key is none", function()
    assert.is_false(verify(RS256, { alg = "PS256" }))
    assert.is_false(verify(ps256, { alg = "RS256" }))
    assert.is_false(verify(sign("PS256", PSS:format(20)))) -- RFC 7518 §3.5: as long as the hash
  end)

  it("in DER is none", function()
    assert.is_false(verify(sign("ES256", "[make('ec', { namedCurve: 'P-256' }), {}]")))
  end)

  it("needs a key of some strength, a point that is on the curve, and an algorithm", function()
    local WEAK = "protocol: the RSA key must have 2048 to 8192 bits and an odd exponent"
    local NO_POINT = "protocol: the key is no point of P-256"
    assert.equal(WEAK, refusal(sign("RS256", "[make('rsa', { modulusLength: 1024 }), {}]")))
    for _, changes in ipairs { { n = "" }, { n = ("\0"):rep(256) }, { n = ("\255"):rep(1025) },
      { e = "" }, { e = "\1" }, { e = "\2" }, { e = ("\255"):rep(9) } } do
      assert.equal(WEAK, refusal(RS256, changes))
    end
    local x = decode(ES256[2])
    for _, changes in ipairs { { n = "" }, { n = x:sub(2) }, { n = x .. "\0" }, { e = x },
      { n = ("\0"):rep(32), e = ("\0"):rep(32) }, { n = ("\255"):rep(32) } } do
      assert.equal(NO_POINT, refusal(ES256, changes))
    end
    for _, alg in ipairs { "none", "HS256", "RS1", "es256", "" } do
      assert.equal("config: alg must be RS256, PS256 or ES256", refusal(RS256, { alg = alg }))
    end
  end)
end)
