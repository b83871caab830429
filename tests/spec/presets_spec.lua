-- The presets, each with answers as that provider gives them. The providers are on the internet, so
-- they are played here: a login, a renewal, and a refresh token that is dead.

local json = require "tokencache.json"
local merged = require "support.merged"
local query = require "support.query"
local stages = require "support.stage"
local tokencache = require "tokencache"

local preset = tokencache.provider

--- authorize, token_url: its addresses; params: some of the authorization URL; token: the answer
--- to the login; renewed: in what the answer to the renewal differs; dead: the status and the
--- answer to a refresh token that is dead; other: those of another failure, and its kind; scope,
--- granted: what is asked for, and what the answer says; revoke, device: further addresses, and the
--- statuses of what is answered there, revoked and pending.
local SCENES = {
  {
    name = "spotify", authorize = "https://accounts.spotify.com/authorize",
    token_url = "https://accounts.spotify.com/api/token", scope = "user-read-email",
    token = { token_type = "Bearer", expires_in = 3600, scope = "user-read-email" },
    due_in = 180 * 86400,
    dead = { 400, { error = "invalid_grant", error_description = "Refresh token revoked" } },
  },
  {
    name = "google", authorize = "https://accounts.google.com/o/oauth2/v2/auth",
    revoke = "https://oauth2.googleapis.com/revoke",
    device = "https://oauth2.googleapis.com/device/code", pending = 428,
    token_url = "https://oauth2.googleapis.com/token", scope = "email profile",
    params = { access_type = "offline", prompt = "consent" },
    token = { token_type = "Bearer", expires_in = 3599, scope = "email profile",
      refresh_token_expires_in = 604799 },
    keeps_refresh_token = true, iss = "https://accounts.google.com", due_in = 604799, post = true,
    dead = { 400, { error = "invalid_grant", error_description = "Token has been expired or "
      .. "revoked." } },
  },
  {
    name = "microsoft", scope = "Mail.Read offline_access", granted = "Mail.Read",
    device = "https://login.microsoftonline.com/common/oauth2/v2.0/devicecode",
    authorize = "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
    token_url = "https://login.microsoftonline.com/common/oauth2/v2.0/token",
    token = { token_type = "Bearer", expires_in = 4511, ext_expires_in = 4511,
      scope = "Mail.Read" },
    dead = { 400, { error = "interaction_required", error_description = "AADSTS50076: Due to a "
      .. "configuration change made by your administrator, you must use multi-factor "
      .. "authentication", error_codes = { 50076 }, suberror = "basic_action" } },
  },
  {
    name = "github", authorize = "https://github.com/login/oauth/authorize",
    device = "https://github.com/login/device/code", pending = 200,
    token_url = "https://github.com/login/oauth/access_token", scope = "gist repo",
    token = { token_type = "bearer", expires_in = 28800, refresh_token_expires_in = 15897600,
      scope = "repo,gist" },
    granted = "repo,gist", post = true, headers = { ["User-Agent"] = "tokencache" },
    due_in = 15897600,
    dead = { 200, { error = "bad_refresh_token", error_description = "The refresh token passed is "
      .. "incorrect or expired.", error_uri = "https://docs.github.com" } },
  },
  {
    name = "gitlab", authorize = "https://gitlab.com/oauth/authorize",
    revoke = "https://gitlab.com/oauth/revoke",
    device = "https://gitlab.com/oauth/authorize_device",
    token_url = "https://gitlab.com/oauth/token", scope = "read_user",
    token = { token_type = "Bearer", expires_in = 7200, scope = "read_user",
      created_at = 1000 },
    dead = { 400, { error = "invalid_grant", error_description = "The provided authorization grant "
      .. "is invalid, expired, revoked" } },
  },
  {
    name = "keycloak", provider = preset.keycloak { host = "sso.example.com", realm = "shop" },
    revoke = "https://sso.example.com/realms/shop/protocol/openid-connect/revoke",
    device = "https://sso.example.com/realms/shop/protocol/openid-connect/auth/device",
    authorize = "https://sso.example.com/realms/shop/protocol/openid-connect/auth",
    token_url = "https://sso.example.com/realms/shop/protocol/openid-connect/token",
    scope = "profile", iss = "https://sso.example.com/realms/shop", due_in = 1800,
    token = { token_type = "Bearer", expires_in = 300, refresh_expires_in = 1800,
      ["not-before-policy"] = 0, session_state = "6f2a", scope = "profile" },
    dead = { 400, { error = "invalid_grant", error_description = "Token is not active" } },
  },
  {
    name = "auth0", provider = preset.auth0 { domain = "shop.eu.auth0.com" },
    revoke = "https://shop.eu.auth0.com/oauth/revoke",
    device = "https://shop.eu.auth0.com/oauth/device/code", pending = 403,
    authorize = "https://shop.eu.auth0.com/authorize",
    token_url = "https://shop.eu.auth0.com/oauth/token", scope = "offline_access read:all",
    token = { token_type = "Bearer", expires_in = 86400, scope = "read:all offline_access" },
    granted = "read:all offline_access", post = true,
    dead = { 403, { error = "invalid_grant", error_description = "Unknown or invalid refresh "
      .. "token." } },
  },
  {
    name = "okta", provider = preset.okta { domain = "shop.okta.com" },
    revoke = "https://shop.okta.com/oauth2/default/v1/revoke",
    device = "https://shop.okta.com/oauth2/default/v1/device/authorize",
    authorize = "https://shop.okta.com/oauth2/default/v1/authorize",
    token_url = "https://shop.okta.com/oauth2/default/v1/token", scope = "offline_access",
    token = { token_type = "Bearer", expires_in = 3600, scope = "offline_access" },
    dead = { 400, { error = "invalid_grant", error_description = "The refresh token is invalid or "
      .. "expired." } },
  },
  {
    name = "discord", authorize = "https://discord.com/oauth2/authorize",
    revoke = "https://discord.com/api/oauth2/token/revoke",
    token_url = "https://discord.com/api/oauth2/token", scope = "identify",
    token = { token_type = "Bearer", expires_in = 604800, scope = "identify" },
    headers = { ["User-Agent"] = "tokencache" }, dead = { 400, { error = "invalid_grant" } },
  },
  {
    name = "twitch", authorize = "https://id.twitch.tv/oauth2/authorize",
    revoke = "https://id.twitch.tv/oauth2/revoke",
    token_url = "https://id.twitch.tv/oauth2/token", scope = "bits:read user:read:email",
    token = { token_type = "bearer", expires_in = 14124,
      scope = { "bits:read", "user:read:email" } },
    granted = "bits:read user:read:email", post = true,
    dead = { 400, { error = "Bad Request", status = 400, message = "Invalid refresh token" } },
    other = { 400, { status = 400, message = "missing client id" }, "protocol" },
  },
  {
    name = "slack", authorize = "https://slack.com/oauth/v2/authorize",
    token_url = "https://slack.com/api/oauth.v2.access", scope = "chat:write users:read",
    params = { scope = "chat:write,users:read" },
    token = { ok = true, token_type = "bot", expires_in = 43200, scope = "chat:write,users:read",
      authed_user = { id = "U1" }, team = { id = "T1" } },
    granted = "chat:write,users:read", redirect_uri = "https://app.example/callback",
    dead = { 200, { ok = false, error = "invalid_refresh_token" } },
    other = { 200, { ok = false, error = "bad_client_secret" }, "denied" },
  },
  {
    name = "dropbox", authorize = "https://www.dropbox.com/oauth2/authorize",
    token_url = "https://api.dropboxapi.com/oauth2/token", scope = "files.metadata.read",
    params = { token_access_type = "offline" }, keeps_refresh_token = true,
    token = { token_type = "bearer", expires_in = 14400, scope = "files.metadata.read",
      uid = "1", account_id = "dbid:1" },
    renewed = { scope = json.null },
    dead = { 400, { error = "invalid_grant", error_description = "refresh token is invalid or "
      .. "revoked" } },
  },
  {
    name = "strava", authorize = "https://www.strava.com/oauth/authorize",
    token_url = "https://www.strava.com/oauth/token", scope = "activity:read read",
    params = { scope = "activity:read,read" }, post = true,
    token = { token_type = "Bearer", expires_at = 22600, expires_in = 21600,
      athlete = { id = 134815 } },
    granted = "activity:read read",
    dead = { 400, { message = "Bad Request", errors = { { resource = "RefreshToken",
      field = "refresh_token", code = "invalid" } } } },
    other = { 400, { message = "Bad Request", errors = { { resource = "Application",
      field = "client_id", code = "invalid" } } }, "protocol" },
  },
  {
    name = "reddit", authorize = "https://www.reddit.com/api/v1/authorize",
    revoke = "https://www.reddit.com/api/v1/revoke_token", revoked = 204,
    token_url = "https://www.reddit.com/api/v1/access_token", scope = "identity read",
    params = { duration = "permanent" }, keeps_refresh_token = true,
    token = { token_type = "bearer", expires_in = 86400, scope = "identity read" },
    headers = { ["User-Agent"] = "lua:tokencache:0.1" },
    dead = { 400, { message = "Bad Request", error = 400 } },
  },
  {
    name = "atlassian", authorize = "https://auth.atlassian.com/authorize",
    token_url = "https://auth.atlassian.com/oauth/token", scope = "offline_access read:me",
    params = { audience = "api.atlassian.com", prompt = "consent" }, post = true,
    token = { token_type = "Bearer", expires_in = 3600, scope = "read:me offline_access" },
    granted = "read:me offline_access", due_in = 365 * 86400,
    dead = { 403, { error = "unauthorized_client", error_description = "refresh_token is "
      .. "invalid" } },
    other = { 403, { error = "unauthorized_client", error_description = "Grant not allowed" },
      "config" },
  },
  {
    name = "zoom", authorize = "https://zoom.us/oauth/authorize",
    revoke = "https://zoom.us/oauth/revoke",
    device = "https://zoom.us/oauth/devicecode",
    token_url = "https://zoom.us/oauth/token", scope = "user:read",
    token = { token_type = "bearer", expires_in = 3599, scope = "user:read" },
    dead = { 401, { reason = "Invalid Token!", error = "invalid_request" } },
    other = { 400, { reason = "Invalid client_id or client_secret", error = "invalid_client" },
      "config" },
  },
}

