-- What a program can get wrong about logins, and what it may leave out.

local tokencache = require "tokencache"

local SERVER = {
  authorize_url = "https://login.example/authorize", token_url = "https://login.example/token",
}

local function with(changes)
  local options = {
    provider = SERVER, client_id = "id", client_secret = "secret",
    redirect_uri = "http://127.0.0.1:8888/callback", cache = tokencache.cache.memory {},
  }
  for name, value in pairs(changes or {}) do
    options[name] = value or nil
  end
  return options
end

local function server(changes)
  local provider = {}
  for name, value in pairs(SERVER) do
    provider[name] = value
  end
  for name, value in pairs(changes) do
    provider[name] = value or nil
  end
  return with { provider = provider }
end

local code, pkce = tokencache.flow.authorization_code, tokencache.flow.pkce
local flow = code(with {})

--- Each mistake on one line, which the message must name.
local mistakes = {
  { function() code(with { redirect_uri = false }) end,
    "flow.authorization_code: redirect_uri is required: pass redirect_uri=" },
  { function() code(with { redirect_uri = "127.0.0.1:8888" }) end,
    "flow.authorization_code: redirect_uri: " },
  { function() code(with { redirect_uri = "localhost:8888/callback" }) end,
    "flow.authorization_code: redirect_uri: not a URL of the form https://host/path" },
  { function() code(with { redirect_uri = "http:/callback" }) end,
    "flow.authorization_code: redirect_uri: not a URL of the form https://host/path" },
  { function() code(with { redirect_uri = "Alice_Example-App-abc" }) end,
    "flow.authorization_code: redirect_uri: not a URL of the form https://host/path" },
  { function() code(with { redirect_uri = "com.example.app:/a\nb" }) end,
    "flow.authorization_code: redirect_uri: a blank or control character in the URL" },
  { function() code(with { acr_values = { "a", 2 }, scope = "openid" }) end,
    "flow.authorization_code: acr_values must be a list of strings" },
  { function() code(with { redirect_uri = {} }) end,
    "flow.authorization_code: redirect_uri must not be an empty list" },
  { function() code(with { redirect_uri = { "http://127.0.0.1:8888/", 8889 } }) end,
    "flow.authorization_code: redirect_uri must be a list of strings" },
  { function() code(with { redirect_uri = { "http://127.0.0.1:1/", "https://app.example/" } }) end,
    "flow.authorization_code: redirect_uri may be a list only of http addresses on this machine" },
  { function() code(with { redirect_uri = "com.example.app:/callback#here" }) end,
    "flow.authorization_code: redirect_uri must not have a fragment (RFC 6749 §3.1.2)" },
  { function() code(with { redirect_uri = "https://app.example/#here" }) end,
    "flow.authorization_code: redirect_uri must not have a fragment (RFC 6749 §3.1.2)" },
  { function() code(with { client_secret = false }) end,
    "flow.authorization_code: client_secret is required: pass client_secret=" },
  { function() code(server { authorize_url = false }) end,
    "flow.authorization_code: provider: authorize_url is required" },
  { function() code(server { authorize_url = "http://login.example/" }) end,
    "flow.authorization_code: provider: authorize_url must be https, or http on a loopback " },
  { function() code(server { token_url = false }) end,
    "flow.authorization_code: provider: token_url is required" },
  { function() code(with { state = "" }) end,
    "flow.authorization_code: state must not be empty; left out, it is random for each login" },
  { function() code(with { on_invalid_grant = "retry" }) end,
    'flow.authorization_code: on_invalid_grant must be "discard" or "keep"' },
  { function() code(with { pending_key = "short" }) end,
    "flow.authorization_code: pending_key must have at least 16 bytes; make one with " },
  { function() code(with { authorize = true }) end,
    "flow.authorization_code: authorize must be a function, or false for never" },
  { function() code(with { authorize_params = { state = "mine" } }) end,
    "flow.authorization_code: authorize_params must not set state, which the flow sets itself" },
  { function() code(with { login = "browser" }) end, "flow.authorization_code: login must be a "
    .. 'table, not a string; give a list, such as { "browser" }' },
  { function() pkce(with { pkce = true }) end, "flow.pkce: unknown option pkce; known are " },
  { function() flow:get_authorize_url { stat = "x" } end,
    "get_authorize_url: unknown option stat; did you mean state?" },
  { function() flow:get_authorize_url { state = "" } end,
    "get_authorize_url: state must not be empty; left out, it is random" },
  { function() flow:exchange(nil, "pending") end,
    "exchange: response_url must be a string, not nil" },
  { function() flow:exchange("?code=1") end, "exchange: pending must be a string, not nil" },
  { function() flow:refresh_access_token {} end,
    "refresh_access_token: refresh_token must be a string, not a table" },
  { function() flow:refresh_access_token("") end,
    "refresh_access_token: refresh_token must not be empty; left out, it is the cached one" },
  { function() flow:parse_auth_response_url() end,
    "parse_auth_response_url: url must be a string, not nil" },
}

for _, method in ipairs { "get_authorize_url", "exchange", "refresh_access_token",
  "validate_token", "parse_auth_response_url", "reauthorization_due_in" } do
  mistakes[#mistakes + 1] = { function() flow[method] {} end,
    method .. ": call it on a flow, with a colon" }
end

describe("options of logins", function()
  for _, mistake in ipairs(mistakes) do
    local try, message = mistake[1], mistake[2]
    it("name what is wrong: " .. message:sub(1, 70), function()
      local ok, problem = pcall(try)
      assert.is_false(ok)
      local where, text = problem:match("^(.-login_options_spec%.lua:%d+): (.*)$")
      assert.is_truthy(where, problem) -- the caller is to blame
      assert.equal(message, text:sub(1, #message))
    end)
  end

  it("let an implicit-only provider do without a token_url", function()
    tokencache.set_logger(false)
    finally(function() tokencache.set_logger(nil) end)
    local options = with { client_secret = false }
    options.provider = { authorize_url = SERVER.authorize_url }
    assert.matches("response_type=token", (tokencache.flow.implicit(options):get_authorize_url()))
    options.provider = { authorize_url = "http://login.example/" }
    assert.error_matches(function() tokencache.flow.implicit(options) end,
      "flow.implicit: authorize_url must be https")
    options.provider = { token_url = SERVER.token_url }
    assert.error_matches(function() tokencache.flow.implicit(options) end,
      "flow.implicit: provider: authorize_url is required")
  end)

  it("let a program that sets a fixed state log in more than once", function()
    local now = 1760000000
    local fixed = code(with {
      state = "always", clock = function() return now end,
      http = { request = function()
        return { status = 200, body = '{"access_token":"a","token_type":"Bearer"}' }
      end },
    })
    for _ = 1, 2 do
      now = now + 1
      local _, pending = fixed:get_authorize_url()
      assert(fixed:exchange("?code=1&state=always", pending))
      local info, err = fixed:exchange("?code=1&state=always", pending)
      assert.is_nil(info)
      assert.equal("state", err.kind)
    end
  end)
end)
