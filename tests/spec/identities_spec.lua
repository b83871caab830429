-- What proves who asks, on every Lua: against real servers see client_authentication_spec,
-- dpop_spec and grants_spec, which run on one.

local crypto = require "tokencache.crypto"
local dpop = require "tokencache.dpop"
local id_token = require "tokencache.id_token"
local json = require "tokencache.json"
local merged = require "support.merged"
local process = require "support.process"
local signature = require "tokencache.worker.signature"
local tokencache = require "tokencache"

local key, sent, count

local http = { request = function(_, request)
  sent, count = request, count + 1
  return { status = 200, body = json.encode { access_token = "token-" .. count, expires_in = 3600,
    token_type = request.headers.DPoP and "DPoP" or "Bearer" } }
end }

local function options(more)
  return merged({ provider = { token_url = "https://x.example/token" }, client_id = "c",
    http = http, cache = tokencache.cache.memory {} }, more)
end

local function verified(jws)
  return assert(id_token.verify(jws, { { kty = "EC", crv = "P-256", x = key.x, y = key.y } }))
end

before_each(function()
  key, count = assert(dpop.new_key()), 0
end)

it("an assertion is signed", function()
  local flow = tokencache.flow.client_credentials(options { client_key = json.encode(key) })
  assert.equal("token-1", assert(flow:get_access_token()))
  local claims = verified(sent.body:match "client_assertion=([%w_.-]+)").claims
  assert.same({ "c", "c", "https://x.example/token" }, { claims.iss, claims.sub, claims.aud })
end)

it("a proof is signed with the key that the token is bound to", function()
  local flow = tokencache.flow.client_credentials(options { client_secret = "s", dpop = true })
  local proof = assert(flow:dpop_proof("GET", "https://x.example/api"))
  key = flow:get_token_info().dpop_key
  local claims = verified(proof).claims
  assert.same({ "GET", "https://x.example/api" }, { claims.htm, claims.htu })
  verified(sent.headers.DPoP)
end)

it("the metadata of an https issuer leads to no plain http, not on this machine either", function()
  local function discovered(issuer, more)
    local flow = tokencache.flow.client_credentials(options { client_secret = "s",
      provider = merged({ issuer = issuer }, more), http = { request = function()
        return { status = 200, body = json.encode { issuer = issuer,
          token_endpoint = "http://127.0.0.1:1/token" } }
      end } })
    return flow:_endpoint "token_url"
  end
  local url, err = discovered "https://x.example"
  assert.is_nil(url)
  assert.equal("config", err.kind)
  assert.matches("the metadata's token_endpoint must be https, as the issuer is", err.message, 1,
    true)
  assert.equal("http://127.0.0.1:1/token", discovered("http://127.0.0.1:2", {}))
  assert.equal("http://127.0.0.1:1/token",
    discovered("https://x.example", { allow_insecure_http = true }))
end)

