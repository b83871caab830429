-- A client that shows a certificate (RFC 8705), to a real authorization server.

local certificates = require "support.certificates"
local folder = require "support.folder"
local jose_keys = require "support.jose_keys"
local json = require "tokencache.json"
local merged = require "support.merged"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"
local tokencache = require "tokencache"

local server, dir, url

setup(function()
  server, dir = oidc_provider.start(), folder.new()
  certificates.make(dir.path)
  jose_keys.make(dir.path)
  dir:shell [[
    for name in one two; do
      openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $name.key \
        -out $name.pem -subj /CN=$name -CA ca.pem -CAkey ca.key
      openssl req -x509 -key rsa.pem -out self-$name.pem -subj /CN=self-$name
    done
    openssl pkcs8 -topk8 -v2 aes256 -passout pass:correct -in one.key -out sealed.key
    chmod 600 *.key *.pem
  ]]
  url = server:control("tls", nil, dir.path)
end)

teardown(function()
  server:stop()
  dir:remove()
end)

local function flow_of(id, certificate, key, options)
  return tokencache.flow.client_credentials(merged({ provider = { issuer = server.url },
    client_id = id, cache = tokencache.cache.memory {}, ca_file = dir:file "ca.pem",
    client_certificate = { file = dir:file(certificate) }, client_key = { file = dir:file(key) },
    token_endpoint_auth_method = "tls_client_auth" }, options or {}))
end

describe("a certificate #once", function()
  setup(function()
    server:change_client({ token_endpoint_auth_method = "tls_client_auth",
      tls_client_auth_subject_dn = "CN=one", tls_client_certificate_bound_access_tokens = true },
      "one")
  end)

  it("of an authority's proves who asks, at the endpoints for that, and binds the token", function()
    local flow = flow_of("one", "one.pem", "one.key")
    local token = assert(flow:get_access_token())
    local seen = assert(flow:introspect(token))
    local print = dir:shell [[openssl x509 -in one.pem -outform DER |
      openssl dgst -sha256 -binary | openssl base64 | tr +/ -_ | tr -d =]]
    assert.is_true(seen.active)
    assert.same({ ["x5t#S256"] = print }, seen.cnf)
    assert.same(seen.cnf, flow:get_token_info().cnf)
    assert.equal(url .. "/token", flow:_endpoint "token_url")
    assert.is_true(flow:revoke(token))
  end)

  it("is for what the client asks: browsers and keys stay where they are", function()
    local document = { issuer = "https://x.example", mtls_endpoint_aliases = {} }
    local names = { authorize_url = "authorization_endpoint", end_session_url =
      "end_session_endpoint", jwks_url = "jwks_uri", userinfo_url = "userinfo_endpoint",
      token_url = "token_endpoint", revocation_url = "revocation_endpoint" }
    for _, name in pairs(names) do
      document[name] = "https://x.example/" .. name
      document.mtls_endpoint_aliases[name] = "https://mtls.x.example/" .. name
    end
    local flow = flow_of("one", "one.pem", "one.key", { provider = { issuer = document.issuer },
      http = { certificates = true, request = function()
        return { status = 200, body = json.encode(document) }
      end } })
    for ours, name in pairs(names) do
      local is_for_clients = ours == "token_url" or ours == "revocation_url"
        or ours == "userinfo_url"
      assert.equal(("https://%sx.example/%s"):format(is_for_clients and "mtls." or "", name),
        flow:_endpoint(ours))
    end
  end)

  it("may have its key under a passphrase", function()
    assert(flow_of("one", "one.pem", "sealed.key", { client_key_passphrase = "correct" })
      :get_access_token())
    local _, err = flow_of("one", "one.pem", "sealed.key"):get_access_token()
    assert.equal("config: " .. dir:file "sealed.key" .. " is encrypted, and no "
      .. "client_key_passphrase is given",
      err.kind .. ": " .. err.message)
  end)

  it("of somebody else's is refused, and the error says what to check", function()
    local _, err = flow_of("one", "two.pem", "two.key"):get_access_token()
    assert.equal("config invalid_client", err.kind .. " " .. err.code)
    assert.matches("; check client_id, and that the provider knows the certificate", err.message, 1,
      true)
  end)

  it("and a key that do not belong together are a config error", function()
    local _, err = flow_of("one", "one.pem", "two.key", { -- on no connection that is kept
      http = require("tokencache.transport.curl").new { ca_file = dir:file "ca.pem" } })
      :get_access_token()
    assert.equal("config", err.kind)
    assert.matches("check client_certificate, and that client_key is the key of it", err.message, 1,
      true)
  end)

  it("and a key that were changed between both reads are read once more", function()
    local names = { "one", "two" }
    local function certificate()
      return process.read_file(dir:file((table.remove(names, 1) or "two") .. ".pem"))
    end
    server:change_client({ token_endpoint_auth_method = "tls_client_auth",
      tls_client_auth_subject_dn = "CN=two" }, "two")
    local flow = flow_of("two", "two.pem", "two.key", { client_certificate = certificate,
      http = require("tokencache.transport.curl").new { ca_file = dir:file "ca.pem" } })
    assert(flow:get_access_token())
  end)

  it("that is none is a config error", function()
    local _, err = flow_of("one", "one.key", "one.key"):get_access_token()
    assert.equal("config: " .. dir:file "one.key" .. " holds no certificate in PEM",
      err.kind .. ": " .. err.message)
  end)

  it("of its own is known by its key, and may be changed at any time", function()
    local jwk = json.decode(process.read_file(dir:file "rsa.public.jwk"))
    local function register(name)
      jwk.x5c = { (dir:shell("openssl x509 -outform DER -in " .. name .. " | openssl base64 -A")) }
      server:change_client({ token_endpoint_auth_method = "self_signed_tls_client_auth",
        jwks = { keys = { jwk } } }, "self")
    end
    dir:shell "cp self-one.pem self.pem"
    register "self-one.pem"
    local flow = flow_of("self", "self.pem", "rsa.pem",
      { token_endpoint_auth_method = "self_signed_tls_client_auth" })
    assert(flow:get_token_info { check_cache = false })
    dir:shell "cp self-two.pem self.pem"
    register "self-two.pem"
    assert(flow:get_token_info { check_cache = false }) -- on no connection of the first
  end)

  it("goes with a token to the user info, as the token may be bound to it", function()
    local seen
    local cache = tokencache.cache.memory {}
    local flow = tokencache.flow.pkce { provider = { token_url = "https://x.example/token",
      authorize_url = "https://x.example/auth", userinfo_url = "https://x.example/me" },
      client_id = "one", cache = cache, token_endpoint_auth_method = "tls_client_auth",
      client_certificate = { file = dir:file "one.pem" },
      client_key = { file = dir:file "one.key" },
      redirect_uri = "http://127.0.0.1:8080/callback", http = { certificates = true,
        request = function(_, request)
          seen = request
          return { status = 200, body = '{"sub":"ann"}' }
        end } }
    cache:save_token_to_cache { access_token = "t", client_id = "one" }
    assert.equal("ann", assert(flow:userinfo()).sub)
    assert.equal(process.read_file(dir:file "one.pem"):gsub("%s+$", ""),
      seen.certificate.certificate)
  end)

  it("needs a transport that shows it", function()
    local _, err = flow_of("one", "one.pem", "one.key", {
      provider = { token_url = url .. "/token" },
      http = { request = function() error "asked" end } }):get_access_token()
    assert.equal("config: the transport given as http= shows no client certificates, which "
      .. "tls_client_auth needs", err.kind .. ": " .. err.message)
  end)
end)