local REDIRECT_URI = "http://127.0.0.1:8888/callback"

for _, scene in ipairs(SCENES) do
  describe("the preset of " .. scene.name, function()
    local stage, flow, answers

    before_each(function()
      stage = stages.new()
      answers = {}
      stage.on.request = function()
        return table.remove(answers, 1) or error("no answer is left")
      end
      flow = stage:user_flow {
        provider = scene.provider or preset[scene.name], client_id = "an id",
        client_secret = "a secret", scope = scene.scope, leeway = 60,
        redirect_uri = scene.redirect_uri or REDIRECT_URI, authorize = false,
      }
    end)

    local function answer(fields, status)
      answers[#answers + 1] = stages.answer(fields, status)
    end

    local function log_in()
      local url, pending = flow:get_authorize_url()
      assert.equal(scene.authorize, url:match("^[^?]+"))
      local params = query.read(url)
      for name, value in pairs(merged({ scope = scene.scope, response_type = "code",
        client_id = "an id" }, scene.params)) do
        assert.equal(value, params[name], name)
      end
      answer(merged(scene.token, { access_token = "first", refresh_token = "refresh-1" }))
      local response = { "code", "a code", "state", params.state }
      if scene.iss then
        response[5], response[6] = "iss", scene.iss
      end
      return assert(flow:exchange((scene.redirect_uri or REDIRECT_URI) .. "?"
        .. require("tokencache._core").form_encode(response), pending))
    end

    local function last_request()
      local request = stage.requests[#stage.requests]
      return request, query.read("?" .. request.body)
    end

    it("takes a login", function()
      local info = log_in()
      assert.equal("first", info.access_token)
      assert.equal(scene.granted or scene.scope, info.scope)
      assert.equal(1000 + scene.token.expires_in, info.expires_at)
      local request, body = last_request()
      assert.equal(scene.token_url, request.url)
      assert.equal("authorization_code", body.grant_type)
      assert.equal(scene.post and "a secret" or nil, body.client_secret)
      assert.equal(not scene.post and "Basic YW4raWQ6YStzZWNyZXQ=" or nil,
        request.headers.Authorization)
      for name, value in pairs(scene.headers or {}) do
        assert.equal(value, request.headers[name])
      end
      assert.equal(scene.due_in, flow:reauthorization_due_in())
      assert.equal("first", flow:get_access_token()) -- it serves the scopes that were asked for
    end)

    it("renews it", function()
      log_in()
      stage.now = stage.now + scene.token.expires_in + 1
      local fields = merged(merged(scene.token, { access_token = "second" }), scene.renewed)
      if scene.token.expires_at then
        fields.expires_at = stage.now + scene.token.expires_in
      end
      fields.refresh_token = not scene.keeps_refresh_token and "refresh-2" or nil
      answer(fields)
      local info = assert(flow:get_token_info())
      assert.equal("second", info.access_token)
      assert.equal(scene.keeps_refresh_token and "refresh-1" or "refresh-2", info.refresh_token)
      local _, body = last_request()
      assert.equal("refresh_token", body.grant_type)
      assert.equal("refresh-1", body.refresh_token)
    end)

    it("revokes a login where the provider does", function()
      log_in()
      answer({}, scene.revoked)
      answer({}, scene.revoked)
      stage.requests = {}
      assert.same({ true }, { flow:log_out() })
      local sent = {}
      for i, request in ipairs(stage.requests) do
        sent[i] = request.method == "POST" and request.url or nil
      end
      assert.same({ scene.revoke, scene.revoke }, sent)
    end)

    if scene.device then
      it("takes a login by another device", function()
        answer { device_code = "a code", user_code = "AB-CD", expires_in = 900, interval = 5,
          [scene.name == "google" and "verification_url" or "verification_uri"] =
            "https://example.com/device" }
        answer({ error = "authorization_pending" }, scene.pending or 400)
        answer(merged(scene.token, { access_token = "first", refresh_token = "refresh-1" }))
        assert.equal("first", tokencache.flow.device {
          provider = scene.provider or preset[scene.name], client_id = "an id",
          scope = scene.scope, cache = stage.handler, http = stage.transport, io = stage.io,
          show = function() end }:get_access_token())
        assert.equal(scene.device, stage.requests[1].url)
        assert.same({ client_id = "an id", scope = scene.scope },
          (query.read("?" .. stage.requests[1].body)))
        local request, body = last_request()
        assert.equal(scene.token_url, request.url)
        assert.equal("a code", body.device_code)
      end)
    end

    it("tells a dead refresh token from other failures", function()
      log_in()
      stage.now = stage.now + scene.token.expires_in + 1
      if scene.other then
        answer(scene.other[2], scene.other[1])
        local token, err = flow:get_access_token()
        assert.is_nil(token)
        assert.equal(scene.other[3], err.kind)
        assert.equal("refresh-1", stage.stored.refresh_token)
      end
      answer(scene.dead[2], scene.dead[1])
      local token, err = flow:get_access_token()
      assert.is_nil(token)
      assert.equal("reauthorize", err.kind)
    end)
  end)
end

describe("presets that are called", function()
  it("make other providers of their kind", function()
    assert.equal("https://git.example.com/oauth/token",
      preset.gitlab { host = "git.example.com" }.token_url)
    assert.equal("http://localhost:8080/auth/realms/a.b/protocol/openid-connect/token",
      preset.keycloak { host = "http://localhost:8080/auth/", realm = "a.b" }.token_url)
    local id = "0a1b2c3d-0000-4000-8000-0123456789ab"
    assert.equal("https://login.microsoftonline.com/" .. id .. "/v2.0",
      preset.microsoft { tenant = id }.issuer)
    assert.is_nil(preset.microsoft { tenant = id }.id_token_issuer)
    for _, tenant in ipairs { "shop.example", "common", "organizations" } do
      assert.equal("https://login.microsoftonline.com/" .. tenant .. "/v2.0",
        preset.microsoft { tenant = tenant }.issuer)
      assert.equal("https://login.microsoftonline.com/{tenantid}/v2.0",
        preset.microsoft { tenant = tenant }.id_token_issuer)
    end
    assert.equal("https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
      preset.microsoft { tenant = "consumers" }.issuer)
    assert.is_nil(preset.microsoft { tenant = "Consumers" }.id_token_issuer)
    assert.equal("https://shop.okta.com/oauth2/v1/token",
      preset.okta { domain = "shop.okta.com", server = false }.token_url)
    assert.equal("https://shop.okta.com",
      preset.okta { domain = "shop.okta.com", server = false }.issuer)
  end)

  it("raise for what is wrong, and name it", function()
    local wrong = {
      { preset.keycloak, { host = "sso.example.com" }, "provider.keycloak: realm is required" },
      { preset.keycloak, { realm = "shop" }, "provider.keycloak: host is required" },
      { preset.keycloak, { host = "sso.example.com", realm = "a/b" },
        "provider.keycloak: realm must be its name" },
      { preset.keycloak, { host = "sso.example.com?a=b", realm = "shop" },
        "provider.keycloak: host: " },
      { preset.gitlab, { host = "a b" }, "provider.gitlab: host: " },
      { preset.gitlab, { url = "git.example.com" }, "provider.gitlab: unknown option url" },
      { preset.auth0, { domain = "" }, "provider.auth0: domain: " },
      { preset.okta, { domain = "shop.okta.com", server = "a b" },
        "provider.okta: server must be the name" },
      { preset.microsoft, { tenant = "../x" }, "provider.microsoft: tenant must be an id" },
      { preset.microsoft, { tenant = ".." }, "provider.microsoft: tenant must be an id" },
    }
    for _, case in ipairs(wrong) do
      local ok, message = pcall(case[1], case[2])
      assert.is_false(ok)
      assert.truthy(message:find(case[3], 1, true), message)
    end
  end)

  it("are asked for where they are not called", function()
    assert.error_matches(function()
      tokencache.flow.pkce { provider = preset.keycloak, client_id = "id",
        redirect_uri = REDIRECT_URI, cache = tokencache.cache.memory {} }
    end, "provider: call this preset: tokencache.provider.keycloak { host = ..., realm = ... }", 1,
      true)
  end)
end)

describe("a public client of a provider that wants secrets in the body", function()
  it("sends none where it has none", function()
    local stage = stages.new()
    local flow = tokencache.flow.pkce { provider = preset.google, client_id = "id",
      redirect_uri = REDIRECT_URI, cache = stage.handler, io = stage.io, http = stage.transport }
    assert.matches("code_challenge=", flow:get_authorize_url())
  end)
end)

describe("Zoom's server-to-server grant", function()
  it("is called account_credentials", function()
    local stage = stages.new()
    local flow = stage:flow { provider = preset.zoom, token_params = { account_id = "an account" } }
    assert(flow:get_access_token())
    local body = query.read("?" .. stage.requests[1].body)
    assert.equal("account_credentials", body.grant_type)
    assert.equal("an account", body.account_id)
  end)
end)
