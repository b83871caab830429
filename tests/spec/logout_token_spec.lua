--- Logout tokens, true and forged (OpenID Connect Back-Channel Logout 1.0 §2.6).

local id_tokens = require "support.id_tokens"
local json = require "tokencache.json"
local logout_token = require "tokencache.logout_token"
local stages = require "support.stage"

local NOW = 1760000000
local ISSUER = "https://login.example"
local EVENT = "http://schemas.openid.net/event/backchannel-logout"

local EXPIRED = "it has been over for %d seconds (exp); set this machine's clock if that is ahead"

local USUAL = { iss = ISSUER, sub = "alice", aud = stages.CLIENT_ID, iat = NOW, exp = NOW + 120,
  jti = "once", events = { [EVENT] = {} } }

local TRUE = {
  usual = {},
  ["by ES256"] = { key = "es" },
  ["of one session"] = { claims = { sid = "s", sub = json.null } },
  ["of one session of a user"] = { claims = { sid = "s" } },
  ["for several clients"] = { claims = { aud = { "other", stages.CLIENT_ID } } },
  ["of a type"] = { header = { typ = "logout+jwt" } },
  ["of a type that is written out"] = { header = { typ = "application/LOGOUT+JWT" } },
  ["of the plain type"] = { header = { typ = "JWT" } },
  ["without an end"] = { claims = { exp = json.null } },
  ["whose event says more"] =
    { claims = { events = { [EVENT] = { a = 1 }, ["urn:other"] = "b" } } },
  ["by clocks that differ"] = { claims = { iat = NOW + 50, exp = NOW + 170 } },
}

local FORGED = {
  ["that nobody signed"] =
    { header = { alg = "none" }, problem = "its alg is none, which proves nothing" },
  ["signed with the client secret"] = { header = { alg = "HS256" }, hmac = stages.CLIENT_SECRET,
    problem = "its alg is HS256, which proves nothing" },
  ["signed with the public key"] = { header = { alg = "HS256" }, hmac = "public key",
    problem = "its alg is HS256, which proves nothing" },
  ["signed by another key"] =
    { key = "rs2", header = { kid = "rs" }, problem = "its signature is wrong" },
  ["signed by a key that it brings along"] = { key = "rs2", header = { jwk = true },
    problem = "the provider has no key that it could be signed with (alg, kid)" },
  ["of another kind"] =
    { header = { typ = "at+jwt" }, problem = "it is another kind of token (typ)" },
  ["of a type that is no text"] =
    { header = { typ = 1 }, problem = "it is another kind of token (typ)" },
  ["of another issuer"] =
    { claims = { iss = "https://evil.example" }, problem = "its iss is not " .. ISSUER },
  ["for another client"] =
    { claims = { aud = "other" }, problem = "it is for other clients (aud)" },
  ["for nobody"] = { claims = { aud = json.null }, problem = "it is for other clients (aud)" },
  ["that is an ID token"] =
    { claims = { events = json.null, nonce = "n" }, problem = "it is of no logout (events)" },
  ["with a nonce"] = { claims = { nonce = "n" }, problem = "it is an ID token (nonce)" },
  ["of another event"] = { claims = { events = { ["urn:other"] = {} } },
    problem = "it is of no logout (events)" },
  ["whose event is no object"] =
    { claims = { events = { [EVENT] = true } }, problem = "it is of no logout (events)" },
  ["whose event is null"] =
    { claims = { events = { [EVENT] = json.null } }, problem = "it is of no logout (events)" },
  ["whose event is a list"] =
    { claims = { events = { [EVENT] = { 1 } } }, problem = "it is of no logout (events)" },
  ["whose events are a list"] =
    { claims = { events = { EVENT } }, problem = "it is of no logout (events)" },
  ["without a jti"] = { claims = { jti = json.null }, problem = "it has no jti" },
  ["with an empty jti"] = { claims = { jti = "" }, problem = "it has no jti" },
  ["with a number as jti"] = { claims = { jti = 1 }, problem = "it has no jti" },
  ["of nobody"] = { claims = { sub = json.null },
    problem = "it names neither user nor session (sub, sid)" },
  ["of a user who is no text"] = { claims = { sub = { "alice" } },
    problem = "its user or session is no text (sub, sid)" },
  ["of a session without a name"] =
    { claims = { sid = "" }, problem = "its user or session is no text (sub, sid)" },
  ["that has expired"] =
    { claims = { iat = NOW - 300, exp = NOW - 61 }, problem = EXPIRED:format(61) },
  ["whose end is no number"] =
    { claims = { exp = "never" }, problem = "it does not say when it ends (exp)" },
  ["that is old and has no end"] =
    { claims = { iat = NOW - 200, exp = json.null }, problem = EXPIRED:format(80) },
  ["without a time"] =
    { claims = { iat = json.null }, problem = "it does not say when it was issued (iat)" },
  ["of the future"] = { claims = { iat = NOW + 90 }, problem = "it seems to be from 90 seconds in "
    .. "the future (iat); set this machine's clock if that is behind" },
}

