-- Keys to sign with.

local crypto = require "tokencache.crypto"
local decode = require("tokencache._core").base64url_decode
local folder = require "support.folder"
local id_token = require "tokencache.id_token"
local jose_keys = require "support.jose_keys"
local json = require "tokencache.json"
local process = require "support.process"
local signature = require "tokencache.worker.signature"

local dir

setup(function()
  dir = folder.new()
  jose_keys.make(dir.path)
  dir:shell [[
    openssl pkcs8 -topk8 -v2 aes256 -passout pass:correct -in rsa.pem -out pkcs8.pem
    openssl rsa -traditional -aes128 -passout pass:correct -in rsa.pem -out old.pem
    openssl ec -in ec.pem -out sec1.pem
    openssl pkey -in ec.pem -pubout -out public.pem
    openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out weak.pem
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384.pem
    openssl genpkey -algorithm ED25519 -out ed25519.pem
    openssl req -x509 -key ec.pem -subj /CN=x -out certificate.pem
    ssh-keygen -q -t ed25519 -N "" -f openssh 2>/dev/null ||
      printf -- '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz\n' > openssh
    cat certificate.pem ec.pem > both.pem
  ]]
end)

teardown(function() dir:remove() end)

local function public(name)
  return json.decode(process.read_file(dir:file(name .. ".public.jwk")))
end

local function key_of(name, passphrase)
  local key = jose_keys.read(dir:file(name))
  key.passphrase = passphrase
  return key
end

local CLAIMS = '{"iss":"x","n":1}'

describe("a key #c", function()
  for name, case in pairs {
    ["rsa.pem"] = { "rsa", "RS256" }, ["rsa.jwk"] = { "rsa", "RS256" },
    ["ec.pem"] = { "ec", "ES256" }, ["ec.jwk"] = { "ec", "ES256" },
    ["sec1.pem"] = { "ec", "ES256" }, ["both.pem"] = { "ec", "ES256" },
    ["pkcs8.pem"] = { "rsa", "RS256", passphrase = "correct" },
    ["old.pem"] = { "rsa", "RS256", passphrase = "correct" },
  } do
    it("signs, says jose: " .. name, function()
      for _, alg in ipairs { case[2], case[2] == "RS256" and "PS256" or nil } do
        local jws = assert(signature.sign(key_of(name, case.passphrase), { typ = "JWT",
          alg = alg ~= case[2] and alg or nil }, CLAIMS))
        local seen = jose_keys.verify(jws, public(case[1]), alg)
        assert.same({ iss = "x", n = 1 }, seen.claims)
        assert.same({ alg = alg, typ = "JWT",
          kid = name:find "jwk" and public(case[1]).kid or nil }, seen.header)
      end
    end)
  end

  it("signs again, after another algorithm too", function()
    for name, algs in pairs { rsa = { "RS256", "PS256", "RS256" }, ec = { "ES256", "ES256" } } do
      local jwk = public(name)
      for _, alg in ipairs(algs) do
        local input, made = assert(signature.sign(key_of(name .. ".pem"), { alg = alg }, CLAIMS))
          :match "^(.+)%.(.+)$"
        assert.is_true(crypto.verify(alg, decode(jwk.n or jwk.x), decode(jwk.e or jwk.y), input,
          decode(made)), alg)
      end
    end
  end)

  it("of RSA signs by PS256 where the provider takes no RS256", function()
    local function alg_of(name, accepted)
      local jws = assert(signature.sign(key_of(name), {}, CLAIMS, accepted))
      return id_token.read(jws).header.alg
    end
    assert.equal("PS256", alg_of("rsa.pem", { "PS256", "ES256" }))
    assert.equal("RS256", alg_of("rsa.pem", { "RS256", "PS256", "ES256" }))
    assert.equal("RS256", alg_of("rsa.pem", {}))
    assert.equal("ES256", alg_of("ec.pem", { "PS256" }))
  end)

  it("signs nothing under a kid that is no text", function()
    local _, err = signature.sign(key_of "ec.pem", { kid = "\255" }, CLAIMS)
    assert.equal("config: the header of what is signed: kid: the string is not UTF-8",
      err.kind .. ": " .. err.message)
  end)

  it("signs by its own algorithm only", function()
    local _, err = signature.sign(key_of "ec.pem", { alg = "RS256" }, CLAIMS)
    assert.equal(("config: %s signs with ES256 only"):format(dir:file "ec.pem"),
      err.kind .. ": " .. err.message)
    _, err = signature.sign(key_of "rsa.pem", { alg = "ES256" }, CLAIMS)
    assert.equal(dir:file "rsa.pem" .. " signs with RS256 and PS256 only", err.message)
  end)
end)

