--- Certificates for servers of the tests.

local process = require "support.process"

local certificates = {}

--- Makes NAME.key and NAME.pem, signed by ca.pem unless it is that one.
local function certify(directory, name, subject, extension)
  local words = { "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-keyout", name .. ".key",
    "-out", name .. ".pem", "-subj", "/CN=" .. subject, "-addext", extension }
  if name ~= "ca" then
    for _, word in ipairs { "-CA", "ca.pem", "-CAkey", "ca.key" } do
      words[#words + 1] = word
    end
  end
  local code, output = process.run(words, { directory = directory })
  assert(code == 0, output)
end

--- Makes ca.pem, an authority, and signed by it leaf.pem for 127.0.0.1 and localhost, and
--- mismatch.pem for another host; the keys are NAME.key.
---@param directory string
function certificates.make(directory)
  certify(directory, "ca", "Authority of the tests", "keyUsage=critical,keyCertSign")
  certify(directory, "leaf", "127.0.0.1", "subjectAltName=IP:127.0.0.1,DNS:localhost")
  certify(directory, "mismatch", "elsewhere", "subjectAltName=DNS:elsewhere.example")
end

return certificates
