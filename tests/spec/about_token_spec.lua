--- flow:introspect (RFC 7662) and flow:revoke (RFC 7009).

local json = require "tokencache.json"
local oidc_provider = require "support.oidc_provider"
local stages = require "support.stage"
local tokencache = require "tokencache"

describe("a token at the provider", function()
  local server, flow

  setup(function() server = oidc_provider.start() end)
  teardown(function() server:stop() end)

  --- A user's, in the store of many.
  local function log_in(client)
    flow = tokencache.flow.authorization_code(server:options(client, {
      redirect_uri = "http://127.0.0.1:8080/callback", scope = "read",
    }))
    local url, pending = flow:get_authorize_url()
    return assert(flow:exchange(server:login(url), pending))
  end

  it("is introspected", function()
    local info = log_in "confidential"
    local about = assert(flow:introspect(info.access_token))
    assert.is_true(about.active)
    assert.same({ "confidential", "read" }, { about.client_id, about.scope })
    about = assert(flow:introspect(info.refresh_token, { token_type_hint = "refresh_token" }))
    assert.is_true(about.active)
    assert.same({ active = false }, flow:introspect "no token at all")
  end)

  it("is revoked, with what it had brought", function()
    local info = log_in "confidential"
    assert.is_true(flow:revoke(info.access_token))
    assert.is_false(flow:introspect(info.access_token).active)
    assert.is_true(flow:introspect(info.refresh_token).active)
    assert.is_true(flow:revoke(info.refresh_token, { token_type_hint = "refresh_token" }))
    assert.is_false(flow:introspect(info.refresh_token).active)
    assert.is_true(flow:revoke "no token at all")
  end)

  it("is a matter for each way to authenticate, and for flows without users", function()
    for _, name in ipairs { "basic", "post", "odd" } do
      flow = tokencache.flow.client_credentials(server:options(name, {
        token_endpoint_auth_method = name == "post" and "client_secret_post" or nil }))
      local token = assert(flow:get_access_token())
      assert.is_true(flow:introspect(token).active)
      assert.is_true(flow:revoke(token))
      assert.is_false(flow:introspect(token).active)
    end
  end)

  it("is nobody's business who cannot authenticate", function()
    local wrong = tokencache.flow.client_credentials(server:options("basic",
      { client_secret = "wrong" }))
    for method, what in pairs { introspect = "introspect", revoke = "revoke" } do
      local result, err = wrong[method](wrong, "a-token")
      assert.is_nil(result)
      assert.same({ "config", 401 }, { err.kind, err.status })
      assert.equal(("the provider did not %s the token: status 401; check client_id, client_secret "
        .. "and token_endpoint_auth_method"):format(what), err.message)
    end
  end)
end)

describe("a request about a token", function()
  local stage, flow, answer

  before_each(function()
    stage = stages.new()
    stage.on.request = function() return answer end
    flow = stage:flow { provider = {
      token_url = "https://login.example/token",
      introspection_url = "https://login.example/introspect",
      revocation_url = "https://login.example/revoke",
    } }
  end)

  it("carries the token and the hint, and nothing that is the user's", function()
    answer = stages.answer { active = true, scope = "read", username = json.null }
    assert.same({ active = true, scope = "read" }, flow:introspect("t+1", { timeout = 3,
      token_type_hint = "access_token" }))
    local request = stage.requests[1]
    assert.same({ "https://login.example/introspect", "token=t%2B1&token_type_hint=access_token",
      3 }, { request.url, request.body, request.timeout })
    assert.matches("^Basic ", request.headers.Authorization)
    assert(flow:revoke "t+1")
    assert.equal("token=t%2B1", stage.requests[2].body)
  end)

  it("is done by any status of success, as Reddit's 204", function()
    answer = { status = 204, headers = {}, body = "" }
    assert.same({ true }, { flow:revoke "a-token" })
    assert.equal("protocol", select(2, flow:introspect "a-token").kind)
  end)

  it("fails with an error in words, which hold no token", function()
    for wanted, given in pairs {
      ["transient: the provider did not introspect the token: status 503"] = { status = 503 },
      ["transient: the provider did not introspect the token: status 429"] = { status = 429 },
      ["denied: the provider did not introspect the token: status 403"] =
        { status = 403, body = '{"error":"a-token"}' },
      ["protocol: the provider did not introspect the token: status 302"] = { status = 302 },
      ["protocol: https://login.example/introspect does not say whether the token is active "
        .. "(RFC 7662 §2.2); check introspection_url"] = stages.answer { active = "true" },
    } do
      answer = given
      local result, err = flow:introspect "a-token"
      assert.is_nil(result)
      assert.equal(wanted, err.kind .. ": " .. err.message)
    end
    for _, body in ipairs { "", "[]", "<html>", '"active"' } do
      answer = { status = 200, headers = {}, body = body }
      assert.equal("protocol", select(2, flow:introspect "a-token").kind)
    end
  end)

  it("names the endpoint that is missing", function()
    flow = stage:flow()
    for method, name in pairs { introspect = "introspection_url", revoke = "revocation_url" } do
      local result, err = flow[method](flow, "a-token")
      assert.is_nil(result)
      assert.equal("config", err.kind)
      assert.matches(name, err.message, 1, true)
    end
  end)

  it("raises where it is called in a wrong way", function()
    for problem, call in pairs {
      ["introspect: token must be a string that is not empty"] =
        function() flow:introspect() end,
      ["revoke: token must be a string that is not empty"] = function() flow:revoke "" end,
      ["revoke: unknown option hint; known are timeout, token_type_hint"] =
        function() flow:revoke("t", { hint = "access_token" }) end,
      ["introspect: call it on a flow, with a colon"] = function() flow.introspect "t" end,
    } do
      local ok, raised = pcall(call)
      assert.is_false(ok)
      assert.matches("about_token_spec.lua:%d+: " .. problem:gsub("%p", "%%%0"), raised)
    end
  end)
end)
