-- Login by another device at a real authorization server. The person at the other device is played
-- by requests, or by a browser; the program's clock is moved, so that nobody waits.

local core = require "tokencache._core"
local json = require "tokencache.json"
local keep_log = require "support.keep_log"
local log = require "tokencache.log"
local loopback = require "support.loopback"
local merged = require "support.merged"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"
local tokencache = require "tokencache"

describe("a login by another device at a real server", function()
  local server, later, slept

  setup(function()
    server = oidc_provider.start()
  end)

  teardown(function()
    server:stop()
  end)

  before_each(function()
    later, slept = 0, nil
  end)

  after_each(function()
    log.set_logger(nil)
  end)

  --- Clocks that stand still but for sleeps, when `slept` is called; ahead of the real one, by
  --- which the transport keeps deadlines.
  local function clocks()
    local monotonic = core.monotonic() + 1000
    return {
      now = function() return core.now() + later end,
      monotonic = function() return monotonic + later end,
      sleep = function(seconds)
        later = later + seconds
        if slept then slept() end
      end,
    }
  end

  local function options(...)
    return server:options("public", { scope = "openid read", io = clocks() }, ...)
  end

  local function new(...)
    return tokencache.flow.device(options(...))
  end

  --- With a store in place of the cache.
  local function new_with_store(store, changes)
    local all = options({ store = store }, changes)
    all.cache = nil
    return tokencache.flow.device(all)
  end

  --- A flow whose user goes to the page while the program waits for the second time.
  local function with_user(does, ...)
    local naps, prompt = 0, nil
    slept = function()
      naps = naps + 1
      if naps == 2 then
        does(prompt)
      end
    end
    return new({ show = function(shown) prompt = shown end }, ...)
  end

  local function agree(prompt)
    assert.equal("Sign-in Success", server:login(prompt.verification_uri_complete))
  end

  local function deny(prompt)
    assert.equal("was interrupted", server:login(prompt.verification_uri_complete, { deny = true }))
  end

  local function expire(prompt)
    server:control("expire_device", nil, prompt.user_code)
  end

  local DEVICE = "urn:ietf:params:oauth:grant-type:device_code"

  it("brings a token, which is renewed", function()
    local cache = tokencache.cache.memory {}
    local flow = with_user(agree, { cache = cache })
    local before = server:token_requests()
    local first = assert(flow:get_token_info())
    assert.equal("alice", server:owner(first.access_token))
    assert.equal("openid read", first.scope)
    assert.same(first, cache:get_cached_token())
    assert.equal(before + 2, server:token_requests())
    assert.is_true(server:counts()[DEVICE] >= 2)
    later = later + 3600
    local second = assert(flow:get_token_info())
    assert.not_equal(first.access_token, second.access_token)
    assert.equal(first.authorized_at, second.authorized_at)
    assert.is_true(flow:log_out())
    assert.is_false(server:introspect(second.access_token).active)
  end)

  it("takes a client that has a secret", function()
    assert(with_user(agree, server.clients.confidential):get_access_token())
  end)

  it("is begun where the provider's issuer is all that is known", function()
    local provider = { provider = { issuer = server.url } }
    assert(with_user(agree, provider):get_access_token())
    local prompt, pending = new(provider):begin()
    agree(prompt)
    assert(new(provider):poll(pending))
  end)

  it("says what is wrong with an issuer", function()
    local others = { server.url .. "/", (server.url:gsub("127.0.0.1", "localhost")) }
    for _, issuer in ipairs(others) do
      for name, changes in pairs { device = {}, pkce = { redirect_uri = "http://127.0.0.1:0/" } } do
        local logged = keep_log()
        local _, err = tokencache.flow[name](options(changes, { provider = { issuer = issuer } }))
          :get_access_token()
        assert.equal("config", err.kind)
        assert.matches("is the document of another issuer, " .. server.url .. "; check issuer",
          err.message, 1, true)
        assert.same({}, logged)
      end
    end
  end)

  it("goes on when the server was away for a minute", function()
    local curl, nowhere = require("tokencache.transport.curl").new {}, loopback.free_port()
    local prompt, came_back, refused = nil, nil, 0
    local flow = new {
      show = function(shown) prompt = shown end,
      http = { request = function(_, request)
        if prompt and later < 60 then
          refused = refused + 1
          request.url = ("http://127.0.0.1:%d/token"):format(nowhere)
        elseif prompt and not came_back then
          came_back = later
          agree(prompt)
        end
        return curl:request(request)
      end },
    }
    assert(flow:get_access_token())
    assert.equal(3, refused) -- after 5, 15 and 35 seconds
    assert.near(75, came_back, 0.001) -- a sum of waits
  end)

  it("may be denied, or come too late", function()
    local token, err = with_user(deny):get_access_token()
    assert.is_nil(token)
    assert.same({ "denied", "access_denied" }, { err.kind, err.code })
    token, err = with_user(expire):get_access_token()
    assert.is_nil(token)
    assert.same({ "timeout", "expired_token" }, { err.kind, err.code })
  end)

  it("is a way to log in for other flows", function()
    for flow, client in pairs { pkce = "public", authorization_code = "confidential" } do
      local cache = tokencache.cache.memory {}
      local all = server:options(client, { scope = "openid read", io = clocks(), cache = cache,
        redirect_uri = "https://app.example/callback", login = { "browser", "device" },
        show = function(prompt)
          slept = function()
            slept = nil
            agree(prompt)
          end
        end })
      local info = assert(tokencache.flow[flow](all):get_token_info())
      assert.equal("alice", server:owner(info.access_token))
      assert.same(info, cache:get_cached_token())
    end
  end)

  describe("in two halves", function()
    it("is asked about until the user is done", function()
      local cache = tokencache.cache.memory {}
      local flow = new { cache = cache }
      local prompt, pending = flow:begin()
      assert.matches("^%u+%-%u+$", prompt.user_code)
      assert.equal(server.url .. "/device", prompt.verification_uri)
      assert.same({ 600, 5 }, { prompt.expires_in, prompt.interval })
      local before = server:token_requests()
      local info, err = flow:poll(pending)
      assert.is_nil(info)
      assert.same({ "transient", "authorization_pending", 5 },
        { err.kind, err.code, err.retry_after })
      agree(prompt)
      later = later + 4
      info, err = flow:poll(pending) -- too early
      assert.is_nil(info)
      assert.equal("authorization_pending", err.code)
      assert.is_true(err.retry_after > 0 and err.retry_after <= 1)
      assert.equal(before + 1, server:token_requests())
      later = later + 1
      info = assert(flow:poll(pending))
      assert.equal("alice", server:owner(info.access_token))
      assert.same(info, cache:get_cached_token())
      assert.equal(info.access_token, flow:get_access_token())
      info, err = flow:poll(pending)
      assert.is_nil(info)
      assert.equal("state", err.kind)
      assert.equal(before + 2, server:token_requests())
    end)

    it("belongs to the account that the program names", function()
      local store = tokencache.store.memory {}
      local flow = new_with_store(store)
      local function finish(key, user)
        local prompt, pending = flow:begin()
        server:login(prompt.verification_uri_complete, { user = user })
        return flow:poll(pending, key)
      end
      for key, user in pairs { anna = "anna", [{ "users", "ben" }] = "ben" } do
        local info = assert(finish(key, user))
        assert.equal(user, server:owner(flow:account(key):get_access_token()))
        assert.equal(info.access_token, flow:account(key):get_access_token())
      end
      local info = assert(finish(function(came) return server:owner(came.access_token) end, "carl"))
      assert.equal(info.access_token, flow:account("carl"):get_access_token())

      local revoked
      local none, err = finish(function(came)
        revoked = came.access_token
        return nil, "not invited"
      end, "dora")
      assert.is_nil(none)
      assert.matches("^poll: the key's function returned no key: not invited; the login was revo",
        tostring(err))
      assert.is_false(server:introspect(revoked).active)

      local prompt, pending = flow:begin()
      server:login(prompt.verification_uri_complete)
      local handler = tokencache.cache.memory {}
      assert.same(assert(flow:account(handler):poll(pending)), handler:get_cached_token())
      assert.error_matches(function() flow:poll(pending) end, "poll: key is required")
      assert.error_matches(function() new():poll(pending, "anna") end, "leave the key out")
    end)

    it("is kept by another process under a key of the program's", function()
      local sealed = { pending_key = "sixteen bytes or more" }
      local prompt, pending = new(sealed):begin()
      assert.is_nil(pending:find("public", 1, true))
      agree(prompt)
      local output = select(2, process.run(process.lua([[
        local json, tokencache = require "tokencache.json", require "tokencache"
        local options, pending = ...
        options = json.decode(options)
        options.cache = tokencache.cache.memory {}
        print(json.encode(assert(tokencache.flow.device(options):poll(pending))))
      ]], json.encode { provider = server.provider, client_id = "public",
        pending_key = sealed.pending_key }, pending)))
      assert.equal("alice", server:owner(json.decode(output).access_token))
    end)

    it("takes nothing but what begin returned", function()
      local sealed = { pending_key = "sixteen bytes or more" }
      local _, pending = new():begin()
      local _, closed = new(sealed):begin()
      local before = server:token_requests()
      local _, of_code = tokencache.flow.pkce(options { redirect_uri = "http://127.0.0.1/" })
        :get_authorize_url()
      for _, case in ipairs {
        { new(), "", "malformed" }, { new(), "{}", "malformed" }, { new(), of_code, "malformed" },
        { new(), closed, "malformed" }, { new(sealed), pending, "altered" },
        { new(sealed), closed:sub(1, -2), "altered" },
        { new { pending_key = "another of sixteen" }, closed, "another pending_key" },
        { new { client_id = "confidential" }, pending, "another client_id" },
        { new { provider = merged(server.provider, { issuer = "https://other.example" }) }, pending,
          "another client_id or issuer" },
      } do
        local info, err = case[1]:poll(case[2])
        assert.is_nil(info)
        assert.equal("state", err.kind)
        assert.matches(case[3], tostring(err))
      end
      assert.equal(before, server:token_requests())
      assert.error_matches(function() new():poll() end, "pending must be a string, not nil")
    end)

    it("is over where it was denied, and where it came too late", function()
      for kind, does in pairs { denied = deny, timeout = expire } do
        local flow = new()
        local prompt, pending = flow:begin()
        does(prompt)
        local info, err = flow:poll(pending)
        assert.is_nil(info)
        assert.equal(kind, err.kind)
        assert.is_nil(err.retry_after)
        info, err = flow:poll(pending)
        assert.is_nil(info)
        assert.equal("state", err.kind)
      end
    end)

    it("is saved later where its store fails", function()
      local logged = keep_log()
      local fails, saved = true, nil
      local flow = new { cache = {
        get_cached_token = function() return saved end,
        save_token_to_cache = function(_, info)
          if fails then return nil, "the disk is full" end
          saved = info
          return true
        end,
      } }
      local prompt, pending = flow:begin()
      agree(prompt)
      local info = assert(flow:poll(pending))
      assert.matches("could not be saved", table.concat(logged, "\n"))
      fails = false
      assert.equal(info.access_token, flow:get_access_token())
      assert.equal(info.access_token, saved.access_token)
    end)

    it("asks nobody where the cache refuses", function()
      local flow = new { cache = {
        get_cached_token = function() end, save_token_to_cache = function() end,
        refusal = function() return { kind = "config", message = "not in this phase" } end,
      } }
      local _, pending = new():begin()
      local before = server:token_requests()
      assert.is_nil((flow:poll(pending)))
      assert.equal(before, server:token_requests())
    end)
  end)
end)
