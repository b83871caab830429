--- ID tokens as a provider makes them, and as an attacker would; signed by Node.
---
---     local made = id_tokens.make(claims, { good = {}, forged = { claims = { aud = "other" } } })
---     made.tokens.good, made.tokens.forged
---     made.jwks        -- the provider's keys: rs, es, p384, weak (1024 bits), enc (not for that)
---     made.next_jwks   -- after it has changed its keys: kid rs2
---
--- Of a token: `header` and `claims` over the usual ones, json.null takes one away; `payload` in
--- place of the claims; `key`, a kid, default rs; `hmac`: the secret, "public key" is that of rs as
--- a PEM file; `der = true`.

local json = require "tokencache.json"
local process = require "support.process"

local id_tokens = {}

local SCRIPT = [[
  const c = require("crypto"), fs = require("fs");
  const { usual, wanted } = JSON.parse(fs.readFileSync(process.argv[1]));
  const rsa = (bits) => c.generateKeyPairSync("rsa", { modulusLength: bits }).privateKey;
  const keys = { rs: rsa(2048), rs2: rsa(2048), enc: rsa(2048), weak: rsa(1024),
    es: c.generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey,
    p384: c.generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey };
  const jwk = (kid) => ({ ...c.createPublicKey(keys[kid]).export({ format: "jwk" }), kid,
    use: kid === "enc" ? "enc" : "sig" });
  const part = (text) => Buffer.from(text).toString("base64url");
  const without = (object) =>
    Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null));
  function make({ header = {}, claims = {}, payload, key = "rs", hmac, der }) {
    if (header.jwk) header.jwk = jwk("rs2");
    header = without({ alg: key === "es" ? "ES256" : "RS256", kid: key, ...header });
    payload ??= JSON.stringify(without({ ...usual, ...claims }));
    const input = part(JSON.stringify(header)) + "." + part(payload);
    if (header.alg === "none") return input + ".";
    if (hmac === "public key") {
      hmac = c.createPublicKey(keys.rs).export({ type: "spki", format: "pem" });
    }
    const signature = hmac ? c.createHmac("sha256", hmac).update(input).digest()
      : c.sign("sha256", Buffer.from(input), { key: keys[key],
        dsaEncoding: der ? "der" : "ieee-p1363",
        ...(header.alg === "PS256" && { padding: c.constants.RSA_PKCS1_PSS_PADDING,
          saltLength: 32 }) });
    return input + "." + signature.toString("base64url");
  }
  console.log(JSON.stringify({
    tokens: Object.fromEntries(Object.entries(wanted).map(([name, token]) => [name, make(token)])),
    jwks: { keys: ["weak", "enc", "p384", "es", "rs"].map(jwk) }, next_jwks: { keys: [jwk("rs2")] },
  }));
]]

---@param usual table                 claims
---@param wanted table<string, table>  by name
---@return { tokens: table<string, string>, jwks: table, next_jwks: table }
function id_tokens.make(usual, wanted)
  local directory = process.temporary_directory()
  process.write_file(directory .. "/wanted", assert(json.encode { usual = usual, wanted = wanted }))
  local status, output = process.run { "node", "-e", SCRIPT, directory .. "/wanted" }
  process.remove_directory(directory)
  assert(status == 0, output)
  return assert(json.decode(output))
end

return id_tokens