describe("what proves who asks #once", function()
  local folder = require "support.folder"
  local dir

  setup(function()
    dir = folder.new()
    dir:shell [[
      openssl genpkey -algorithm RSA -out rsa.pem
      openssl pkcs8 -topk8 -v2 aes256 -passout pass:correct -in rsa.pem -out sealed.pem
      awk '{ printf "%s\\n", $0 }' rsa.pem >written.pem
      tr '\n' ' ' <rsa.pem >joined.pem
      chmod 600 *.pem
    ]]
  end)

  teardown(function() dir:remove() end)

  local refusing = { certificates = true, request = function()
    return { status = 401, headers = {}, body = '{"error":"invalid_client"}' }
  end }

  --- What is said, where nothing of a key may be.
  local function problem_of(given, name)
    local flow
    local ok, problem = pcall(function()
      flow = tokencache.flow[name or "client_credentials"](options(merged({ http = refusing },
        given)))
    end)
    local text = ok and select(2, flow:get_access_token()).message
      or problem:gsub("^.-: flow%.[%w_]+: ", "")
    assert.is_nil(text:find("MII", 1, true))
    assert.is_nil(text:find("4711", 1, true))
    return text:gsub(dir.path .. "/", "")
  end

  local function file(path)
    return { file = dir:file(path) }
  end

  it("is named by its option where it cannot be read", function()
    local lines = ' is PEM without its line ends, or with "\\n" written out; give it line by line, '
      .. "as it was made"
    for _, name in ipairs { "written.pem", "joined.pem" } do
      local text = process.read_file(dir:file(name))
      assert.equal(name .. lines, problem_of { client_key = file(name) })
      assert.equal("client_key" .. lines, problem_of { client_key = text })
      assert.equal("client_key" .. lines, problem_of { client_key = function() return text end })
      assert.equal("client_certificate" .. lines, problem_of { client_certificate = text,
        client_key = file "rsa.pem" })
    end
    for option, flow in pairs { client_key = "client_credentials", assertion_key = "jwt_bearer" } do
      local passphrase = option .. "_passphrase"
      assert.equal("sealed.pem is encrypted, and no " .. passphrase .. " is given",
        problem_of({ [option] = file "sealed.pem" }, flow))
      assert.equal("sealed.pem cannot be decrypted: the " .. passphrase .. " is not its, or it is "
        .. "damaged", problem_of({ [option] = file "sealed.pem", [passphrase] = "4711" }, flow))
      assert.equal(passphrase .. ": none: No such file or directory"
        .. "; check the path, and that this user may read it",
        problem_of({ [option] = file "sealed.pem", [passphrase] = file "none" }, flow))
    end
    assert.equal("rsa.pem signs with RS256 and PS256 only; check token_endpoint_auth_signing_alg",
      problem_of { client_key = file "rsa.pem", token_endpoint_auth_signing_alg = "ES256" })
    assert.equal("token_endpoint_auth_signing_alg must be RS256, PS256 or ES256",
      problem_of { client_key = file "rsa.pem", token_endpoint_auth_signing_alg = "RS512" })
    assert.equal("client_key is the JWK of a public key, which has no d",
      problem_of { client_key = json.encode { kty = "EC", crv = "P-256", x = key.x, y = key.y } })
  end)

  it("is refused where it would do nothing", function()
    local pem, secret = file "rsa.pem", "4711"
    for problem, given in pairs {
      ["client_secret is of no use beside client_key; leave it out"] = { client_key = pem,
        client_secret = secret },
      ["client_secret is of no use beside client_assertion; leave it out"] = {
        client_assertion = "a.b.c", client_secret = secret },
      ["client_certificate is of no use without client_key; give that too, or leave it out"] = {
        client_certificate = pem, client_secret = secret },
      ["client_key_id is of no use without client_key; give that too, or leave it out"] = {
        client_key_id = "k", client_secret = secret },
      ["client_key_passphrase is of no use beside client_assertion; leave it out"] = {
        client_assertion = "a.b.c", client_key_passphrase = secret },
      ["client_assertion_type is of no use without client_assertion; give that too, or leave it "
        .. "out"] = { client_key = pem, client_assertion_type = "x" },
      ['client_key is of no use with token_endpoint_auth_method = "client_secret_post"; leave it '
        .. "out"] = { client_key = pem, client_secret = secret,
        token_endpoint_auth_method = "client_secret_post" },
      ['client_key_id is of no use with token_endpoint_auth_method = "tls_client_auth"; leave it '
        .. "out"] = { client_key = pem, client_certificate = pem, client_key_id = "k",
        token_endpoint_auth_method = "tls_client_auth" },
    } do
      assert.equal(problem, problem_of(given))
    end
    for _, name in ipairs { "subject", "assertion_key_id", "assertion_issuer" } do
      assert.equal(name .. " is of no use beside assertion; leave it out",
        problem_of({ assertion = "a.b.c", [name] = "x" }, "jwt_bearer"))
    end
  end)

  it("is called too old where it is", function()
    local function signed(ends)
      local text = assert(signature.sign({ text = json.encode(key), name = "key" }, {},
        json.encode { exp = os.time() + ends }))
      process.write_file(dir:file "jwt", text)
      dir:shell "chmod 600 jwt"
      return text
    end
    signed(-7200)
    for option, flow in pairs { client_assertion = "client_credentials", assertion = "jwt_bearer",
      subject_token = "token_exchange" } do
      assert.matches("invalid_client %- " .. option .. ", jwt, ended 720%d seconds ago; have it "
        .. "made anew; ", problem_of({ [option] = file "jwt" }, flow))
    end
    local text = signed(-7200)
    assert.matches(" %- client_assertion ended 720", problem_of { client_assertion = text })
    signed(60)
    assert.is_nil(problem_of({ client_assertion = file "jwt" }):find "ended")
  end)
end)

