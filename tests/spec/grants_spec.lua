-- Grants of RFC 7523 and RFC 8693, and a provider's own, against a real authorization server.

local core = require "tokencache._core"
local folder = require "support.folder"
local id_token = require "tokencache.id_token"
local jose_keys = require "support.jose_keys"
local json = require "tokencache.json"
local merged = require "support.merged"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"
local redis_server = require "support.redis_server"
local tokencache = require "tokencache"
local unix = require "support.unix"

local server, dir

setup(function()
  server, dir = oidc_provider.start(), folder.new()
  jose_keys.make(dir.path)
  server:change_client({ token_endpoint_auth_method = "client_secret_basic",
    client_secret = "statement", jwks = { keys = {
      json.decode(process.read_file(dir:file "rsa.public.jwk")),
      json.decode(process.read_file(dir:file "ec.public.jwk")) } } }, "stater")
end)

teardown(function()
  server:stop()
  dir:remove()
end)

describe("flow.jwt_bearer #once", function()
  local function flow_of(options)
    return tokencache.flow.jwt_bearer(merged({ provider = server.provider, client_id = "stater",
      client_secret = "statement", cache = tokencache.cache.memory {},
      assertion_key = { file = dir:file "rsa.jwk" } }, options))
  end

  it("gets a token for whom it says, with what else it says", function()
    assert.equal("for somebody, red", assert(flow_of({ subject = "somebody",
      claims = { team = "red" } }):get_access_token()))
    assert.equal("for stater, undefined", assert(flow_of({
      assertion_key = { file = dir:file "ec.jwk" } }):get_access_token()))
  end)

  it("says which public client asks, where that is wanted", function()
    server:change_client({ token_endpoint_auth_method = "none", jwks = { keys = {
      json.decode(process.read_file(dir:file "rsa.public.jwk")) } } }, "stating")
    local function ask(method)
      return tokencache.flow.jwt_bearer({ provider = server.provider, client_id = "stating",
        token_endpoint_auth_method = method, cache = tokencache.cache.memory {},
        assertion_key = { file = dir:file "rsa.jwk" } }):get_access_token()
    end
    assert.equal("for stating, undefined", assert(ask "none"))
    assert.is_nil((ask()))
  end)

  it("says what is wrong, and where the clock is to blame, that", function()
    local _, err = flow_of({ assertion_audience = "https://else.example" }):get_access_token()
    assert.equal("config invalid_grant", err.kind .. " " .. err.code)
    assert.matches("; check what it is asked with %(of an assertion the key, iss, sub, aud and "
      .. "exp%), and that the provider allows this grant to the client$", err.message)
    local late = flow_of { clock = function() return os.time() - 7200 end }
    _, err = late:get_access_token()
    assert.matches("this machine's clock is 7[12]%d%d seconds behind the provider's", err.message)
  end)
end)

