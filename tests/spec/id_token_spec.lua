--- What is checked of an ID token before a login is believed (OpenID Connect Core §3.1.3.7).

local core = require "tokencache._core"
local crypto = require "tokencache.crypto"
local id_tokens = require "support.id_tokens"
local json = require "tokencache.json"
local stages = require "support.stage"
local tokencache = require "tokencache"

local NOW = 1760000000
local ISSUER = "https://login.example"
local NONCE = core.base64url_encode(("n"):rep(32))
local REFUSED = "protocol: the id_token was refused, and the login with it: "

local null = json.null

local function half_hash(text)
  return core.base64url_encode(crypto.sha256(text):sub(1, 16))
end

local USUAL = { iss = ISSUER, sub = "alice", aud = stages.CLIENT_ID, exp = NOW + 300, iat = NOW,
  nonce = NONCE }

local GOOD = {
  ["as it should be"] = {},
  ["signed by ES256"] = { key = "es" },
  ["signed by PS256"] = { header = { alg = "PS256" } },
  ["without a kid"] = { header = { kid = null } },
  ["for two clients, asked for by this one"] =
    { claims = { aud = { "other", stages.CLIENT_ID }, azp = stages.CLIENT_ID } },
  ["with a list of one audience"] = { claims = { aud = { stages.CLIENT_ID } } },
  ["with the hash of the access token"] = { claims = { at_hash = half_hash "access-1" } },
  ["with claims of the provider's own"] = { claims = { groups = { "a", "b" }, deep = { x = {} } },
    header = { typ = "JWT", x5t = "x" } },
  ["from a clock that is behind"] = { claims = { iat = NOW - 330, exp = NOW - 30 } },
  ["from a clock that is ahead"] = { claims = { iat = NOW + 30, nbf = NOW + 30 } },
  ["with nulls"] = { payload = '{"azp":null,"at_hash":null,"nbf":null,'
    .. json.encode(USUAL):sub(2) },
}
if math.tointeger then -- on other Luas it is no number
  GOOD["that ends never"] = { payload = json.encode(USUAL)
    :gsub('"exp":%d+', '"exp":9223372036854775807') }
end

local NO_KEY = "the provider has no key that it could be signed with (alg, kid)"
local WRONG = "its signature is wrong"
local ALG = "its alg is none of RS256, PS256 and ES256"
local UNSUPPORTED = "its header wants what is not supported (crit or b64)"
local FORM = "it is not three parts of base64url"
local UNREADABLE = "a part of it cannot be read"
local AUDIENCE = "it is for other clients (aud)"
local AZP = "another client has asked for it (azp)"
local EXPIRED = "it has been over for %s seconds (exp); set this machine's clock if that is ahead"
local FUTURE = "it seems to be from %s seconds in the future (iat); "
  .. "set this machine's clock if that is behind"
local NOT_YET = "it is not valid for %s seconds yet (nbf); "
  .. "set this machine's clock if that is behind"
local NO_END = "it does not say when it ends (exp)"
local NO_NONCE = "its nonce is not that of this login"
local NO_USER = "it names no user (sub)"
local NOT_ISSUER = "its iss is not " .. ISSUER

local function with_claims(claims, problem)
  return { claims = claims, problem = problem }
end

local function with_header(header, problem)
  return { header = header, problem = problem }
end

--- `change` forges what was made.
local function changed(change, problem)
  return { change = change, problem = problem }
end

