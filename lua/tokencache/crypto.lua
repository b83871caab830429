--- Random bytes, digests, sealing and signatures. libcrypto is loaded at the first call.

local library = require "tokencache.util.library"

local crypto = {}

for _, name in ipairs { "random", "sha256", "digest", "hmac", "seal", "open", "verify",
    "new_key", "read_key", "read_rsa_key", "read_ec_key" } do
  crypto[name] = function(...)
    local functions, err = library("tokencache._crypto", "libcrypto")
    if not functions then
      return nil, err
    end
    return functions[name](...)
  end
end

return crypto
