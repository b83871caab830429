--- Keys for signatures, and the judgement of npm's jose on what is signed with them.

local json = require "tokencache.json"
local process = require "support.process"

local jose_keys = {}

local PROGRAM = "tests/servers/jose_keys.mjs"

--- Makes rsa and ec in a directory: NAME.pem and NAME.jwk, and NAME.public.jwk for who checks.
---@param directory string
function jose_keys.make(directory)
  local code, output = process.run { "node", PROGRAM, "make", directory }
  assert(code == 0, output)
end

--- What jose says of a JWT.
---@param jws string
---@param jwk table  the public key
---@param alg string  that it must have
---@return { header: table, claims: table }
function jose_keys.verify(jws, jwk, alg)
  local key = json.copy(jwk)
  key.alg = alg
  local code, output = process.run { "node", PROGRAM, "verify", jws, json.encode(key) }
  assert(code == 0, output)
  return json.decode(output)
end

--- A key of a file, as plain data for a worker.
function jose_keys.read(path)
  return { text = process.read_file(path), name = path }
end

return jose_keys