it("a missing libcrypto is called that, and is no fault of the key", function()
  local name = "tokencache._crypto"
  local real = package.loaded[name]
  package.loaded[name], package.preload[name] = nil, function() error("none", 0) end
  local _, err = signature.check { text = json.encode(key), name = "client_key" }
  package.loaded[name], package.preload[name] = real, nil
  assert.matches("^libcrypto cannot be loaded; install it", err.message)
end)

it("a server puts no key into the entry", function()
  local answers = { request = function()
    return { status = 200, body = json.encode { access_token = "t", dpop_key = key } }
  end }
  local flow = tokencache.flow.client_credentials(options { client_secret = "s", http = answers })
  assert.is_nil(assert(flow:get_token_info()).dpop_key)
end)

describe("flows over one cache", function()
  --- Pairs of options; each flow wants a token of its own.
  local function assert_apart(name, common, ...)
    local cache = tokencache.cache.memory {}
    for i, more in ipairs { ... } do
      local flow = tokencache.flow[name](merged(options(common), merged(more, { cache = cache })))
      local token = assert(flow:get_access_token())
      assert.equal("token-" .. i, token)
      assert.equal(token, flow:get_access_token())
    end
    count = 0
  end

  it("are not served what was granted for another subject", function()
    local text = json.encode(key)
    assert_apart("jwt_bearer", { assertion_key = text }, { subject = "ann" }, { subject = "bob" },
      { claims = { team = "red" } }, { claims = { team = "blue" } }, {},
      { token_params = { audience = "a" } })
    assert_apart("jwt_bearer", {}, { assertion = "one" }, { assertion = "two" })
    assert_apart("grant", { grant = "urn:x:own" }, { params = { whose = "ann" } },
      { params = { whose = "bob" } }, { params = { whose = { file = "/etc/hostname" } } },
      { params = { whose = function() return "ann" end } }, { grant = "urn:x:other" })
    assert_apart("token_exchange", { subject_token = "one" }, { audience = "a" },
      { audience = "b" }, { subject_token = "two" }, { actor_token = "three" })
  end)

  it("are not served what a program got with other parameters, and all others are", function()
    local path = process.temporary_directory()
    finally(function() process.remove_directory(path) end)
    local store = tokencache.store.memory {}
    for _, over in ipairs { { store = store }, { cache = tokencache.cache.file {
      cache_path = path .. "/token" } } } do
      local function token(params, of_provider)
        local given = options { client_secret = "s", token_params = params, provider = {
          token_url = "https://x.example/token", token_params = of_provider } }
        given.cache, given.store = over.cache, over.store
        local flow = tokencache.flow.client_credentials(given)
        return assert((over.store and flow:account "a" or flow):get_access_token())
      end
      count = 0
      assert.equal("token-1 token-1", token() .. " " .. token {}) -- as one of an older version
      assert.equal("token-2", token { resource = "a" })
      assert.equal("token-2", token { resource = "a" })
      assert.equal("token-2", token(nil, { resource = "a" }))
      assert.equal("token-3", token { resource = "b" })
      assert.equal("token-4", token())
    end
  end)

  it("are, as the same after a restart, though a key has changed", function()
    local cache = tokencache.cache.memory {}
    for _ = 1, 2 do
      local flow = tokencache.flow.jwt_bearer(options { cache = cache, subject = "ann",
        assertion_key = json.encode(assert(dpop.new_key())), claims = { a = 1, b = { 2 } } })
      assert.equal("token-1", assert(flow:get_access_token()))
    end
  end)

  it("with a grant and without are apart, and nothing told leads back", function()
    local cache = tokencache.cache.memory {}
    local granted = tokencache.flow.grant(options { cache = cache, grant = "urn:x:own",
      params = { word = "secret-word" } })
    local digest = assert(granted:get_token_info()).grant_digest
    assert.matches("^%x+$", digest)
    assert.equal(#assert(crypto.sha256 "x") * 2, #digest)
    local plain = tokencache.flow.client_credentials(options { cache = cache, client_secret = "s" })
    local info = assert(plain:get_token_info())
    assert.same({ "token-2" }, { info.access_token, info.grant_digest })
  end)
end)
