-- A person logs in with a real browser: headless Chromium at the pages of real servers, sent back
-- to the listener of a script.

local folder = require "support.folder"
local glewlwyd = require "support.glewlwyd"
local json = require "tokencache.json"
local loopback = require "support.loopback"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"
local tokencache = require "tokencache"

local REDIRECT_URI = "http://127.0.0.1:0/callback"

--- What a user's script does; it prints the token_info or what went wrong.
local SCRIPT = [[
  local json, tokencache = require "tokencache.json", require "tokencache"
  local flow, options, cache_path = ...
  options = assert(json.decode(options))
  options.cache = tokencache.cache.file { cache_path = cache_path }
  local info, err = tokencache.flow[flow](options):get_token_info()
  print("\n" .. assert(json.encode(info or { kind = err.kind, code = err.code })))
]]

describe("a login in a browser", function()
  local work, cache

  before_each(function()
    work = folder.new()
    cache = tokencache.cache.file { cache_path = work:file("cache") }
  end)

  after_each(function()
    work:remove()
  end)

  --- Runs the script in a process of its own.
  ---@return table result
  ---@return string said
  local function run(flow, options, environment)
    environment = environment or {}
    environment.BROWSER = environment.BROWSER or "env -u LD_PRELOAD node tests/servers/browser.mjs"
    environment.BROWSER_REPORT = work:file("report")
    options.login_timeout = 300
    local command = process.lua(SCRIPT, flow, json.encode(options), work:file("cache"))
    local code, output = process.run(command, { environment = environment })
    assert(code == 0, output)
    local said, result = output:match("^(.*)\n({.*})\n$")
    return assert(json.decode(result)), said
  end

  --- What the browser showed at last; it may still be at it when the script has ended.
  local function shown()
    return json.decode(process.wait_until("the browser's report", function()
      return process.read_file(work:file("report"))
    end))
  end

  local function logs_in_once(flow, client_name)
    local server = oidc_provider.start()
    finally(function() server:stop() end)
    local client = server.clients[client_name]
    local options = {
      provider = server.provider, client_id = client.client_id,
      client_secret = client.client_secret, redirect_uri = REDIRECT_URI, scope = "openid read",
    }

    local first, said = run(flow, options)
    assert.matches("^Use the browser that opens now to log in. If none does, open this ", said)
    assert.equal("alice", server:owner(first.access_token))
    assert.equal("openid read", first.scope)
    assert.same({ authorize = 1, metadata = 0, keys = 1, revocations = 0, authorization_code = 1 },
      server:counts())
    local page = shown()
    assert.matches("Login received", page.text)
    assert.same({}, page.console)

    -- with no browser to be had
    local second
    second, said = run(flow, options, { BROWSER = work:file("absent") })
    assert.same(first, second)
    assert.equal("", said)
    assert.equal(1, server:token_requests())

    local expired = assert(cache:get_cached_token())
    expired.expires_at = os.time() - 1
    assert(cache:save_token_to_cache(expired))
    local third
    third, said = run(flow, options, { BROWSER = work:file("absent") })
    assert.equal("alice", server:owner(third.access_token))
    assert.are_not.equal(first.access_token, third.access_token)
    assert.are_not.equal(first.refresh_token, third.refresh_token)
    assert.equal(first.authorized_at, third.authorized_at)
    assert.equal("", said)
    assert.same({ authorize = 1, metadata = 0, keys = 2, revocations = 0, authorization_code = 1,
      refresh_token = 1 }, server:counts())
    assert.same(third, cache:get_cached_token())
  end

  it("brings a public client its token, once; from then on it is renewed #c", function()
    logs_in_once("pkce", "public")
  end)

  it("brings a confidential client its token, once; from then on it is renewed #once", function()
    logs_in_once("authorization_code", "confidential")
  end)

  it("may be posted back by the provider's page #once", function()
    local server = oidc_provider.start()
    finally(function() server:stop() end)
    local info = run("pkce", {
      provider = server.provider, client_id = "public", scope = "openid read",
      redirect_uri = "http://localhost:0/callback",
      authorize_params = { response_mode = "form_post" },
    })
    assert.is_nil(info.kind, shown().text)
    assert.equal("alice", server:owner(info.access_token))
    assert.matches("Login received", shown().text)
  end)

  it("may be refused by the user #once", function()
    local server = oidc_provider.start()
    finally(function() server:stop() end)
    local result = run("pkce", {
      provider = server.provider, client_id = "public", redirect_uri = REDIRECT_URI, scope = "read",
    }, { BROWSER_DENY = "1" })
    assert.same({ kind = "denied", code = "access_denied" }, result)
    assert.same({ authorize = 1, metadata = 0, keys = 0, revocations = 0 }, server:counts())
    assert.is_nil((cache:get_cached_token()))
    assert.matches("Login not completed", shown().text)
  end)

  it("hands the token over that an implicit grant puts into the fragment #once", function()
    local redirect_uri = ("http://127.0.0.1:%d/callback"):format(loopback.free_port())
    local server = glewlwyd.start { redirect_uri = redirect_uri }
    finally(function() server:stop() end)

    local info = run("implicit", {
      provider = server.provider, client_id = server.client_id, redirect_uri = redirect_uri,
      scope = "read",
    })
    assert.equal("bearer", info.token_type)
    assert.equal("read", info.scope)
    assert.equal(3600, info.expires_in)
    local payload = info.access_token:match("^[^.]+%.([^.]+)%.[^.]+$")
    local claims = require("tokencache._core").base64url_decode(payload)
    assert.equal("alice", json.decode(claims).username)

    local page = shown()
    assert.equal(redirect_uri, page.url) -- the fragment is gone from the address bar
    assert.matches("Login received", page.text)
    assert.same({}, page.console)
  end)
end)
