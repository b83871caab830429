-- Handlers, transports and sleeps that yield, as they do inside nginx: on Lua 5.1 and LuaJIT too,
-- where nothing can yield through a C function or a pcall.

local cache = require("tokencache").cache
local folder = require "support.folder"
local log = require "tokencache.log"
local logins = require "support.logins"
local merged = require "support.merged"
local stages = require "support.stage"
local threads = require "support.threads"
local tokencache = require "tokencache"

local EXPIRED = { access_token = "expired", expires_at = 990 }

after_each(function()
  log.set_logger(nil)
end)

describe("each action may yield", function()
  it("in a call that meets them all", function()
    local stage = stages.new { lock = true, token_info = EXPIRED }
    stage.yields = true
    stage.holder = "another"
    stage.on.sleep = function()
      stage.holder, stage.on.sleep = nil, nil
    end
    stage.on.request = function()
      stage.on.request = nil
      return stages.answer({}, 503)
    end
    local flow = stage:flow()
    local yielded, token = threads.run(function() return flow:get_access_token() end)
    assert.equal("access-1", token)
    assert.equal("load try_lock sleep load try_lock load request sleep request save unlock",
      yielded)
    yielded, token = threads.run(function() return flow:get_access_token() end)
    assert.equal("access-1", token)
    assert.equal("load", yielded)
    yielded, token = threads.run(function() return flow:get_token_info { check_cache = false } end)
    assert.equal("access-2", token.access_token)
    assert.equal("load try_lock request save unlock", yielded)
  end)

  it("in a call that fails, and in the one that makes up for it", function()
    local stage = stages.new { lock = true }
    stage.yields = true
    stage.on.request = stages.refuse
    local flow = stage:flow()
    local yielded, token, err = threads.run(function() return flow:get_access_token() end)
    assert.equal("load try_lock load request sleep request sleep request unlock", yielded)
    assert.is_nil(token)
    assert.equal("transient", err.kind)

    stage.on.request = nil
    stage.on.save = function() return nil, "the disk is full" end
    yielded, token = threads.run(function() return flow:get_access_token() end)
    assert.equal("load try_lock load request save unlock", yielded)
    assert.equal("access-1", token)

    stage.on.save = nil
    yielded, token = threads.run(function() return flow:get_access_token() end)
    assert.equal("try_lock load save unlock", yielded)
    assert.equal("access-1", token)
  end)

  it("in a constructor", function()
    local stage = stages.new()
    log.set_logger(function(level) coroutine.yield(level) end)
    local yielded, flow = threads.run(function()
      return tokencache.flow.pkce {
        client_id = "an-id", redirect_uri = "https://app.example/callback",
        cache = stage.handler,
        provider = {
          token_url = "https://login.example/token",
          authorize_url = "https://login.example/authorize",
          check_redirect_uri = function(url)
            coroutine.yield("check " .. url.host)
            return "not there"
          end,
        },
        io = { transport = function()
          coroutine.yield("transport")
          return stage.transport
        end },
      }
    end)
    assert.equal("transport check app.example warning", yielded)
    assert.equal(stage.transport, flow.transport)
  end)

  it("in a logger", function()
    local stage = stages.new()
    stage.on.load = function() return nil, "away" end
    log.set_logger(function(level) coroutine.yield(level) end)
    local flow = stage:flow()
    local yielded, token = threads.run(function() return flow:get_access_token() end)
    assert.equal("warning", yielded)
    assert.equal("access-1", token)
  end)

  it("and be left there for good", function()
    local stage = stages.new { lock = true }
    stage.yields = true
    local flow = stage:flow()
    for _ = 1, 3 do
      local thread = coroutine.create(function() return flow:get_access_token() end)
      repeat
        local _, action = coroutine.resume(thread)
      until action == "request"
      stage.holder = nil
    end
    collectgarbage()
    collectgarbage()
    stage.yields = false
    assert.equal("access-1", flow:get_access_token())
  end)
end)

