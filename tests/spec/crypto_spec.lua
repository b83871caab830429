local core = require "tokencache._core"
local crypto = require "tokencache._crypto"
local process = require "support.process"

local SECRET = "0123456789abcdef"

local function hex(bytes)
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

local function unhex(text)
  return (text:gsub("..", function(pair) return string.char(tonumber(pair, 16)) end))
end

local function flip(bytes, i, bit)
  local byte = bytes:byte(i)
  byte = math.floor(byte / bit) % 2 == 0 and byte + bit or byte - bit
  return bytes:sub(1, i - 1) .. string.char(byte) .. bytes:sub(i + 1)
end

--- Node's own way from secret to bytes; `code` sees secret, aad, input and c (its crypto module).
local function node(code, secret, aad, input)
  local status, output = process.run { "node", "-e", [[
    const c = require("crypto");
    const [secret, aad, input] = process.argv.slice(1).map(text => Buffer.from(text, "hex"));
    const key = Buffer.from(c.hkdfSync("sha256", secret, "", "tokencache seal 1", 32));
    const print = (...parts) => process.stdout.write(Buffer.concat(parts).toString("hex"));
  ]] .. code, hex(secret), hex(aad), hex(input) }
  assert.equal(0, status, output)
  return unhex(output)
end

describe("base64url", function()
  it("goes both ways", function()
    assert.equal("", core.base64url_encode(""))
    assert.equal("-_--AA", core.base64url_encode("\251\255\190\0"))
    assert.equal("\251\255\190\0", core.base64url_decode("-_--AA"))
    assert.equal("", core.base64url_decode(""))
  end)

  it("decodes nothing else", function()
    for _, text in ipairs { "Zg==", "Zh", "Z", "+/AA", "Zm9v\n", "Zm9\0", "\195\164bc" } do
      assert.is_nil(core.base64url_decode(text))
    end
  end)
end)