local FORGED = {
  ["that nobody signed"] =
    with_header({ alg = "none" }, "its alg is none, which proves nothing"),
  ["that nobody signed, written otherwise"] = with_header({ alg = "nOnE" }, ALG),
  ["signed by the public key"] = { header = { alg = "HS256" }, hmac = "public key",
    problem = "its alg is HS256, which proves nothing" },
  ["signed by the client secret"] = { header = { alg = "HS256" }, hmac = stages.CLIENT_SECRET,
    problem = "its alg is HS256, which proves nothing" },
  ["of an algorithm that is not known"] = with_header({ alg = "RS384" }, ALG),
  ["of no algorithm"] = with_header({ alg = null }, ALG),
  ["of two algorithms"] = with_header({ alg = { "RS256" } }, ALG),
  ["signed by a key of the attacker's"] = { key = "rs2", header = { kid = "rs" }, problem = WRONG },
  ["with the attacker's key in it"] = { key = "rs2", header = { kid = "rs", jwk = true },
    problem = WRONG },
  ["with the address of the attacker's key"] = { key = "rs2",
    header = { jku = "https://evil.example/jwks" }, problem = NO_KEY },
  ["signed by another algorithm than it says"] = changed(function(token, made)
    return token:match("^(.*%.)") .. made["signed by PS256"]:match("([^.]*)$")
  end, WRONG),
  ["of an unknown kid"] = with_header({ kid = "other" }, NO_KEY),
  ["of a kid that is no string"] = with_header({ kid = 1 }, "its kid is no string"),
  ["of the kid of another kind of key"] = with_header({ kid = "es" }, NO_KEY),
  ["of the kid of a key on another curve"] = { key = "es", header = { kid = "p384" },
    problem = NO_KEY },
  ["of a key that is not for signatures"] = { key = "enc", problem = NO_KEY },
  ["of a weak key"] = { key = "weak",
    problem = "the RSA key must have 2048 to 8192 bits and an odd exponent" },
  ["with a signature in DER"] = { key = "es", der = true, problem = WRONG },
  ["with a signature of zeros"] = changed(function(token)
    return token:match("^(.*%.)") .. core.base64url_encode(("\0"):rep(256))
  end, WRONG),
  ["with a signature of zeros, by ES256"] = { key = "es", problem = WRONG, change = function(token)
    return token:match("^(.*%.)") .. core.base64url_encode(("\0"):rep(64))
  end },
  ["without its signature"] = changed(function(token) return token:match("^(.*%.)") end, WRONG),
  ["with another's claims"] = changed(function(token, made)
    return (token:gsub("%..*%.", "." .. made["of another issuer"]:match("%.(.*)%.") .. "."))
  end, WRONG),
  ["truncated"] = changed(function(token) return token:sub(1, -2) end, UNREADABLE),
  ["with claims that are cut"] = changed(function(token)
    return (token:gsub("..%.([^.]*)$", ".%1"))
  end, UNREADABLE),
  ["of two parts"] = changed(function(token) return token:match("^(.*)%.") end, FORM),
  ["of four parts"] = changed(function(token) return token .. ".AAAA" end, FORM),
  ["that is encrypted"] = changed(function(token) return token .. ".AAAA.AAAA" end,
    "it is encrypted, which is not supported"),
  ["with padding"] = changed(function(token) return token .. "==" end, FORM),
  ["in base64"] = changed(function(token) return (token:gsub("%.", ".+", 1)) end, FORM),
  ["with a line's end"] = changed(function(token) return token .. "\n" end, FORM),
  ["that is empty"] = changed(function() return "" end, FORM),
  ["that is too large"] = { claims = { more = ("x"):rep(65536) },
    problem = "it is no text of up to 65536 bytes" },
  ["that is no text"] = changed(function() return { sub = "alice" } end,
    "it is no text of up to 65536 bytes"),
  ["with a claim twice"] = { payload = json.encode(USUAL):sub(1, -2) .. ',"sub":"mallory"}',
    problem = UNREADABLE },
  ["with claims that are no object"] = { payload = '["alice"]', problem = UNREADABLE },
  ["with claims that are no JSON"] = { payload = "alice", problem = UNREADABLE },
  ["with critical extensions"] = with_header({ crit = { "exp" }, exp = 1 }, UNSUPPORTED),
  ["with a payload that is not encoded"] = with_header({ b64 = false }, UNSUPPORTED),
  ["of another issuer"] = with_claims({ iss = "https://evil.example" }, NOT_ISSUER),
  ["of nearly the issuer"] = with_claims({ iss = ISSUER .. "/" }, NOT_ISSUER),
  ["of no issuer"] = with_claims({ iss = null }, NOT_ISSUER),
  ["for another client"] = with_claims({ aud = "other" }, AUDIENCE),
  ["for other clients"] = with_claims({ aud = { "other", "others" } }, AUDIENCE),
  ["for nobody"] = with_claims({ aud = null }, AUDIENCE),
  ["for an empty list"] = with_claims({ aud = json.array {} }, AUDIENCE),
  ["for an object"] = with_claims({ aud = { client = stages.CLIENT_ID } }, AUDIENCE),
  ["for two clients"] = with_claims({ aud = { "other", stages.CLIENT_ID } },
    "it is for several clients and does not say which one has asked for it (azp)"),
  ["for two clients, asked for by the other"] =
    with_claims({ aud = { "other", stages.CLIENT_ID }, azp = "other" }, AZP),
  ["that another client has asked for"] = with_claims({ azp = "other" }, AZP),
  ["that has expired"] = with_claims({ exp = NOW - 61 }, EXPIRED:format "61"),
  ["that has always been over"] = { payload = json.encode(USUAL)
    :gsub('"exp":%d+', '"exp":-9223372036854775808'),
    problem = EXPIRED:format "9223372038614775808" },
  ["without an end"] = with_claims({ exp = null }, NO_END),
  ["whose end is a text"] = with_claims({ exp = tostring(NOW + 300) }, NO_END),
  ["of the future"] = with_claims({ iat = NOW + 121, exp = NOW + 7200 }, FUTURE:format "121"),
  ["of no time"] = with_claims({ iat = null }, "it does not say when it was issued (iat)"),
  ["that is not valid yet"] = with_claims({ nbf = NOW + 100 }, NOT_YET:format "100"),
  ["that is valid from a text on"] = with_claims({ nbf = "now" }, "its nbf is no number"),
  ["of another login"] = with_claims({ nonce = "another" }, NO_NONCE),
  ["of no login"] = with_claims({ nonce = null }, NO_NONCE),
  ["with the hash of another access token"] = with_claims({ at_hash = half_hash "other" },
    "its at_hash is not that of the access token"),
  ["of nobody"] = with_claims({ sub = null }, NO_USER),
  ["of nobody's name"] = with_claims({ sub = "" }, NO_USER),
  ["of a number"] = with_claims({ sub = 1 }, NO_USER),
}

