-- Against a real authorization server.

local core = require "tokencache._core"
local folder = require "support.folder"
local keep_log = require "support.keep_log"
local log = require "tokencache.log"
local merged = require "support.merged"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"
local tokencache = require "tokencache"

local RESOURCE = "https://api.example/"

local server, dir

setup(function()
  server = oidc_provider.start()
end)

teardown(function()
  server:stop()
end)

before_each(function()
  dir = folder.new()
end)

after_each(function()
  dir:remove()
  log.set_logger(nil)
end)

--- A flow as the client of that name, over a cache of its own.
local function flow_of(name, options)
  return tokencache.flow.client_credentials(server:options(name, options or {}))
end

--- How many token requests the server has had while `fn` ran, and what that returned.
local function requests_during(fn)
  local before = server:token_requests()
  local result, err = fn()
  return server:token_requests() - before, result, err
end

describe("a client", function()
  for _, case in ipairs {
    { "basic" }, { "post", "client_secret_post" }, { "odd" }, { "odd", "client_secret_basic" },
  } do
    it(("%s authenticates with %s"):format(case[1], case[2] or "the default"), function()
      local flow = flow_of(case[1], { token_endpoint_auth_method = case[2] })
      local token = assert(flow:get_access_token())
      local seen = server:introspect(token)
      assert.is_true(seen.active)
      assert.equal(server.clients[case[1]].client_id, seen.client_id)
    end)
  end

  it("gets the method from the provider, unless the flow names one", function()
    local provider = { token_url = server.token_url, token_endpoint_auth_method = "none" }
    local _, err = flow_of("basic", { provider = provider }):get_access_token()
    assert.equal("config", err.kind)
    assert(flow_of("basic", { provider = provider,
      token_endpoint_auth_method = "client_secret_basic" }):get_access_token())
  end)

  it("with the wrong secret is told what to check", function()
    local requests, token, err = requests_during(function()
      return flow_of("basic", { client_secret = "wrong-secret-77" }):get_access_token()
    end)
    assert.equal(1, requests)
    assert.is_nil(token)
    assert.equal("config", err.kind)
    assert.equal("invalid_client", err.code)
    assert.equal(401, err.status)
    assert.equal("string", type(err.description))
    assert.equal(server.token_url .. " answered invalid_client - " .. err.description
      .. "; check client_id, client_secret and token_endpoint_auth_method", tostring(err))
    assert.is_nil(tostring(err):find("wrong-secret", 1, true))
  end)

  it("without a secret is told that it has none", function()
    local _, err = flow_of("basic", { client_secret = "",
      token_endpoint_auth_method = "none" }):get_access_token()
    assert.equal("invalid_client", err.code)
    assert.matches("; no client_secret was given; give it, or check client_id", err.message, 1,
      true)
  end)

  it("with the wrong address is told so, though the server takes it for a bad request", function()
    local provider = { token_url = server.url .. "/tokens" }
    local _, err = flow_of("basic", { provider = provider }):get_access_token()
    assert.equal("config invalid_request", err.kind .. " " .. err.code)
    assert.matches("; check token_url, token_params and what", tostring(err), 1, true)
  end)

  it("unknown to the server likewise", function()
    local _, err = flow_of("basic", { client_id = "nobody" }):get_access_token()
    assert.equal("invalid_client", err.code)
  end)
end)

describe("a scope", function()
  it("is given as a list, or as text with blanks or commas", function()
    for _, scope in ipairs { { "write", "read" }, "write read", "write,read", " read, write" } do
      local info = assert(flow_of("basic", { scope = scope }):get_token_info())
      assert.equal("read write", info.scope)
      assert.equal("read write", server:introspect(info.access_token).scope)
    end
  end)

  it("that the client may not have is a config error, and nothing is cached", function()
    local cache = tokencache.cache.memory {}
    local token, err = flow_of("basic", { scope = "admin", cache = cache }):get_access_token()
    assert.is_nil(token)
    assert.equal("config", err.kind)
    assert.equal("invalid_scope", err.code)
    assert.is_nil(cache:get_cached_token())
  end)

  it("wanted less is served by a token that has more, not the other way round", function()
    local cache = tokencache.cache.memory {}
    local both = assert(flow_of("basic", { scope = "read write", cache = cache })
      :get_access_token())
    local requests, token = requests_during(function()
      return flow_of("basic", { scope = "read", cache = cache }):get_access_token()
    end)
    assert.equal(0, requests)
    assert.equal(both, token)

    cache = tokencache.cache.memory {}
    assert(flow_of("basic", { scope = "read", cache = cache }):get_access_token())
    requests, token = requests_during(function()
      return flow_of("basic", { scope = "read write", cache = cache }):get_access_token()
    end)
    assert.equal(1, requests)
    assert.equal("read write", server:introspect(token).scope)
  end)
end)

