-- Clients in nginx that sign, or show a certificate: in its threads.

local certificates = require "support.certificates"
local folder = require "support.folder"
local id_token = require "tokencache.id_token"
local jose_keys = require "support.jose_keys"
local json = require "tokencache.json"
local nginx = require "support.nginx"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"

describe("a client in nginx", function()
  local provider, dir, server

  setup(function()
    provider, dir = oidc_provider.start(), folder.new()
    certificates.make(dir.path)
    jose_keys.make(dir.path)
    dir:shell [[
      openssl pkcs8 -topk8 -v2 aes256 -passout pass:correct -in rsa.pem -out sealed.pem
      chmod 644 *; chmod 755 .]]
    provider:control("tls", nil, dir.path)
    provider:change_client({ token_endpoint_auth_method = "private_key_jwt",
      jwks = { keys = { json.decode(process.read_file(dir:file "rsa.public.jwk")) } } }, "signer")
    provider:change_client({ token_endpoint_auth_method = "tls_client_auth",
      tls_client_auth_subject_dn = "CN=elsewhere" }, "shower")
    provider:change_client({ token_endpoint_auth_method = "client_secret_basic",
      client_secret = "prover-1", dpop_bound_access_tokens = true }, "prover")
    provider:control("dpop_nonce", { on = 1 }, "")
    server = nginx.start {
      values = { ISSUER = provider.url, DIR = dir.path },
      http = [[
        init_by_lua_block {
          tokencache = require "tokencache"
          tokencache.set_logger(false)
          function ask(options)
            options.provider = { issuer = "$ISSUER" }
            options.cache, options.ca_file = tokencache.cache.memory {}, "$DIR/ca.pem"
            local token, err = tokencache.flow.client_credentials(options):get_access_token()
            ngx.say(token and "token" or err.kind .. ": " .. err.message)
          end
        }]],
      server = [[
        location /signs { content_by_lua_block { ask { client_id = "signer",
          client_key = { file = "$DIR/sealed.pem" }, client_key_passphrase = ngx.var.arg_word } } }
        location /shows { content_by_lua_block { ask { client_id = "shower",
          client_key = { file = "$DIR/mismatch.key" },
          client_certificate = { file = "$DIR/mismatch.pem" },
          token_endpoint_auth_method = "tls_client_auth" } } }
        location /proves { content_by_lua_block {
          local flow = tokencache.flow.client_credentials { provider = { issuer = "$ISSUER" },
            client_id = "prover", client_secret = "prover-1", dpop = true,
            cache = tokencache.cache.memory {} }
          local proof, token = flow:dpop_proof("GET", "https://api.example/")
          ngx.say(proof and flow:get_token_info().token_type .. " " .. proof or tostring(token))
        } }]],
    }
  end)

  teardown(function()
    server:stop()
    provider:stop()
    dir:remove()
  end)

  it("signs", function()
    assert.equal("token\n", select(2, server:get "/signs?word=correct"))
  end)

  it("says what is wrong with its key", function()
    assert.equal("config: " .. dir:file "sealed.pem" .. " cannot be decrypted: the "
      .. "client_key_passphrase is not its, or it is damaged\n",
      select(2, server:get "/signs?word=wrong"))
  end)

  it("proves that it has the key of its token", function()
    local kind, proof = select(2, server:get "/proves"):match "^(%S+) (%S+)\n$"
    assert.equal("DPoP", kind)
    assert.equal("https://api.example/", id_token.read(proof).claims.htu)
  end)

  it("shows a certificate", function()
    assert.equal("token\n", select(2, server:get "/shows"))
  end)
end)