local TIMES = { -- with max_age = 600
  ["of a login just now"] = with_claims { auth_time = NOW },
  ["of a login as long ago as allowed"] = with_claims { auth_time = NOW - 660 },
  ["of a login too long ago"] = with_claims({ auth_time = NOW - 661 },
    "the user has logged in longer ago than max_age allows (auth_time)"),
  ["of a login at no time"] = with_claims({},
    "it does not say when the user has logged in (auth_time), which max_age asks for"),
}

local TENANT, OTHER = "72f988bf-86f1-41af-91ab-2d7cd011db47", "9188040d-6c67-4c5b-b112-36a304b66dad"

local function of_tenant(tenant)
  return "https://login.microsoftonline.com/" .. tenant .. "/v2.0"
end

local NOT_TENANT = "its iss is not " .. of_tenant "{tenantid}"

local TENANTS = { -- with Microsoft's preset
  ["of a tenant"] = with_claims { iss = of_tenant(TENANT), tid = TENANT },
  ["of another tenant"] = with_claims { iss = of_tenant(OTHER), tid = OTHER },
  ["of no tenant"] = with_claims({ iss = of_tenant(TENANT) }, NOT_TENANT),
  ["of another tenant than it says"] =
    with_claims({ iss = of_tenant(TENANT), tid = OTHER }, NOT_TENANT),
  ["of the tenant's name for all"] =
    with_claims({ iss = of_tenant "{tenantid}", tid = "{tenantid}" }, NOT_TENANT),
  ["of the name for all"] = with_claims({ iss = of_tenant "{tenantid}" }, NOT_TENANT),
  ["of the name for all, and a tenant"] =
    with_claims({ iss = of_tenant "{tenantid}", tid = TENANT }, NOT_TENANT),
  ["of a tenant that is no UUID"] =
    with_claims({ iss = of_tenant "common", tid = "common" }, NOT_TENANT),
  ["of a tenant and more"] = with_claims({ iss = of_tenant(TENANT .. "/x"), tid = TENANT .. "/x" },
    NOT_TENANT),
  ["of a tenant elsewhere"] =
    with_claims({ iss = "https://evil.example/" .. TENANT .. "/v2.0", tid = TENANT }, NOT_TENANT),
  ["of a tenant, signed by the key of another"] =
    { claims = { iss = of_tenant(TENANT), tid = TENANT }, key = "es",
    problem = "it is signed by the key of another issuer" },
  ["of the tenant of the key"] = { claims = { iss = of_tenant(OTHER), tid = OTHER }, key = "es" },
}

local function sorted(list)
  local names = {}
  for name in pairs(list) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