describe("a logout token #once", function()
  local made, stage, flow, keys

  setup(function()
    local wanted = { new = { key = "rs2" } }
    for _, list in ipairs { TRUE, FORGED } do
      for name, entry in pairs(list) do
        wanted[name] = { claims = entry.claims, header = entry.header, key = entry.key,
          hmac = entry.hmac }
      end
    end
    made = id_tokens.make(USUAL, wanted)
  end)

  before_each(function()
    stage = stages.new()
    stage.now, keys = NOW, made.jwks
    stage.on.request = function()
      return keys and stages.answer(keys) or { status = 503, headers = {}, body = "" }
    end
    flow = stage:user_flow { scope = "openid", provider = { issuer = ISSUER,
      token_url = ISSUER .. "/token", authorize_url = ISSUER .. "/authorize",
      jwks_url = ISSUER .. "/jwks" } }
  end)

  local function check(text)
    return logout_token.check(flow, text, stage.monotonic + 5)
  end

  for name in pairs(TRUE) do
    it(name .. " is taken", function()
      local claims, problem = check(made.tokens[name])
      assert.is_nil(problem)
      assert.equal("once", claims.jti)
      assert.is_number(claims.iat)
      assert.is_number(claims.exp)
    end)
  end

  for name, entry in pairs(FORGED) do
    it(name .. " is refused", function()
      local claims, problem = check(made.tokens[name])
      assert.is_nil(claims)
      assert.equal(entry.problem, problem)
    end)
  end

  it("that is none is refused", function()
    for _, text in ipairs { "", "a.b", "a.b.c", "....", ("a"):rep(70000),
      made.tokens.usual .. "." } do
      assert.is_nil((check(text)))
    end
    assert.is_nil((check(nil)))
    assert.is_nil((check { made.tokens.usual, made.tokens.usual }))
  end)

  it("is refused with any of its bytes changed", function()
    local text = made.tokens["by ES256"]
    for i = 1, #text, 7 do
      local other = text:sub(i, i) == "A" and "B" or "A"
      assert.is_nil((check(text:sub(1, i - 1) .. other .. text:sub(i + 1))))
    end
  end)

  it("signed by a new key of the provider's has the keys asked for anew", function()
    assert.is_table((check(made.tokens.usual)))
    keys = made.next_jwks
    stage.monotonic = stage.monotonic + 61 -- they are asked for once a minute at most
    assert.is_table((check(made.tokens.new)))
    assert.equal(2, #stage.requests)
  end)

  it("cannot be judged while the provider's keys are not to be had", function()
    keys = nil
    local claims, err = check(made.tokens.usual)
    assert.is_nil(claims)
    assert.equal("transient", err.kind)
  end)
end)