describe("a service account of Google's #once", function()
  local path, sent

  local http = { request = function(_, request)
    sent = request
    return { status = 200, body = '{"access_token":"google","expires_in":3599}' }
  end }

  local function write(changes)
    process.write_file(path, json.encode(merged({
      type = "service_account", project_id = "p", private_key_id = "0123abcd",
      private_key = process.read_file(dir:file "rsa.pem"),
      client_email = "robot@p.iam.gserviceaccount.com", client_id = "1077",
      token_uri = "https://oauth2.googleapis.com/token",
    }, changes or {})))
    dir:shell "chmod 600 account.json"
  end

  local function flow_of(options)
    return tokencache.flow.jwt_bearer(merged({ service_account = path, http = http,
      scope = "https://www.googleapis.com/auth/drive", cache = tokencache.cache.memory {} },
      options or {}))
  end

  setup(function() path = dir:file "account.json" end)

  it("is its file, as it is downloaded", function()
    write()
    assert.equal("google", assert(flow_of({ subject = "boss@example.com" }):get_access_token()))
    assert.equal("https://oauth2.googleapis.com/token", sent.url)
    assert.is_nil(sent.headers.Authorization)
    assert.is_nil(sent.body:find("client_id", 1, true))
    local jws = sent.body:match("^grant_type=urn%%3Aietf%%3Aparams%%3Aoauth%%3Agrant%-type%%3A"
      .. "jwt%-bearer.*&assertion=([%w_.-]+)$")
    local seen = jose_keys.verify(jws, json.decode(process.read_file(dir:file "rsa.public.jwk")),
      "RS256")
    assert.same({ alg = "RS256", typ = "JWT", kid = "0123abcd" }, seen.header)
    local claims = seen.claims
    assert.equal(3600, claims.exp - claims.iat)
    claims.exp, claims.iat, claims.jti = nil, nil, nil
    assert.same({ iss = "robot@p.iam.gserviceaccount.com", sub = "boss@example.com",
      aud = "https://oauth2.googleapis.com/token",
      scope = "https://www.googleapis.com/auth/drive" }, claims)
    flow_of():get_access_token()
    assert.is_nil(id_token.read(sent.body:match "assertion=(.*)").claims.sub)
  end)

  it("may be changed while it is in use", function()
    write()
    local flow = flow_of()
    assert(flow:get_token_info { check_cache = false })
    write { private_key_id = "second" }
    assert(flow:get_token_info { check_cache = false })
    assert.equal("second", id_token.read(sent.body:match "assertion=(.*)").header.kid)
    write { private_key_id = json.null }
    assert(flow:get_token_info { check_cache = false })
    assert.is_nil(core.base64url_decode(sent.body:match "assertion=([^.]*)"):find "null")
    write { private_key = "nothing 4711" }
    local _, err = flow:get_token_info { check_cache = false }
    assert.equal("config: service_account: " .. path .. ": its private_key holds no private key in "
      .. "PEM, nor a JWK", err.kind .. ": " .. err.message)
    write { private_key = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n"
      .. "-----END ENCRYPTED PRIVATE KEY-----\n" }
    _, err = flow:get_token_info { check_cache = false }
    assert.equal("service_account: " .. path .. ": its private_key is encrypted, and no passphrase "
      .. "is given", err.message)
  end)

  it("that cannot be used is named, with the reason", function()
    local function refusal()
      local ok, problem = pcall(flow_of)
      assert.is_false(ok)
      return (problem:gsub("^[^:]+:%d+: ", ""))
    end
    local here = "flow.jwt_bearer: service_account: " .. path
    process.write_file(path, "no JSON 4711")
    assert.equal(here .. " holds no JSON object; give the file of a key as Google makes it",
      refusal())
    write { type = "authorized_user" }
    assert.equal(here .. ' is no key of a service account: its type is not "service_account"',
      refusal())
    write { private_key = "" }
    assert.equal(here .. " lacks private_key", refusal())
    write()
    local text = process.read_file(path)
    for _, given in ipairs { text, " \n" .. text } do
      local _, problem = pcall(flow_of, { service_account = given })
      assert.matches("service_account is what is in the file; give its path, or a function that "
        .. "returns this$", problem)
      assert.is_nil(problem:find("PRIVATE", 1, true))
    end
    local _, misuse = pcall(flow_of, { service_account = { path = path } })
    assert.matches("service_account must be a text, { file = path }, or a function", misuse)
    dir:shell "rm account.json"
    assert.equal(here .. ": No such file or directory"
      .. "; check the path, and that this user may read it", refusal())
  end)
end)

