-- What becomes of a provider's metadata: how long it serves, who asks for it anew and when, and
-- where it is kept. Provider, clock and store are played here; with a real one: discovery_spec.

local discovery = require "tokencache.discovery"
local errors = require "tokencache.error"
local issuers = require "support.issuers"
local json = require "tokencache.json"
local log = require "tokencache.log"
local logins = require "support.logins"
local merged = require "support.merged"
local real_stores = require "support.real_stores"
local stages = require "support.stage"
local table_store = require "support.table_store"
local tokencache = require "tokencache"

local ISSUER = issuers.ISSUER
local DAY = 86400

local new_provider, new_stage, options = issuers.new_provider, issuers.new_stage, issuers.options

after_each(function() log.set_logger(nil) end)

local function gone()
  return stages.answer({}, 404)
end

local function at(seconds, stage)
  stage.now, stage.monotonic = stage.now + seconds, stage.monotonic + seconds
end

describe("a provider's metadata", function()
  it("is where OpenID Connect has it, or else where RFC 8414 does", function()
    local issuer = ISSUER .. "/tenant"
    local provider = new_provider()
    local place = ISSUER .. "/.well-known/oauth-authorization-server/tenant"
    provider.documents[place] = { issuer = issuer, token_endpoint = ISSUER .. "/t" }
    local stage = new_stage(provider)
    assert(stage:flow { provider = { issuer = issuer } }:get_access_token())
    assert.same({ issuer .. "/.well-known/openid-configuration", place }, provider.asked)
    assert.same({ ISSUER .. "/t" }, provider.sent)
  end)

  it("is away where one of its places is, and in none before", function()
    local provider = new_provider()
    provider.on = function(request)
      return stages.answer({}, request.url == issuers.PLACE and 404 or 503)
    end
    local _, err = new_stage(provider):flow(options()):get_access_token()
    assert.equal("transient", err.kind)
  end)

  it("is found where the issuer ends in a slash, which is part of its name", function()
    local provider = new_provider { issuer = ISSUER .. "/" }
    local stage = new_stage(provider)
    assert(stage:flow { provider = { issuer = ISSUER .. "/" } }:get_access_token())
    local _, err = new_stage(provider):flow(options()):get_access_token()
    assert.equal("config", err.kind)
    assert.matches("another issuer, https://login.example/; check issuer", err.message, 1, true)
  end)

  it("is asked for before the lock is taken, and not for a token that is there", function()
    local stage = new_stage(new_provider())
    local flow = stage:flow(options())
    assert(flow:get_access_token())
    assert.equal("load request try_lock load request save unlock", stage:acts())
    assert(flow:get_access_token())
    assert.equal("load", stage:acts())
  end)

  it("serves for a day, through an outage, and is asked for once a minute then", function()
    local provider = new_provider()
    local stage = new_stage(provider)
    local flow = stage:flow(options())
    local function get(after, asked)
      at(after, stage)
      assert(flow:get_access_token { check_cache = false })
      assert.equal(asked, #provider.asked)
    end
    get(0, 1)
    get(DAY - 1, 1)
    get(2, 2)
    provider.on = function() return stages.answer({}, 503) end
    get(DAY, 3)
    get(59, 3)
    get(2, 4)
    assert.equal(1, #stage.logged)
    assert.matches("^warning .*503", stage.logged[1])
    provider.on = nil
    provider.say { token_endpoint = ISSUER .. "/new" }
    get(61, 5)
    assert.equal(ISSUER .. "/new", provider.sent[#provider.sent])
    get(DAY - 1, 5)
  end)

  for what, answer in pairs {
    ["is gone"] = gone,
    ["is a page"] = function() return { status = 200, headers = {}, body = "<html>" } end,
    ["is that of another issuer"] = function()
      return stages.answer { issuer = "https://other.example", token_endpoint = ISSUER .. "/other" }
    end,
    ["redirects"] = function() return { status = 302, headers = {}, body = "" } end,
    ["is too large"] = function()
      return nil, errors.new("protocol", "larger than 1048576 bytes")
    end,
    ["is too slow"] = function() return nil, errors.new("timeout", "no answer") end,
  } do
    it("serves on where what is in its place by now " .. what, function()
      local provider = new_provider()
      local stage = new_stage(provider)
      local flow = stage:flow(options())
      assert(flow:get_access_token())
      provider.on = answer
      at(DAY, stage)
      assert(flow:get_access_token { check_cache = false })
      assert.same({ ISSUER .. "/token", ISSUER .. "/token" }, provider.sent)
      assert.matches("^warning what was known of the provider before goes on to serve: ",
        stage.logged[1])
    end)
  end

  it("counts as old where the clock was put back", function()
    local provider = new_provider()
    local stage = new_stage(provider)
    local flow = stage:flow(options())
    assert(flow:get_access_token())
    stage.now, stage.monotonic = stage.now - 1000, stage.monotonic + 100
    assert(flow:get_access_token { check_cache = false })
    assert.equal(2, #provider.asked)
  end)

  it("is asked for by one of those who wait, whose failure all of them get", function()
    local provider = new_provider()
    local stage = new_stage(provider)
    stage.on.sleep = coroutine.yield
    local answer
    provider.on = function()
      coroutine.yield()
      return answer
    end
    for _, expected in ipairs { "transient", "token" } do
      answer = expected == "token" and stages.answer(provider.documents[issuers.PLACE])
        or stages.answer({}, 503)
      local outcomes, running = {}, {}
      for i = 1, 5 do
        running[i] = coroutine.create(function()
          local flow = stage:flow(options { cache = tokencache.cache.memory {} })
          local token, err = flow:get_access_token()
          outcomes[i] = token and "token" or err.kind
        end)
      end
      for _ = 1, 20 do
        for _, thread in ipairs(running) do
          if coroutine.status(thread) ~= "dead" then
            assert(coroutine.resume(thread))
          end
        end
      end
      assert.same({ expected, expected, expected, expected, expected }, outcomes)
      assert.equal(1, #provider.asked)
      provider.asked = {}
    end
  end)

  it("is not waited for where one may not wait", function()
    local provider = new_provider()
    local stage = new_stage(provider)
    provider.on = coroutine.yield
    local asking = coroutine.create(function() stage:flow(options()):get_access_token() end)
    assert(coroutine.resume(asking))
    stage.io.refusal = function() return { kind = "config", message = "not here" } end
    for _, state in ipairs { "another asks", "nobody asks" } do
      local _, err = stage:flow(options()):get_access_token()
      assert.equal("not here", err.message, state)
      at(20, stage)
    end
    assert.same({}, stage.slept)
    assert.equal(1, #provider.asked)
  end)

  it("is asked for anew where the coroutine that asked was dropped", function()
    local provider = new_provider()
    local stage = new_stage(provider)
    provider.on = coroutine.yield
    local dropped = coroutine.create(function() stage:flow(options()):get_access_token() end)
    assert(coroutine.resume(dropped))
    provider.on = nil
    assert(stage:flow(options()):get_access_token())
    assert.equal(2, #provider.asked)
    assert.is_true(stage.monotonic < 50 + 21)
  end)

  it("does not keep a token from serving that has seconds left, nor lose a login", function()
    local provider = new_provider()
    provider.on = function() return stages.refuse() end
    local stage = new_stage(provider, { lock = true,
      token_info = merged(logins.LOGIN, { expires_at = 1030 }) })
    local flow = stage:user_flow(options())
    assert.equal("old", flow:get_access_token())
    at(60, stage)
    local _, err = flow:get_access_token()
    assert.equal("transient", err.kind)
    assert.equal("load request load request", stage:acts())
    provider.on = nil
    assert.equal("access-1", flow:get_access_token())
    assert.matches("refresh_token=refresh-1", stage.requests[#stage.requests].body, 1, true)
  end)

  it("is needed for a login; an answer that came meanwhile can be brought again", function()
    local provider = new_provider()
    local stage = new_stage(provider)
    local flow = stage:user_flow(options())
    provider.on = function() return stages.refuse() end
    local url, err = flow:get_authorize_url()
    assert.is_nil(url)
    assert.equal("transient", err.kind)
    provider.on = nil
    local pending
    url, pending = flow:get_authorize_url()
    assert.matches("^https://login%.example/authorize%?client_id=", url)
    local response = stages.REDIRECT_URI .. "?code=c&" .. url:match("state=[^&]+")
    local another = new_stage(provider):user_flow(options())
    provider.on = function() return stages.refuse() end
    local info
    info, err = another:exchange(response, pending)
    assert.is_nil(info)
    assert.equal("transient", err.kind)
    provider.on = nil
    assert(another:exchange(response, pending))
  end)
end)

describe("an endpoint that is not there any more", function()
  for name, answer in pairs { ["404"] = gone, ["no connection"] = stages.refuse,
    ["405"] = function() return stages.answer({}, 405) end,
    ["410"] = function() return stages.answer({}, 410) end } do
    it("is looked for anew in the same call: " .. name, function()
      local provider = new_provider()
      local stage = new_stage(provider, { lock = "extendable" })
      local flow = stage:flow(options())
      assert(flow:get_access_token())
      at(61, stage)
      provider.gone[ISSUER .. "/token"] = answer
      provider.say { token_endpoint = ISSUER .. "/new",
        token_endpoint_auth_methods_supported = { "client_secret_post" } }
      assert(flow:get_access_token { check_cache = false })
      assert.same({ ISSUER .. "/token", ISSUER .. "/token", ISSUER .. "/new" }, provider.sent)
      assert.matches("client_secret=", stage.requests[#stage.requests].body, 1, true)
      assert.same({ 0.25 }, stage.slept)
    end)
  end

  it("is looked for once a minute at most", function()
    local provider = new_provider()
    local stage = new_stage(provider)
    local flow = stage:flow(options())
    provider.gone[ISSUER .. "/token"] = gone
    for _ = 1, 10 do
      local _, err = flow:get_access_token()
      assert.equal("config", err.kind)
      at(10, stage)
    end
    assert.equal(2, #provider.asked)
  end)

  it("is looked for before it is needed next, where it is that of revocation", function()
    local provider = new_provider { revocation_endpoint = ISSUER .. "/revoke" }
    local stage = new_stage(provider, { lock = true, token_info = logins.LOGIN })
    local flow = stage:user_flow(options())
    provider.gone[ISSUER .. "/revoke"] = gone
    assert.equal("denied", select(2, flow:log_out()).kind)
    at(61, stage)
    provider.say { revocation_endpoint = ISSUER .. "/away" }
    stage.stored = logins.LOGIN
    assert.same({ true }, { flow:log_out() })
    assert.equal(ISSUER .. "/away", provider.sent[#provider.sent])
    assert.equal(2, #provider.asked)
  end)

  it("is no matter to a log out where the provider has none", function()
    local stage = new_stage(new_provider(), { lock = true, token_info = logins.LOGIN })
    assert.same({ true }, { stage:user_flow(options()):log_out() })
    assert.is_nil(stage.stored)
  end)
end)

describe("the keys of a provider", function()
  local KEYS = ISSUER .. "/keys"

  it("are kept likewise, and asked for anew every ten seconds at most", function()
    local provider = new_provider { jwks_uri = KEYS }
    provider.documents[KEYS] = { keys = { { kid = "one" }, "no key", { kid = "two" } } }
    local stage = new_stage(provider)
    local flow = stage:user_flow(options())
    local function kids(anew)
      local list = {}
      local keys, err, wait = discovery.keys(flow, stage.monotonic + 10, anew)
      for i, key in ipairs(assert(keys, err)) do
        list[i] = key.kid
      end
      return table.concat(list, " ") .. (wait and " for " .. wait or "")
    end
    assert.equal("one two", kids())
    provider.documents[KEYS] = { keys = { { kid = "three" } } }
    at(4, stage)
    assert.equal("one two for 6", kids(true))
    at(6, stage)
    assert.equal("one two", kids())
    assert.equal("three", kids(true))
    at(61, stage)
    provider.say { jwks_uri = KEYS .. "2" }
    provider.documents[KEYS .. "2"] = { keys = { { kid = "four" } } }
    assert.equal("four", kids(true))
    at(DAY, stage)
    provider.on = function() return stages.refuse() end
    assert.equal("four", kids())
  end)

  it("of another process, seconds old, are not those of now", function()
    local provider, store = new_provider { jwks_uri = KEYS }, tokencache.store.memory {}
    provider.documents[KEYS] = { keys = { { kid = "one" } } }
    local flow = new_stage(provider):user_flow(options { store = store })
    assert(discovery.keys(flow, 60))
    local stage = new_stage(provider)
    local other = stage:user_flow(options { store = store })
    at(4, stage)
    provider.documents[KEYS] = { keys = { { kid = "two" } } }
    local keys, _, wait = discovery.keys(other, 60, true)
    assert.same({ "one", 6 }, { keys[1].kid, wait })
    at(6, stage)
    assert.equal("two", discovery.keys(other, 70, stage.monotonic - 6)[1].kid)
  end)

  it("need an address", function()
    local flow = new_stage(new_provider()):user_flow(options())
    local keys, err = discovery.keys(flow, flow.io.monotonic() + 10)
    assert.is_nil(keys)
    assert.matches("names no jwks_uri; give jwks_url in provider", err.message, 1, true)
  end)
end)

describe("the copy in a store", function()
  local function new(provider, store, changes)
    local stage = new_stage(provider)
    stage.now = 1000.7
    return stage:flow(options(merged({ store = store }, changes))), stage
  end

  it("serves another process, for a day and while the provider is away", function()
    local provider, store = new_provider(), tokencache.store.memory {}
    assert(new(provider, store):account("a"):get_access_token())
    assert(new(provider, store):account("b"):get_access_token())
    assert.equal(1, #provider.asked)
    local flow, stage = new(provider, store)
    provider.on = function() return stages.refuse() end
    at(2 * DAY, stage)
    assert(flow:account("c"):get_access_token())
    assert.equal(2, #provider.asked)
  end)

  it("is not made of a document that is large", function()
    local provider, store = new_provider { more = ("x"):rep(65536) }, tokencache.store.memory {}
    assert(new(provider, store):account("a"):get_access_token())
    assert(new(provider, store):account("b"):get_access_token())
    assert.equal(2, #provider.asked)
  end)

  it("does not count as new because another process asked since", function()
    local provider, store = new_provider(), tokencache.store.memory {}
    local flow, stage = new(provider, store)
    local other, other_stage = new(provider, store)
    assert(flow:account("a"):get_access_token())
    at(100, other_stage)
    assert(discovery.ensure(other, other_stage.monotonic + 10, true))
    at(200, stage)
    provider.gone[ISSUER .. "/token"] = gone
    provider.say { token_endpoint = ISSUER .. "/new" }
    assert(flow:account("a"):get_access_token { check_cache = false })
    assert.equal(3, #provider.asked)
  end)

  local real = real_stores.use()

  for _, name in ipairs { "file", "Redis", "memcached", "encrypted file", "memory before Redis" } do
    it("is no account in " .. name, function()
      local provider, store = new_provider(), real.new[name]()
      local flow = new(provider, store)
      assert(flow:account("a"):get_access_token())
      assert(new(provider, store):account("b"):get_access_token())
      assert.equal(1, #provider.asked)
      local keys = store.keys and {} or { "a", "b" }
      for key in store.keys and flow:accounts() or function() end do
        keys[#keys + 1] = key
      end
      table.sort(keys)
      assert.same({ "a", "b" }, keys)
    end)
  end

  it("is taken from nobody who does not know the client's secret", function()
    local provider, store = new_provider(), table_store()
    assert(new(provider, store):account("a"):get_access_token())
    assert(new(provider, store):account("b"):get_access_token())
    local place
    for key, bytes in pairs(store.entries) do
      if not bytes:find("access_token", 1, true) then
        place = key
        assert.is_nil(bytes:find("login.example", 1, true))
      end
    end
    local planted = json.encode { issuer = ISSUER, token_endpoint = "https://evil.example/t" }
    for _, bytes in ipairs { "1000\n" .. planted, store.entries[place]:sub(2), "", "1000\n{", 7 } do
      provider.asked, provider.sent, store.entries[place] = {}, {}, bytes
      assert(new(provider, store):account("c"):get_access_token { check_cache = false })
      assert.equal(1, #provider.asked)
      assert.same({ ISSUER .. "/token" }, provider.sent)
    end
  end)

  it("is not there for a client without a secret", function()
    local provider, store = new_provider(), table_store()
    local stage = new_stage(provider)
    local flow = tokencache.flow.pkce(options { client_id = "a", store = store, http =
      stage.transport, io = stage.io, redirect_uri = stages.REDIRECT_URI, authorize = false })
    assert(flow:get_authorize_url())
    assert.same({}, store.entries)
  end)

  it("costs nothing but a request where the store is away", function()
    local provider = new_provider()
    local function fail() return nil, "away" end
    local store = { get = fail, set = fail }
    local flow, stage = new(provider, store)
    assert(flow:_endpoint "token_url")
    assert.equal(1, #stage.logged)
    assert.matches("could not be kept in the store: .*away", stage.logged[1])
  end)
end)
