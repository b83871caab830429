-- get_access_token { login = true }: the user logs in, whatever the cache holds.

local folder = require "support.folder"
local logins = require "support.logins"
local stages = require "support.stage"
local tokencache = require "tokencache"

local cache, store = tokencache.cache, tokencache.store
local FRESH = { access_token = "fresh", refresh_token = "refresh", expires_at = 9000,
  authorized_at = 500 }

local stage, asked

before_each(function()
  stage, asked = stages.new(), 0
end)

local function authorize()
  asked = asked + 1
  return stages.REDIRECT_URI .. "?code=the-code&state=s"
end

local function flow_over(options)
  options.authorize = options.authorize == nil and authorize or options.authorize
  options.state = "s"
  return stage:user_flow(options)
end

--- A login whose token serves for long is replaced.
local function expect_login(account, saved)
  assert.equal("fresh", account:get_access_token())
  assert.equal(0, asked)
  assert.equal("access-1", account:get_access_token { login = true })
  assert.equal(1, asked)
  assert.matches("grant_type=authorization_code&code=the%-code", stage.requests[1].body)
  assert.equal("access-1", account:get_access_token())
  assert.equal("access-1", saved().access_token)
  assert.equal(1000, saved().authorized_at)
  local info = account:get_token_info { login = true, check_cache = false, timeout = 5 }
  assert.equal("access-2", info.access_token)
  assert.equal(2, asked)
end

describe("a login that is asked for", function()
  local dir

  setup(function() dir = folder.new() end)
  teardown(function() dir:remove() end)

  local function new_folder(name)
    dir:shell("mkdir " .. name)
    return dir:file(name)
  end

  for what, new in pairs {
    memory = function() return cache.memory() end,
    ["a file"] = function() return cache.file { cache_path = dir:file("cache") } end,
    ["a session"] = function() return cache.flask_session { session = {} } end,
    ["a store"] = function() return cache.from_store(store.memory(), "key") end,
    ["a file store"] = function()
      return cache.from_store(store.file { directory = new_folder "store" }, "key")
    end,
    ["two tiers"] = function()
      return cache.tiered { front = cache.memory(),
        back = cache.file { cache_path = dir:file("back") } }
    end,
    ["a handler of the user's"] = function() return stage.handler end,
  } do
    it("replaces one that serves, in " .. what, function()
      local handler = new()
      assert(handler:save_token_to_cache(FRESH))
      expect_login(flow_over { cache = handler }, function() return handler:get_cached_token() end)
    end)
  end

  for what, new in pairs {
    memory = function() return store.memory() end,
    files = function() return store.file { directory = new_folder "accounts" } end,
    ["two tiers"] = function()
      return store.tiered { front = store.memory(), back = store.memory() }
    end,
  } do
    it("replaces that of one account, in " .. what, function()
      local kept = new()
      local flow = flow_over { store = kept }
      for _, key in ipairs { "a", "b" } do
        assert(cache.from_store(kept, key):save_token_to_cache(FRESH))
      end
      expect_login(flow:account "a", function()
        return cache.from_store(kept, "a"):get_cached_token()
      end)
      assert.equal("fresh", flow:account("b"):get_access_token())
    end)
  end

  it("takes the lock, and asks neither for what is there nor for its renewal", function()
    local locked = stages.new { lock = true, token_info = logins.LOGIN }
    local flow = locked:user_flow { state = "s", authorize = authorize }
    assert.equal("access-1", flow:get_access_token { login = true })
    assert.equal("try_lock request save unlock", locked:acts())
  end)

  it("works without a cache that can be read", function()
    stage.on.load = function() return nil, "the cache is away" end
    assert.equal("access-1", flow_over {}:get_access_token { login = true })
  end)

  it("is the implicit grant's too", function()
    stage.stored = FRESH
    local flow = tokencache.flow.implicit { provider = { authorize_url = "https://login.example/" },
      client_id = stages.CLIENT_ID, redirect_uri = stages.REDIRECT_URI, state = "s",
      cache = stage.handler, io = stage.io, authorize = function()
        return stages.REDIRECT_URI .. "#access_token=given&state=s&token_type=Bearer&expires_in=60"
      end }
    assert.equal("fresh", flow:get_access_token())
    assert.equal("given", flow:get_access_token { login = true })
    assert.equal("given", stage.stored.access_token)
  end)

  it("leaves what is there where the user does not log in", function()
    stage.stored = FRESH
    local flow = flow_over { authorize = function() return nil, "not now" end }
    local token, err = flow:get_access_token { login = true }
    assert.is_nil(token)
    assert.equal("denied", err.kind)
    assert.equal(0, #stage.requests)
    assert.equal("fresh", flow:get_access_token())
  end)

  it("asks the user also where it has waited for another login", function()
    stage.stored = FRESH
    local turns = {}
    stage.io.log_in = function(_, turn)
      turns[#turns + 1] = turn and "its turn" or "waits"
      if not turn then
        return nil, nil, { close = function() turns[#turns + 1] = "closed" end }
      end
      return { code = "c", redirect_uri = stages.REDIRECT_URI }, nil, turn
    end
    assert.equal("access-1", flow_over {}:get_access_token { login = true })
    assert.same({ "waits", "its turn", "closed" }, turns)
  end)

  it("is one of kind reauthorize where users are not asked", function()
    stage.stored = FRESH
    local token, err = flow_over { authorize = false }:get_access_token { login = true }
    assert.is_nil(token)
    assert.equal("reauthorize", err.kind)
    assert.equal("a login was asked for, but users are not asked here; the user must log in",
      tostring(err))
    assert.equal("fresh", flow_over { authorize = false }:get_access_token { login = false })
  end)

  it("is refused where no user logs in, and beside the answer to a login", function()
    assert.has_error(function() stage:flow():get_access_token { login = true } end,
      "get_access_token: no user logs in to this flow; leave login out")
    assert.has_error(function() flow_over {}:get_token_info { login = true, code = "c" } end,
      "get_token_info: pass login or the answer to one, not both")
    assert.has_error(function() flow_over {}:get_access_token { login = 1 } end,
      "get_access_token: login must be a boolean, not a number")
  end)
end)