describe("a key that cannot be used is a config error that names it: #c", function()
  local function changed(name, change)
    local jwk = json.decode(process.read_file(dir:file(name)))
    change(jwk)
    return json.encode(jwk)
  end

  local function pem(change)
    return change(process.read_file(dir:file "rsa.pem"))
  end

  local cases = {
    { "is empty", " \n" },
    { "holds no private key in PEM, nor a JWK", "a secret by mistake 4711" },
    { "holds a certificate and no private key", file = "certificate.pem" },
    { "holds a public key and no private one", file = "public.pem" },
    { "is in OpenSSH's own form; ssh-keygen -p -m PKCS8 turns it into PEM", file = "openssh" },
    { "is encrypted, and no passphrase is given", file = "pkcs8.pem" },
    { "is encrypted, and no passphrase is given", file = "old.pem" },
    { "cannot be decrypted: the passphrase is not its, or it is damaged", file = "pkcs8.pem",
      passphrase = "wrong horse" },
    { "is damaged: its PEM cannot be read", function()
      return pem(function(text) return text:sub(1, 700) end)
    end },
    { "is damaged: its PEM cannot be read", function()
      return pem(function(text) return (text:gsub("\n[^\n]+\n", "\n****\n", 1)) end)
    end },
    { "is an RSA key of a size that must not be used; it must have 2048 to 8192 bits",
      file = "weak.pem" },
    { "is an EC key on another curve than P-256, which ES256 needs", file = "p384.pem" },
    { "is neither an RSA nor an EC key", file = "ed25519.pem" },
    { "begins as JSON and is none", '{"kty":"RSA",' },
    { "is a set of JWKs; give one of its keys", '{"keys":[]}' },
    { "is a JWK whose kty is neither RSA nor EC", '{"kty":"oct","k":"c2VjcmV0"}' },
    { "is a JWK on another curve than P-256, which ES256 needs", '{"kty":"EC","crv":"P-384"}' },
    { "is the JWK of a public key, which has no d", file = "ec.public.jwk" },
    { "is the JWK of a public key, which has no d", file = "rsa.public.jwk" },
    { "is a JWK without its n", '{"kty":"RSA"}' },
    { "is a JWK whose d is not base64url", function()
      return changed("ec.jwk", function(jwk) jwk.d = jwk.d .. "=" end)
    end },
    { "is a JWK whose numbers make no key on P-256", function()
      return changed("ec.jwk", function(jwk) jwk.x = jwk.x:sub(5) end)
    end },
    { "is a JWK whose numbers make no key on P-256", function()
      return changed("ec.jwk", function(jwk) jwk.x = jwk.y end)
    end },
    { "has parts that do not belong together", function()
      return changed("ec.jwk", function(jwk) jwk.d = jwk.x end)
    end },
    { "has parts that do not belong together", function()
      return changed("rsa.jwk", function(jwk)
        jwk.d, jwk.p, jwk.q, jwk.dp, jwk.dq, jwk.qi = jwk.n:sub(9), nil, nil, nil, nil, nil
      end)
    end },
  }

  for i, case in ipairs(cases) do
    it(("%d, %s"):format(i, case[1]), function()
      local text = case[2]
      text = case.file and process.read_file(dir:file(case.file))
        or type(text) == "function" and text() or text
      local key = { text = text, name = "/etc/the.key", passphrase = case.passphrase }
      for _ = 1, 2 do -- nothing is kept of it
        local jws, err = signature.sign(key, {}, CLAIMS)
        assert.is_nil(jws)
        assert.equal("config: /etc/the.key " .. case[1], err.kind .. ": " .. err.message)
      end
    end)
  end
end)