describe("coroutines that share a flow", function()
  local function many(flow, count, each)
    local all = {}
    for i = 1, count do
      all[i] = coroutine.create(function()
        local token, err = flow:get_access_token()
        each(token, err)
      end)
    end
    return all
  end

  local function in_turn()
    local turn = 0
    return function(count)
      turn = turn % count + 1
      return turn
    end
  end

  it("with a lock make one request between them", function()
    for seed = 1, 30 do
      local stage = stages.new { lock = true, token_info = EXPIRED }
      stage.yields = true
      local tokens = {}
      threads.interleave(many(stage:flow(), 8, function(token)
        tokens[#tokens + 1] = token
      end), threads.random_numbers(seed))
      assert.equal(1, #stage.requests, "seed " .. seed)
      assert.equal(8, #tokens)
      for _, token in ipairs(tokens) do
        assert.equal("access-1", token)
      end
      assert.is_nil(stage.holder)
    end
  end)

  it("with a lock make one request between them where that fails, too", function()
    local stage = stages.new { lock = true, token_info = EXPIRED }
    stage.yields = true
    stage.on.request = function() return stages.answer({ error = "invalid_client" }, 401) end
    local kinds = {}
    threads.interleave(many(stage:flow { timeout = 1000 }, 60, function(_, err)
      kinds[#kinds + 1] = err.kind
    end), in_turn())
    assert.equal(1, #stage.requests)
    assert.equal(("config "):rep(60), table.concat(kinds, " ") .. " ")
    assert.is_nil(stage.holder)
  end)

  it("with a lock do not fail by the failure of another client", function()
    for _, difference in ipairs {
      { client_id = "another" }, { client_secret = "another" },
      { provider = { token_url = "https://login.example/another" } },
      { token_endpoint_auth_method = "client_secret_post" },
    } do
      local stage = stages.new { lock = true, token_info = EXPIRED }
      stage.yields = true
      stage.on.request = function()
        assert(stage:acts():find "try_lock .*try_lock") -- the other waits for the lock
        stage.on.request = nil
        return stages.answer({ error = "invalid_client" }, 401)
      end
      local results = {}
      local function note(token, err)
        results[#results + 1] = token or err.kind
      end
      local one, another = stage:flow(), stage:flow(difference)
      threads.interleave({ many(one, 1, note)[1], many(another, 1, note)[1] }, in_turn())
      assert.same({ "config", "access-1" }, results)
    end
  end)

  it("without a lock each get a token, and a fresh one stays", function()
    for seed = 1, 30 do
      local stage = stages.new { token_info = EXPIRED }
      stage.yields = true
      local flow = stage:flow()
      local count = 0
      threads.interleave(many(flow, 8, function(token)
        assert.matches("^access%-%d$", token)
        count = count + 1
      end), threads.random_numbers(seed))
      assert.equal(8, count)
      stage.yields = false
      stage:acts()
      assert.equal(stage.stored.access_token, flow:get_access_token(), "seed " .. seed)
      assert.equal("load", stage:acts())
    end
  end)

  it("lose no token when saves fail now and then", function()
    for seed = 1, 30 do
      local stage = stages.new { token_info = EXPIRED }
      local random = threads.random_numbers(seed)
      stage.yields = true
      stage:fail_some_saves(random)
      local flow = stage:flow()
      local count = 0
      threads.interleave(many(flow, 5, function(token)
        assert.matches("^access%-%d$", token)
        count = count + 1
      end), random)
      assert.equal(5, count)
      stage.yields, stage.on.save = false, nil
      local requests = #stage.requests
      stage.monotonic = stage.monotonic + 60 -- after four attempts there is a pause
      assert.matches("^access%-%d$", (flow:get_access_token()))
      assert.matches("^access%-%d$", stage.stored.access_token)
      assert.equal(requests, #stage.requests, "seed " .. seed)
    end
  end)

  it("keep their deadlines apart", function()
    local stage = stages.new()
    stage.yields = true
    local flow = stage:flow()
    local long = coroutine.create(function() return flow:get_access_token { timeout = 9 } end)
    local short = coroutine.create(function() return flow:get_access_token { timeout = 2 } end)
    for _ = 1, 2 do
      coroutine.resume(long)
      stage.monotonic = stage.monotonic + 1
      coroutine.resume(short)
    end
    assert.same({ 59, 53 }, { stage.requests[1].deadline, stage.requests[2].deadline })
    assert.same({ 8, 1 }, { stage.requests[1].timeout, stage.requests[2].timeout })
  end)
end)

describe("200 coroutines over one expired login", function()
  local dir

  setup(function() dir = folder.new() end)
  teardown(function() dir:remove() end)

  --- Each refresh token works once; a second use would end the login.
  local function serve_once_each(stage)
    local newest = logins.LOGIN.refresh_token
    stage.on.request = function(request)
      if logins.sent({ requests = { request } }) ~= newest then
        return logins.dead()
      end
      newest = "refresh-" .. #stage.requests + 1
      return stages.answer { access_token = "access-" .. #stage.requests, expires_in = 3600,
        refresh_token = newest }
    end
  end

  local memory
  local caches = {
    memory = function() return memory end,
    file = function() return cache.file { cache_path = dir:file("token") } end,
  }
  for name, new_cache in pairs(caches) do
    it("in the " .. name .. " handler renew it once, whatever their order", function()
      for seed = 1, 5 do
        memory = cache.memory()
        assert(new_cache():save_token_to_cache(merged(logins.LOGIN)))
        local stage, coroutines, tokens = stages.new(), {}, {}
        stage.yields = true
        serve_once_each(stage)
        for i = 1, 200 do
          local flow = stage:user_flow { cache = new_cache(), timeout = 1e6 }
          coroutines[i] = coroutine.create(function()
            tokens[i] = assert(flow:get_access_token())
          end)
        end
        threads.interleave(coroutines, threads.random_numbers(seed))
        assert.equal("refresh-1", logins.sent(stage), "seed " .. seed)
        assert.equal(200, #tokens)
        for _, token in ipairs(tokens) do
          assert.equal("access-1", token)
        end
        local info = new_cache():get_cached_token()
        assert.same({ "access-1", "refresh-2" }, { info.access_token, info.refresh_token })
      end
    end)
  end
end)
