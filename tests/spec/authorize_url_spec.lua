-- Where users are sent to log in.

local core = require "tokencache._core"
local json = require "tokencache.json"
local merged = require "support.merged"
local process = require "support.process"
local query = require "support.query"
local tokencache = require "tokencache"

--- The verifier and challenge of RFC 7636, appendix B.
local VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
local CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

local SERVER = {
  authorize_url = "https://login.example/authorize", token_url = "https://login.example/token",
}

local function options(changes)
  return merged({
    provider = SERVER, client_id = "id", client_secret = "secret",
    redirect_uri = "http://127.0.0.1:8080/callback", cache = tokencache.cache.memory {},
  }, changes)
end

local function params_of(flow, changes)
  return query.read((tokencache.flow[flow](options(changes)):get_authorize_url()))
end

describe("the authorization URL", function()
  local logged

  before_each(function()
    logged = {}
    tokencache.set_logger(function(_, message) logged[#logged + 1] = message end)
  end)

  after_each(function()
    tokencache.set_logger(nil)
  end)

  describe("is that of spotipy 2.25", function()
    local fixtures = json.decode(process.read_file("tests/fixtures/authorize_urls.json"))

    --- Where it differs, it does so on purpose.
    local function as_ours(params, args)
      if params.scope then
        local seen, scopes = {}, {}
        for scope in params.scope:gmatch("%S+") do
          scopes[#scopes + 1] = not seen[scope] and scope or nil -- none twice
          seen[scope] = true
        end
        params.scope = table.concat(scopes, " ") -- no blank before the first
      end
      if params.show_dialog then
        params.show_dialog = "true" -- not Python's True
      end
      if args.state == nil then
        params.state = nil -- random
      end
      return params
    end

    for i, fixture in ipairs(fixtures) do
      local args = fixture.args

      local function new_flow()
        return tokencache.flow[fixture.flow] {
          provider = tokencache.provider.spotify,
          client_id = args.client_id, client_secret = args.client_secret,
          redirect_uri = args.redirect_uri, scope = args.scope, state = args.state,
          show_dialog = args.show_dialog, cache = tokencache.cache.memory {},
          io = args.code_verifier and {
            random = function() return core.base64url_decode(args.code_verifier) end,
          },
        }
      end

      it(("for its example %d, %s"):format(i, fixture.flow), function()
        local expected, expected_base = query.read(fixture.url)
        if args.state == "" then -- it would protect nobody
          assert.error_matches(new_flow, "state must not be empty")
          args.state = nil
        end
        if args.redirect_uri:find("#") then
          assert.error_matches(new_flow, "redirect_uri must not have a fragment")
          args.redirect_uri = args.redirect_uri:gsub("#.*", "")
          expected.redirect_uri = args.redirect_uri
        end
        local params, base = query.read((new_flow():get_authorize_url()))
        assert.equal(expected_base, base)
        if args.state == nil then
          assert.equal(43, #params.state)
          params.state = nil
        end
        assert.same(as_ours(expected, args), params)
      end)
    end
  end)

  it("has a state and a verifier that are new each time", function()
    local flow = tokencache.flow.pkce(options {})
    local seen = {}
    for _ = 1, 100 do
      local params = query.read((flow:get_authorize_url()))
      for _, name in ipairs { "state", "code_challenge" } do
        assert.matches("^[%w_-]+$", params[name])
        assert.equal(43, #params[name]) -- 32 bytes
        assert.is_nil(seen[params[name]])
        seen[params[name]] = true
      end
    end
  end)

  it("has the state that the program gives", function()
    local flow = tokencache.flow.pkce(options { state = "of the flow" })
    assert.equal("of the flow", query.read((flow:get_authorize_url())).state)
    local url = flow:get_authorize_url { state = "of the call" }
    assert.equal("of the call", query.read(url).state)
  end)

  it("has a challenge for confidential clients that ask for it", function()
    local random = { random = function() return core.base64url_decode(VERIFIER) end }
    assert.is_nil(params_of("authorization_code", { io = random }).code_challenge)
    local params = params_of("authorization_code", { io = random, pkce = true })
    assert.equal(CHALLENGE, params.code_challenge)
    assert.equal("S256", params.code_challenge_method)
  end)

  it("has what the program adds, and the query that it had", function()
    local added = { access_type = "offline", prompt = "consent login" }
    local params = params_of("authorization_code", {
      authorize_params = added,
      provider = { authorize_url = SERVER.authorize_url .. "?tenant=a%26b",
        token_url = SERVER.token_url },
    })
    assert.equal("a&b", params.tenant)
    assert.equal("offline", params.access_type)
    assert.equal("consent login", params.prompt)
    assert.equal("code", params.response_type)

    params = params_of("authorization_code", {
      provider = { authorize_url = SERVER.authorize_url, token_url = SERVER.token_url,
        authorize_params = { audience = "of the provider" } },
    })
    assert.equal("of the provider", params.audience)
  end)

  for why, names in pairs {
    ["which the flow sets itself"] = { "client_id", "response_type", "redirect_uri", "scope",
      "state", "code_challenge", "code_challenge_method" },
    ["which is an option of its own"] = { "show_dialog" },
    ["which would take the place of the others (RFC 9101)"] = { "request", "request_uri" },
  } do
    for _, name in ipairs(names) do
      it("does not let the program's own parameters replace " .. name, function()
        assert.error_matches(function()
          tokencache.flow.pkce(options { authorize_params = { [name] = "mine" } })
        end, "flow.pkce: authorize_params must not set " .. name .. ", " .. why, 1, true)
      end)
    end
  end

  it("held show_dialog twice where a program set it in both ways", function()
    local url = tokencache.flow.pkce(options { show_dialog = true }):get_authorize_url()
    assert.equal(1, select(2, url:gsub("show_dialog=", "")))
  end)

  describe("to Spotify", function()
    local function warnings(redirect_uri)
      logged = {}
      tokencache.flow.pkce(options {
        provider = tokencache.provider.spotify, redirect_uri = redirect_uri,
      })
      return table.concat(logged, "\n")
    end

    it("warns of redirect URIs that Spotify refuses", function()
      assert.equal("redirect_uri: Spotify refuses localhost; write 127.0.0.1 instead, here and in "
        .. "the dashboard", warnings("http://localhost:8080/callback"))
      assert.matches("write 127%.0%.0%.1 instead", warnings("https://localhost:8080/callback"))
      assert.equal("redirect_uri: Spotify refuses http here; use https, or http on 127.0.0.1",
        warnings("http://app.example/callback"))
    end)

    it("is content with the others", function()
      assert.equal("", warnings("http://127.0.0.1:8080/callback"))
      assert.equal("", warnings("http://[::1]:8080/callback"))
      assert.equal("", warnings("https://app.example/callback"))
    end)
  end)
end)