describe("crypto.random", function()
  it("gives as many bytes as asked for, others each time", function()
    local seen = {}
    for _, count in ipairs { 1, 16, 32, 65536 } do
      assert.equal(count, #crypto.random(count))
    end
    for _ = 1, 1000 do
      local bytes = crypto.random(16)
      assert.is_nil(seen[bytes])
      seen[bytes] = true
    end
  end)

  it("uses every byte value", function()
    local seen, count = {}, 0
    for byte in crypto.random(65536):gmatch(".") do
      if not seen[byte] then
        seen[byte] = true
        count = count + 1
      end
    end
    assert.is_true(count > 250)
  end)

  it("raises for other counts", function()
    for _, count in ipairs { 0, -1, 65537 } do
      assert.has_error(function() crypto.random(count) end)
    end
    assert.has_error(function() crypto.random() end)
  end)
end)

describe("crypto.sha256", function()
  it("agrees with FIPS 180-4's examples", function()
    local examples = {
      [""] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      ["abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"] =
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
      [("a"):rep(1000000)] = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
    }
    for text, digest in pairs(examples) do
      assert.equal(digest, hex(crypto.sha256(text)))
    end
  end)

  it("makes RFC 7636's challenge, with base64url", function()
    local verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert.equal("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
      core.base64url_encode(crypto.sha256(verifier)))
  end)
end)

describe("crypto.digest and hmac", function()
  it("are those of RFC 1321 and RFC 2202", function()
    assert.equal("900150983cd24fb0d6963f7d28e17f72", hex(crypto.digest("md5", "abc")))
    assert.equal("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
      hex(crypto.hmac("sha1", "Jefe"):digest "what do ya want for nothing?"))
    assert.equal(32, #crypto.hmac("sha256", ""):digest "")
  end)

  it("give the same for the same as often as they are asked", function()
    local key = crypto.hmac("sha1", "Jefe")
    local first = key:digest "a"
    assert.not_equal(first, key:digest "b")
    assert.equal(first, key:digest "a")
  end)

  it("sign a text, and know it again", function()
    local key = crypto.hmac("sha256", "key")
    local text = key:sign("a.b\0c", ".")
    assert.matches("^a%.b%z?.?c%.[%w_-]+$", text)
    assert.same({ 5, 1 }, { key:verify(text, ".", "01") })
    assert.same({ 1 }, { key:verify(key:sign("a", "."), ".", "01") })
    assert.same({ 0 }, { key:verify(key:sign("", "."), ".", "01") })
    for i = 1, #text do
      assert.is_false(key:verify(flip(text, i, 1), ".", "01"))
    end
    assert.is_false(crypto.hmac("sha256", "other"):verify(text, ".", "01"))
    for _, other in ipairs { "", "a", ".", text:sub(1, -2), text .. "A", text .. "." } do
      assert.is_false(key:verify(other, ".", "01"))
    end
  end)

  it("read the number that was signed behind the rest", function()
    local base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    local key = crypto.hmac("sha256", "key")
    local function number(text, digits)
      return (select(3, key:verify(key:sign("a." .. text, "."), ".", digits)))
    end
    assert.equal(5, number("0101", "01"))
    assert.equal(2 ^ 48 - 1, number("________", base64))
    assert.equal(0x010203, number("AQID", base64))
    assert.equal(0xFF, number("_w", base64)) -- the bits behind it are none of the byte's
    for _, text in ipairs { "", "2", "0\0", "000000000" } do
      assert.is_nil(number(text, "01"))
    end
    assert.has_error(function() number("0", "") end)
  end)

  it("know no other name", function()
    assert.has_error(function() crypto.digest("none", "") end)
    assert.has_error(function() crypto.hmac("none", "") end)
  end)
end)

describe("crypto.seal", function()
  it("is undone by open", function()
    for _, text in ipairs { "", "x", "a\0b", ("long"):rep(100000) } do
      local sealed = crypto.seal(SECRET, "aad", text)
      assert.equal(#text + 28, #sealed)
      assert.equal(text, crypto.open(SECRET, "aad", sealed))
      assert.is_nil(#text > 4 and sealed:find(text:sub(1, 8), 1, true) or nil)
    end
    assert.equal("x", crypto.open(SECRET, "", crypto.seal(SECRET, "", "x")))
  end)

  it("never seals alike", function()
    local nonces = {}
    for _ = 1, 1000 do
      local nonce = crypto.seal(SECRET, "", "same"):sub(1, 12)
      assert.is_nil(nonces[nonce])
      nonces[nonce] = true
    end
  end)

  it("does not open with a bit flipped, or a byte more or less", function()
    local sealed = crypto.seal(SECRET, "aad", "state=1&verifier=2")
    for i = 1, #sealed do
      for bit = 0, 7 do
        assert.is_nil(crypto.open(SECRET, "aad", flip(sealed, i, 2 ^ bit)))
      end
      assert.is_nil(crypto.open(SECRET, "aad", sealed:sub(1, i - 1)))
    end
    assert.is_nil(crypto.open(SECRET, "aad", sealed .. "\0"))
    assert.equal("state=1&verifier=2", crypto.open(SECRET, "aad", sealed))
  end)

  it("does not open with another secret or aad", function()
    local sealed = crypto.seal(SECRET, "aad", "text")
    assert.is_nil(crypto.open(SECRET .. "\0", "aad", sealed))
    assert.is_nil(crypto.open(SECRET:upper(), "aad", sealed))
    assert.is_nil(crypto.open(SECRET, "aae", sealed))
    assert.is_nil(crypto.open(SECRET, "", sealed))
    assert.same({ n = 1 }, { n = select("#", crypto.open(SECRET, "", sealed)) }) -- not an error
  end)

  it("keeps its format", function()
    -- made by Node
    local sealed = "000102030405060708090a0b3332d9e0bc56a020a909231b752c7abcc68ab0928cd1b7"
    assert.equal("state=1", crypto.open(SECRET, "pending", unhex(sealed)))
  end)

  it("is AES-256-GCM with HKDF-SHA-256, as Node has them", function()
    local secret = crypto.random(40)
    local theirs = node([[
      const nonce = c.randomBytes(12), cipher = c.createCipheriv("aes-256-gcm", key, nonce);
      cipher.setAAD(aad);
      print(nonce, cipher.update(input), cipher.final(), cipher.getAuthTag());
    ]], secret, "who", "from Node")
    assert.equal("from Node", crypto.open(secret, "who", theirs))
    assert.equal("to Node", node([[
      const cipher = c.createDecipheriv("aes-256-gcm", key, input.subarray(0, 12));
      cipher.setAAD(aad);
      cipher.setAuthTag(input.subarray(-16));
      print(cipher.update(input.subarray(12, -16)), cipher.final());
    ]], secret, "who", crypto.seal(secret, "who", "to Node")))
  end)

  it("raises for a secret that is too short, and names the argument", function()
    for _, name in ipairs { "seal", "open" } do
      local ok, message = pcall(crypto[name], "fifteen bytes..", "", "text")
      assert.is_false(ok)
      assert.truthy(message:find("secret has less than 16 bytes", 1, true))
      assert.is_nil(message:find("fifteen", 1, true))
      assert.has_error(function() crypto[name](SECRET, nil, "text") end)
      assert.has_error(function() crypto[name](SECRET, "") end)
    end
  end)
end)