describe("flow.token_exchange #once", function()
  local function flow_of(options)
    options = merged(server:options "basic", { audience = "https://api.example" }, options)
    options.cache = not options.store and options.cache or nil
    return tokencache.flow.token_exchange(options)
  end

  it("exchanges a token that changes, for one account", function()
    local path = dir:file "token"
    local flow = flow_of { subject_token = { file = path } }
    for i = 1, 2 do
      process.write_file(path, "subject-" .. ("x"):rep(i))
      dir:shell "chmod 600 token"
      local info = assert(flow:get_token_info { check_cache = false })
      assert.matches(("^%%d+ for %d undefined https://api.example$"):format(8 + i),
        info.access_token)
      assert.is_nil(info.refresh_token)
    end
  end)

  it("sends who acts, and keeps each actor's token apart", function()
    local flow = flow_of { store = tokencache.store.memory {} }
    local one = assert(flow:subject("subject-1", { actor_token = "actor" }))
    local token = assert(one:get_access_token())
    assert.matches("for 9 5 https", token)
    assert.equal(token, flow:subject("subject-1", { actor_token = "actor" }):get_access_token())
    assert.matches("for 9 undefined https", assert(flow:subject("subject-1"):get_access_token()))
  end)

  it("keeps apart what another provider, parameter or type of token asks for", function()
    local keys, count = {}, 0
    for _, options in ipairs { {}, { token_params = { audience = "https://else.example" } },
      { provider = { token_url = "https://else.example/token" } },
      { subject_token_type = "jwt" }, { actor_token_type = "jwt" }, { actor_token = "other" },
      { actor_token = { file = "other" } } } do
      local flow = flow_of(merged({ store = tokencache.store.memory {} }, options))
      local key = assert(flow:subject("subject-1", { actor_token = "actor" })).key
      assert.is_nil(keys[key])
      keys[key], count = true, count + 1
    end
    assert.equal(7, count)
  end)

  it("has the subject's token in no key, message or dump", function()
    local store = tokencache.store.memory {}
    local flow = flow_of { store = store }
    local account = assert(flow:subject "a-secret-subject")
    local _, err = account:get_access_token()
    assert.equal("config invalid_request", err.kind .. " " .. err.code)
    assert.matches("subject_token %*+ is unknown", err.message)
    assert.is_nil(tostring(account):find("secret", 1, true))
    assert.is_nil(account.key:find("secret", 1, true))
    assert.matches("^exchange:[%w_-]+$", account.key)
    _, err = flow:account("other"):get_access_token()
    assert.equal("config: this account has no token to exchange; get it by flow:subject(token)",
      err.kind .. ": " .. err.message)
  end)

  it("is told what is wrong", function()
    for problem, options in pairs {
      ["give subject_token, for one account, or store, for many; of these each has its own, see "
        .. "flow:subject"] = {},
      ["subject_token must be a text, { file = path }, or a function that returns it"] =
        { subject_token = {} },
      ["subject_token_type must be access_token, refresh_token, id_token, jwt, saml1, saml2 or a "
        .. "URN"] =
        { subject_token = "x", subject_token_type = "acess_token" },
    } do
      local ok, message = pcall(flow_of, options)
      assert.is_false(ok)
      assert.matches("flow.token_exchange: " .. problem, message, 1, true)
    end
    local ok, message = pcall(function()
      flow_of({ subject_token = "x" }):subject "y"
    end)
    assert.is_false(ok)
    assert.matches("subject: this flow has one cache", message, 1, true)
  end)

  it("exchanges each of 1,000 once, over Redis, though four processes want all", function()
    local GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
    local redis = redis_server.start()
    local before, pids = server:counts()[GRANT] or 0, {}
    local function want_all(first)
      local flow = flow_of { store = tokencache.store.redis { port = redis.port } }
      for i = first, first + 999 do
        local name = ("%08d"):format(i % 1000)
        local info = flow:subject("subject-" .. name):get_token_info()
        if not info or info.whose ~= name then
          return 1
        end
      end
      return 0
    end
    for first = 1, 4 do
      pids[first] = unix.fork()
      if pids[first] == 0 then
        local ok, status = pcall(want_all, first * 250)
        unix.exit(ok and status or 2)
      end
    end
    for _, pid in ipairs(pids) do
      assert.equal(0, unix.wait(pid))
    end
    assert.equal(1000, server:counts()[GRANT] - before)
    assert.is_nil(redis:cli("KEYS", "*"):find("subject", 1, true))
    redis:stop()
  end)
end)

describe("flow.grant #once", function()
  it("sends the grant and its parameters, as they are now", function()
    local word, sent = "first", nil
    local flow = tokencache.flow.grant { provider = { token_url = "https://x.example/token" },
      client_id = "c", client_secret = "s", grant = "urn:x:own", scope = "read",
      params = { fixed = { "a", "b" }, word = function() return word end },
      cache = tokencache.cache.memory {}, http = { request = function(_, request)
        sent = request.body
        return { status = 200, body = '{"access_token":"t","refresh_token":"r"}' }
      end } }
    assert.equal("t", assert(flow:get_access_token()))
    assert.equal("grant_type=urn%3Ax%3Aown&scope=read&word=first&fixed=a&fixed=b", sent)
    word = "second"
    assert(flow:get_token_info { check_cache = false })
    assert.matches("word=second", sent)
    word = nil
    local _, err = flow:get_token_info { check_cache = false }
    assert.equal("config: params: word: its function must return a string, not nil",
      err.kind .. ": " .. err.message)
  end)

  it("sends nothing in place of what the flow sets itself, whatever it comes from", function()
    for _, value in ipairs { "text", { "list" }, { file = "path" }, function() return "x" end } do
      local ok, message = pcall(tokencache.flow.grant, { client_id = "c", grant = "urn:x:own",
        provider = { token_url = "https://x.example/token" }, params = { client_id = value } })
      assert.is_false(ok)
      assert.matches("params must not set client_id, which the flow sets itself", message, 1, true)
    end
  end)
end)