describe("token_params", function()
  it("reach the server: resource decides whom the token is for", function()
    local options = { scope = "read", token_params = { resource = RESOURCE } }
    local token = assert(flow_of("basic", options):get_access_token())
    assert.equal(RESOURCE, server:introspect(token).aud)
    token = assert(flow_of("basic", { scope = "read" }):get_access_token())
    assert.is_nil(server:introspect(token).aud)
  end)

  it("may come from the provider", function()
    local token = assert(flow_of("post", {
      provider = {
        token_url = server.token_url,
        token_endpoint_auth_method = "client_secret_post",
        token_params = { resource = RESOURCE },
      },
      scope = "read",
    }):get_access_token())
    assert.equal(RESOURCE, server:introspect(token).aud)
  end)
end)

describe("the token", function()
  it("is asked for once, by however many flows over one file", function()
    local path = dir:file("token")
    local first
    local requests = requests_during(function()
      for _ = 1, 3 do
        local flow = flow_of("basic", { cache = tokencache.cache.file { cache_path = path } })
        for _ = 1, 3 do
          local token = assert(flow:get_access_token())
          first = first or token
          assert.equal(first, token)
        end
      end
    end)
    assert.equal(1, requests)
    assert.equal("600", dir:mode("token"))
    assert.equal("token token.tokencache-lock", dir:names())
  end)

  it("has its end where the server says", function()
    local info = assert(flow_of("basic"):get_token_info())
    local received_by = core.now()
    local seen = server:introspect(info.access_token)
    assert.equal(3600, info.expires_in)
    assert.equal("Bearer", info.token_type)
    assert.equal("basic", info.client_id)
    assert.is_true(info.expires_at >= seen.exp and info.expires_at <= received_by + 3600)
  end)

  it("is renewed when the clock comes near its end", function()
    local now = os.time()
    local flow = flow_of("basic", {
      clock = function() return now end,
      cache = tokencache.cache.file { cache_path = dir:file("token") },
    })
    local info = assert(flow:get_token_info())
    now = info.expires_at - 60
    assert.equal(info.access_token, flow:get_access_token())
    now = info.expires_at - 59
    assert.is_true(flow:is_token_expired(info))
    local renewed = assert(flow:get_token_info())
    assert.not_equal(info.access_token, renewed.access_token)
    assert.equal(now + 3600, renewed.expires_at)
    assert.equal(renewed.access_token, flow:get_access_token())
  end)

  it("is renewed with check_cache = false, and the new one kept", function()
    local flow = flow_of("basic")
    local old = assert(flow:get_access_token())
    local requests, token = requests_during(function()
      return flow:get_access_token { check_cache = false }
    end)
    assert.equal(1, requests)
    assert.not_equal(old, token)
    assert.equal(token, flow:get_access_token())
  end)

  it("of another client is a miss, and is replaced", function()
    local cache = tokencache.cache.file { cache_path = dir:file("token") }
    local theirs = assert(flow_of("basic", { cache = cache }):get_access_token())
    local mine = assert(flow_of("odd", { cache = cache }):get_access_token())
    assert.not_equal(theirs, mine)
    assert.equal(server.clients.odd.client_id, cache:get_cached_token().client_id)
    assert.equal(server.clients.odd.client_id, server:introspect(mine).client_id)
  end)

  it("is not lost over a cache that cannot be written", function()
    local lines = keep_log()
    local path = dir:file("missing/token")
    local flow = flow_of("basic", { cache = tokencache.cache.file { cache_path = path } })
    local requests = requests_during(function()
      local token = assert(flow:get_access_token())
      assert.equal(token, flow:get_access_token())
      dir:shell("mkdir missing")
      assert.equal(token, flow:get_access_token())
    end)
    assert.equal(1, requests)
    assert.equal("600", dir:mode("missing/token"))
    local errors = {}
    for _, line in ipairs(lines) do
      if line:find("^error") then
        errors[#errors + 1] = line
      end
    end
    assert.equal(1, #errors) -- what repeats is said once a minute
    assert.matches(dir:file("missing"), errors[1], 1, true)
  end)
end)

describe("another process", function()
  local PROGRAM = [[
    local token_url, path = ...
    local tokencache = require "tokencache"
    local provider = { token_url = token_url }
    for name, value in pairs(tokencache.provider.spotify) do
      provider[name] = provider[name] or value
    end
    local flow = tokencache.flow.client_credentials {
      provider = provider,
      cache = path and tokencache.cache.file { cache_path = path },
    }
    local token, err = flow:get_access_token()
    io.write(token or tostring(err))]]

  --- Paths that hold in any working directory.
  local function absolute(templates)
    local _, here = process.run { "pwd" }
    return (templates:gsub("[^;]+", function(template)
      return template:sub(1, 1) == "/" and template or here:gsub("\n", "") .. "/" .. template
    end))
  end

  local function run(environment, ...)
    local path, cpath = package.path, package.cpath
    package.path, package.cpath = absolute(path), absolute(cpath)
    local command = process.lua(PROGRAM, ...)
    package.path, package.cpath = path, cpath
    local all = merged({ SPOTIPY_CLIENT_ID = "", SPOTIPY_CLIENT_SECRET = "",
      SPOTIPY_CLIENT_USERNAME = "" }, environment)
    return process.run(command, { environment = all, directory = dir.path })
  end

  local function as(client, more)
    return merged({
      SPOTIPY_CLIENT_ID = client.client_id,
      SPOTIPY_CLIENT_SECRET = client.client_secret,
    }, more)
  end

  it("reads the same file", function()
    local path = dir:file("token")
    local token = assert(flow_of("basic", { cache = tokencache.cache.file { cache_path = path } })
      :get_access_token())
    local requests = requests_during(function()
      local status, output = run(as(server.clients.basic), server.token_url, path)
      assert.same({ 0, token }, { status, output })
    end)
    assert.equal(0, requests)
  end)

  it("takes id and secret from the environment, and .cache for the file", function()
    local status, token = run(as(server.clients.odd), server.token_url)
    assert.equal(0, status, token)
    assert.equal(server.clients.odd.client_id, server:introspect(token).client_id)
    assert.equal(".cache .cache.tokencache-lock", dir:names())
    assert.equal("600", dir:mode(".cache"))
    local requests = requests_during(function()
      assert.same({ 0, token }, { run(as(server.clients.odd), server.token_url) })
    end)
    assert.equal(0, requests)
  end)

  it("has a file for each SPOTIPY_CLIENT_USERNAME", function()
    for _, name in ipairs { "ann", "bob" } do
      local status, output = run(as(server.clients.basic, { SPOTIPY_CLIENT_USERNAME = name }),
        server.token_url)
      assert.equal(0, status, output)
    end
    assert.equal(".cache-ann .cache-ann.tokencache-lock .cache-bob .cache-bob.tokencache-lock",
      dir:names())
  end)

  it("without the variables learns their names and the options'", function()
    local status, output = run({}, server.token_url)
    assert.equal(1, status)
    assert.matches("flow.client_credentials: client_id is required: pass client_id= or set "
      .. "SPOTIPY_CLIENT_ID\n", output, 1, true)
    status, output = run({ SPOTIPY_CLIENT_ID = "an-id" }, server.token_url)
    assert.equal(1, status)
    assert.matches("flow.client_credentials: client_secret is required: pass client_secret= or "
      .. "set SPOTIPY_CLIENT_SECRET\n", output, 1, true)
    assert.equal("", dir:names())
  end)
end)
