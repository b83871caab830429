-- How a client proves who it is, against a real authorization server.

local folder = require "support.folder"
local id_token = require "tokencache.id_token"
local jose_keys = require "support.jose_keys"
local json = require "tokencache.json"
local keep_log = require "support.keep_log"
local log = require "tokencache.log"
local merged = require "support.merged"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"
local tokencache = require "tokencache"

local server, dir

setup(function()
  server, dir = oidc_provider.start(), folder.new()
  jose_keys.make(dir.path)
  dir:shell [[
    openssl req -x509 -key rsa.pem -subj /CN=x -out certificate.pem
    openssl pkcs8 -topk8 -v2 aes256 -passout pass:correct -in rsa.pem -out pkcs8.pem
    chmod 600 *.pem
  ]]
end)

teardown(function()
  server:stop()
  dir:remove()
end)

after_each(function() log.set_logger(nil) end)

local function public(name)
  return json.decode(process.read_file(dir:file(name .. ".public.jwk")))
end

--- Has the server know a client whose key that is.
local function register(name, changes, id)
  server:change_client(merged({ token_endpoint_auth_method = "private_key_jwt",
    jwks = { keys = { public(name) } } }, changes or {}), id or "signer")
end

--- A transport that keeps what is sent.
local function recorder()
  local real, made = require("tokencache.io.blocking").transport {}, { requests = {} }
  function made.request(_, request)
    made.requests[#made.requests + 1] = request
    return real:request(request)
  end
  function made.assertion()
    return assert(made.requests[#made.requests].body:match "&client_assertion=([%w._-]+)")
  end
  return made
end

local function flow_of(options)
  return tokencache.flow.client_credentials(merged({ provider = server.provider,
    client_id = "signer", cache = tokencache.cache.memory {} }, options))
end

local function claims_of(jws)
  return id_token.read(jws).claims
end

describe("private_key_jwt #once", function()
  for _, case in ipairs {
    { "rsa", "RS256", { client_key = { file = "rsa.jwk" } } },
    { "rsa", "PS256", { client_key = { file = "pkcs8.pem" }, client_key_passphrase = "correct",
      token_endpoint_auth_signing_alg = "PS256" } },
    { "ec", "ES256", { client_key = { file = "ec.pem" }, client_key_id = "" } },
  } do
    local name, alg, options = case[1], case[2], case[3]
    it("by " .. alg .. " is accepted by the server, and by jose", function()
      register(name, { token_endpoint_auth_signing_alg = alg }, "by " .. alg)
      local http = recorder()
      options = merged(options, { http = http, client_id = "by " .. alg,
        client_key = { file = dir:file(options.client_key.file) },
        client_key_id = options.client_key_id and public(name).kid })
      local flow = flow_of(options)
      local token = assert(flow:get_access_token())
      local sent = http:assertion()
      local seen = jose_keys.verify(sent, public(name), alg)
      assert.equal("JWT", seen.header.typ)
      assert.equal(("by %s by %s %s"):format(alg, alg, server.url),
        ("%s %s %s"):format(seen.claims.iss, seen.claims.sub, seen.claims.aud))
      assert.equal(60, seen.claims.exp - seen.claims.iat)
      assert.is_true(flow:introspect(token).active) -- as whom it asks there, too
      assert.is_true(flow:revoke(token))
      assert.not_equal(claims_of(sent).jti, claims_of(http:assertion()).jti)
      assert.is_false(server:introspect(token).active)
    end)
  end

  it("names the certificate of its key, and the audience that the provider wants", function()
    register "rsa"
    local http = recorder()
    assert(flow_of({ http = http, client_key = { file = dir:file "rsa.pem" },
      client_certificate = { file = dir:file "certificate.pem" },
      provider = merged(server.provider, { client_assertion_audience = "token_url" }) })
      :get_access_token())
    local print = dir:shell [[openssl x509 -in certificate.pem -outform DER |
      openssl dgst -sha256 -binary | openssl base64 | tr +/ -_ | tr -d =]]
    local jws = id_token.read(http:assertion())
    assert.equal(print, jws.header["x5t#S256"])
    assert.equal(server.token_url, jws.claims.aud)
  end)

  it("takes a ready-made assertion, from a file that is read anew, and from a function", function()
    register "rsa"
    local path, http = dir:file "assertion", recorder()
    local signing = flow_of { http = http, client_key = { file = dir:file "rsa.jwk" } }
    local made = {}
    for i = 1, 3 do
      http.request = function(_, request)
        http.requests[1] = request
        return { status = 503, body = "" }
      end
      signing:get_access_token()
      made[i] = http:assertion()
    end
    local flow = flow_of { client_assertion = { file = path } }
    for i = 1, 2 do
      process.write_file(path, made[i] .. "\n")
      dir:shell "chmod 600 assertion"
      assert(flow:get_token_info { check_cache = false })
    end
    assert(flow_of({ client_assertion = function() return made[3] end }):get_access_token())
    local _, err = flow_of({ client_assertion = made[3] }):get_access_token() -- it works once
    assert.matches("invalid_client.*; check client_id, and that the provider takes the assertion's "
      .. "iss, sub, aud, exp and key$", err.message)
    process.write_file(path, "two words")
    _, err = flow:get_token_info { check_cache = false }
    assert.equal("config: " .. path .. " holds no assertion: it is empty, or has blanks or control "
      .. "characters", err.kind .. ": " .. err.message)
  end)

  it("goes on where the key is changed at both sides, with any order of the two", function()
    local path = dir:file "current"
    local flow = flow_of { client_key = { file = path } }
    local function use(name)
      dir:shell("cp " .. name .. ".jwk current")
    end
    use "rsa"
    register "rsa"
    assert(flow:get_token_info { check_cache = false })
    register("ec", { jwks = { keys = { public "rsa", public "ec" } } })
    assert(flow:get_token_info { check_cache = false })
    use "ec"
    register "ec"
    assert(flow:get_token_info { check_cache = false })
    -- the server is first, and the file is changed while the request is under way
    use "rsa"
    local real, swapped = require("tokencache.io.blocking").transport {}, false
    flow.transport = { request = function(_, request)
      local response, err = real:request(request)
      if not swapped then
        swapped = true
        use "ec"
      end
      return response, err
    end }
    assert(flow:get_token_info { check_cache = false })
    assert.is_true(swapped)
  end)

  it("says so where the clocks differ, and what to check where the key is unknown", function()
    register "rsa"
    for _, off in ipairs { -120, 120 } do
      local _, err = flow_of({ client_key = { file = dir:file "rsa.jwk" },
        clock = function() return os.time() + off end }):get_access_token()
      if off < 0 then -- the server lets iat in the future pass
        assert.equal("config invalid_client", err.kind .. " " .. err.code)
        assert.matches("this machine's clock is 1[12]%d seconds behind the provider's", err.message)
      end
    end
    local _, err = flow_of({ client_key = { file = dir:file "ec.jwk" } }):get_access_token()
    assert.equal("config invalid_client", err.kind .. " " .. err.code)
    assert.matches("; check client_id, that the provider knows the key, and what it wants as aud",
      err.message, 1, true)
    assert.is_nil(err.message:find("clock", 1, true))
  end)

  it("hides what it sent where the server repeats it", function()
    local sent
    local flow = flow_of { client_key = { file = dir:file "ec.jwk" }, http = {
      request = function(_, request)
        sent = request.body:match "&client_assertion=(.*)"
        return { status = 401, headers = {}, body = json.encode { error = "invalid_client",
          error_description = "bad " .. sent } }
      end } }
    local _, err = flow:get_access_token()
    assert.is_nil(err.message:find(sent:sub(-20), 1, true))
    assert.matches("bad %*+", err.message)
  end)
end)

describe("client_secret_jwt #once", function()
  it("is accepted", function()
    local secret = ("secret-"):rep(6)
    register("rsa", { token_endpoint_auth_method = "client_secret_jwt", client_secret = secret },
      "jwt")
    assert(flow_of({ client_id = "jwt", client_secret = secret,
      token_endpoint_auth_method = "client_secret_jwt" }):get_access_token())
  end)
end)

describe("a secret #once", function()
  it("in a file or from a function may change at any time", function()
    local path, secret = dir:file "secret", nil
    local function change(to)
      secret = to
      process.write_file(path, to .. "\n")
      dir:shell "chmod 600 secret"
      register("rsa", { token_endpoint_auth_method = "client_secret_basic", client_secret = to },
        "with a secret")
    end
    local of_file = flow_of { client_id = "with a secret", client_secret = { file = path } }
    local of_function = flow_of { client_id = "with a secret",
      client_secret = function() return secret end }
    for _, one in ipairs { "first of them", "second: %" } do
      change(one)
      assert(of_file:get_token_info { check_cache = false })
      assert(of_function:get_token_info { check_cache = false })
    end
  end)

  local MISSING = ": No such file or directory; check the path, and that this user may read it"
  it("that cannot be had is a config error that says which and why", function()
    local path = dir:file "none"
    local function refusal(options)
      local _, err = flow_of(options):get_access_token()
      return err.kind .. ": " .. err.message
    end
    assert.equal("config: client_secret: " .. path .. MISSING,
      refusal { client_secret = { file = path } })
    assert.equal("config: client_key: " .. path .. MISSING,
      refusal { client_key = { file = path } })
    assert.equal("config: client_key: the vault is closed",
      refusal { client_key = function() return nil, "the vault is closed" end })
    assert.equal("config: client_secret: its function must return a string, not a number",
      refusal { client_secret = function() return 1 end })
    process.write_file(path, ("x"):rep(65537))
    dir:shell "chmod 600 none"
    assert.equal("config: client_key: " .. path .. ": it is too large to hold a secret",
      refusal { client_key = { file = path } })
    process.write_file(path, "ab\ncd\n")
    assert.equal("config: client_secret has a line feed (byte 3 of 5); it may hold printable ASCII "
      .. "only", refusal { client_secret = { file = path } })
    process.write_file(path, "no key 4711")
    assert.equal("config: " .. path .. " holds no private key in PEM, nor a JWK",
      refusal { client_key = { file = path } })
    process.write_file(path, "no certificate")
    assert.equal("config: " .. path .. " holds no certificate in PEM", refusal {
      client_key = { file = dir:file "ec.pem" }, client_certificate = { file = path } })
  end)

  it("that stands where its path should is named, and never shown", function()
    local pem = process.read_file(dir:file "rsa.pem")
    for _, text in ipairs { pem, (pem:gsub("\n", "")), '{"kty":"RSA","d":"4711"}' } do
      local ok, problem = pcall(flow_of, { client_key = { file = text } })
      assert.is_false(ok)
      assert.matches("client_key has in place of a path what is in the file; give { file = path }$",
        problem)
    end
    for _, name in ipairs { "client_key", "client_certificate" } do
      local _, problem = pcall(flow_of, { [name] = "/etc/billing/key.pem" })
      assert.matches(name .. " is neither PEM nor a JWK; give { file = path } where it is in a "
        .. "file$", problem)
    end
    local _, problem = pcall(flow_of, { client_key = { file = "" } })
    assert.matches("client_key must be a text, { file = path }, or a function that returns it$",
      problem)
  end)

  it("in a file that others can read is warned of, once", function()
    local path, messages = dir:file "open", keep_log()
    process.write_file(path, "x")
    dir:shell "chmod 644 open"
    for _ = 1, 2 do
      flow_of({ client_secret = { file = path } }):get_access_token()
    end
    assert.same({ "warning " .. path .. " holds a secret that everybody on this machine may read; "
      .. "take that right away (chmod o-r)" }, messages)
  end)

  it("is no certificate, which everybody may read", function()
    local messages = keep_log()
    dir:shell "cp certificate.pem public.pem; chmod 644 public.pem"
    register "rsa"
    assert(flow_of({ client_key = { file = dir:file "rsa.pem" },
      client_certificate = { file = dir:file "public.pem" } }):get_access_token())
    assert.same({}, messages)
  end)
end)