describe("an ID token", function()
  local made, stage, token
  local logins = 0

  setup(function()
    local wanted = {}
    for _, list in ipairs { GOOD, FORGED, TIMES, TENANTS } do
      for name, entry in pairs(list) do
        wanted[name] = { header = entry.header, claims = entry.claims, payload = entry.payload,
          key = entry.key, hmac = entry.hmac, der = entry.der }
      end
    end
    made = id_tokens.make(USUAL, wanted)
  end)

  local function new_flow(options)
    stage = stages.new()
    stage.now = NOW
    stage.io.random = function(count) return ("n"):rep(count) end
    stage.on.request = function(request)
      if request.method == "GET" then
        return stages.answer(made.jwks)
      end
      return stages.answer { access_token = "access-1", refresh_token = "refresh-1",
        expires_in = 3600, id_token = token }
    end
    options = options or {}
    options.scope = "openid"
    options.provider = options.provider or { issuer = ISSUER, token_url = ISSUER .. "/token",
      authorize_url = ISSUER .. "/authorize", jwks_url = ISSUER .. "/jwks",
      authorization_response_iss_parameter_supported = false }
    return stage:user_flow(options)
  end

  local function log_in(flow, name, entry)
    token = made.tokens[name]
    if entry.change then
      token = entry.change(token, made.tokens)
    end
    logins = logins + 1
    local _, pending = flow:get_authorize_url { state = "s" .. logins }
    return flow:exchange(stages.REDIRECT_URI .. "?code=c&state=s" .. logins, pending)
  end

  local function assert_refused(flow, name, entry)
    local info, err = log_in(flow, name, entry)
    assert.is_nil(info, name)
    assert.equal(REFUSED .. entry.problem, err.kind .. ": " .. err.message, name)
    assert.is_nil(stage.stored)
    assert.same({}, stage.logged)
  end

  for _, name in ipairs(sorted(GOOD)) do
    it(name .. " is believed", function()
      local flow = new_flow()
      assert(log_in(flow, name, GOOD[name]))
      assert.equal(token, stage.stored.id_token)
      assert.equal("alice", flow:id_token_claims().sub)
      assert.equal(2, #stage.requests)
    end)
  end

  for _, name in ipairs(sorted(FORGED)) do
    it(name .. " is refused #c", function() assert_refused(new_flow(), name, FORGED[name]) end)
  end

  for _, name in ipairs(sorted(TIMES)) do
    it(name .. " is judged by max_age", function()
      local flow = new_flow { max_age = 600 }
      if TIMES[name].problem then
        assert_refused(flow, name, TIMES[name])
      else
        assert(log_in(flow, name, TIMES[name]))
      end
    end)
  end

  for _, name in ipairs(sorted(TENANTS)) do
    it(name .. " is judged by the tenant that it names", function()
      for _, key in ipairs(made.jwks.keys) do
        key.issuer = key.kid == "es" and of_tenant(OTHER)
          or not TENANTS[name].problem and of_tenant "{tenantid}" or nil
      end
      local flow = new_flow { provider = tokencache.provider.microsoft }
      if TENANTS[name].problem then
        assert_refused(flow, name, TENANTS[name])
      else
        assert(log_in(flow, name, TENANTS[name]))
      end
    end)
  end

  it("is refused where its key is for another algorithm", function()
    for _, key in ipairs(made.jwks.keys) do
      key.alg = key.kid == "rs" and "PS256" or nil
    end
    assert_refused(new_flow(), "as it should be", { problem = NO_KEY })
  end)

  it("is believed where its key has nulls", function()
    for _, key in ipairs(made.jwks.keys) do
      key.alg, key.crv, key.issuer = null, key.crv or null, null
      key.use = key.use == "enc" and key.use or null
    end
    assert(log_in(new_flow(), "as it should be", {}))
  end)

  it("with any of its characters changed is refused #c", function()
    local flow, good = new_flow(), made.tokens["signed by PS256"]
    for i = 1, #good do
      local other = good:byte(i) == ("A"):byte() and "B" or "A"
      local info, err = log_in(flow, "signed by PS256", { change = function()
        return good:sub(1, i - 1) .. other .. good:sub(i + 1)
      end })
      assert.is_nil(info, i)
      assert.equal(REFUSED, (err.kind .. ": " .. err.message):sub(1, #REFUSED))
    end
  end)

  it("must come, where the scope has openid", function()
    local info, err = log_in(new_flow(), "as it should be", { change = function() end })
    assert.is_nil(info)
    assert.equal("protocol: the answer has no id_token, though the scope has openid; leave openid "
      .. "out if the provider has no OpenID Connect", err.kind .. ": " .. err.message)
  end)
end)
