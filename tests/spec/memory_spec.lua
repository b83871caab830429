-- The memory handler, and the short way that a flow over it takes to a token.

local core = require "tokencache._core"
local json = require "tokencache.json"
local log = require "tokencache.log"
local merged = require "support.merged"
local stages = require "support.stage"
local tokencache = require "tokencache"

local CLIENT_ID = stages.CLIENT_ID

after_each(function()
  log.set_logger(nil)
end)

describe("cache.memory", function()
  it("gives back the table itself", function()
    local info = { access_token = "t", nested = { 1 } }
    local handler = tokencache.cache.memory()
    assert.is_nil(handler:get_cached_token())
    assert.is_true(handler:save_token_to_cache(info))
    assert.equal(info, handler:get_cached_token())
    assert.is_true(handler:remove_cached_token())
    assert.is_nil(handler:get_cached_token())
    assert.equal(info, tokencache.cache.memory({ token_info = info }):get_cached_token())
  end)

  it("replaces the table that was read, and no other", function()
    local handler = tokencache.cache.memory()
    local a, b, c = { access_token = "t" }, { access_token = "t" }, { access_token = "t" }
    assert.same({ nil }, { handler:get_cached_token() })
    assert.is_true(handler:replace_cached_token(nil, a))
    local info, err, entry = handler:get_cached_token()
    assert.is_true(rawequal(a, info) and rawequal(a, entry) and err == nil)
    assert.same({ false }, { handler:replace_cached_token(nil, b) })
    assert.same({ false }, { handler:replace_cached_token(b, c) })
    assert.is_true(handler:replace_cached_token(a, b, 1760000000))
    assert.is_true(rawequal(b, (handler:get_cached_token())))
    handler:remove_cached_token()
    assert.same({ false, "gone" }, { handler:replace_cached_token(b, c) })
    assert.is_nil((handler:get_cached_token()))
    assert.error_matches(function() handler:replace_cached_token(nil, "t") end, "table expected")
    assert.error_matches(function() handler.replace_cached_token({}, nil, c) end, "memory")
  end)

  it("replaces under the lock that was taken, unless another has it by now", function()
    local a, b = { access_token = "a" }, { access_token = "b" }
    local handler = tokencache.cache.memory { token_info = a }
    local mine, my_guard = handler:try_lock(100)
    assert.is_true(handler:replace_cached_token(a, b, nil, mine))
    handler:unlock(mine)
    assert.is_true(handler:replace_cached_token(b, a, nil, mine))
    local other, other_guard = handler:try_lock(100)
    assert.same({ false }, { handler:replace_cached_token(a, b, nil, mine) })
    assert.is_true(rawequal(a, (handler:get_cached_token())))
    assert.is_true(handler:replace_cached_token(a, b, nil, other))
    assert.is_true(my_guard ~= other_guard) -- both were kept until here
  end)

  it("removes the table that was read, and no other", function()
    local a, b = { access_token = "t" }, { access_token = "t" }
    local handler = tokencache.cache.memory { token_info = b }
    assert.is_true(handler:remove_cached_token(a))
    assert.is_true(rawequal(b, (handler:get_cached_token())))
    local mine, my_guard = handler:try_lock(100)
    handler:unlock(mine)
    local other, other_guard = handler:try_lock(100)
    assert.is_true(handler:remove_cached_token(b, mine))
    assert.is_true(rawequal(b, (handler:get_cached_token())))
    assert.is_true(handler:remove_cached_token(b, other))
    assert.is_nil((handler:get_cached_token()))
    assert.is_true(handler:remove_cached_token(b))
    assert.error_matches(function() handler.remove_cached_token({}, a) end, "memory")
    assert.is_true(my_guard ~= other_guard) -- both were kept until here
  end)

  it("is one cache each time", function()
    local one = tokencache.cache.memory { token_info = { access_token = "t" } }
    assert.is_nil(tokencache.cache.memory():get_cached_token())
    assert.equal("t", one:get_cached_token().access_token)
  end)

  describe("under a flow's engine", function()
    local function token_of(token_info)
      local stage = stages.new()
      local flow = stage:flow { cache = tokencache.cache.memory { token_info = token_info } }
      local token, err = flow:get_access_token { timeout = 5 }
      return token, err, stage
    end

    it("may hold a token_info that a metatable completes", function()
      local info = { access_token = "old", expires_at = 5000, client_id = CLIENT_ID }
      local token, _, stage = token_of(setmetatable({}, { __index = info }))
      assert.equal("old", token)
      assert.equal(0, #stage.requests)
    end)

    it("is a cache that failed where it holds something else", function()
      for _, odd in ipairs { {}, { access_token = 1 } } do
        local token, _, stage = token_of(odd)
        assert.equal("access-1", token)
        assert.matches("get_cached_token must return a table", stage.logged[1])
      end
    end)

    it("holds the answer with all of its fields, and what is known of the token", function()
      local handler, stage = tokencache.cache.memory(), stages.new()
      assert(stage:flow { cache = handler }:get_access_token { check_cache = false })
      local info = handler:get_cached_token()
      assert.equal(CLIENT_ID, info.client_id)
      assert.is_number(info.expires_at)
      assert.is_nil(info.refresh_token)
    end)
  end)

  it("keeps its token as long as it lives, and no longer", function()
    local weak = setmetatable({ {}, {} }, { __mode = "v" })
    local handler = tokencache.cache.memory { token_info = weak[1] }
    weak[2] = nil
    collectgarbage()
    collectgarbage()
    assert.equal(weak[1], handler:get_cached_token())
    handler:remove_cached_token()
    handler = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    assert.is_nil(weak[1])
  end)

  it("refuses what is no token_info, and strangers as self", function()
    local handler = tokencache.cache.memory()
    for _, value in ipairs { "t", 7, true } do
      assert.error_matches(function() handler:save_token_to_cache(value) end, "table expected")
    end
    assert.error_matches(function() handler.get_cached_token {} end, "tokencache.memory expected")
    assert.error_matches(function() handler.get_cached_token(io.stdout) end,
      "tokencache.memory expected")
    assert.equal("tokencache.memory", getmetatable(handler))
  end)
end)

describe("a flow over memory", function()
  local stage, handler

  before_each(function()
    stage = stages.new()
    handler = tokencache.cache.memory()
  end)

  --- On the system's clock, which the short way needs.
  local function flow_of(options)
    return stage:flow(merged({ cache = handler, io = {} }, options))
  end

  local function info(changes)
    local token_info = merged({ access_token = "cached", expires_at = os.time() + 600 }, changes)
    handler:save_token_to_cache(token_info)
    return token_info
  end

  it("takes the short way where the system's clock is used", function()
    assert.is_function(rawget(flow_of(), "get_access_token"))
    assert.is_nil(rawget(flow_of { clock = os.time }, "get_access_token"))
    assert.is_nil(rawget(flow_of { cache = stage.handler }, "get_access_token"))
  end)

  local ways = {
    ["the short way"] = {},
    ["the long way"] = { clock = function() return core.now() end },
  }
  for what, options in pairs(ways) do
    describe("by " .. what, function()
      it("gets a token once and has it from then on", function()
        local flow = flow_of(options)
        for _ = 1, 3 do
          assert.equal("access-1", flow:get_access_token())
        end
        assert.equal(1, #stage.requests)
        assert.equal(handler:get_cached_token(), flow:get_token_info())
      end)

      it("sees at once what else is saved or removed", function()
        local flow = flow_of(options)
        info()
        assert.equal("cached", flow:get_access_token())
        info { access_token = "newer" }
        assert.equal("newer", flow:get_access_token())
        assert.equal("newer", flow:get_access_token())
        handler:remove_cached_token()
        assert.equal("access-1", flow:get_access_token())
      end)

      it("sees changes of expires_at inside the table", function()
        local flow = flow_of(options)
        local token_info = info()
        assert.equal("cached", flow:get_access_token())
        assert.equal("cached", flow:get_access_token())
        token_info.expires_at = os.time() + 3000
        assert.equal("cached", flow:get_access_token())
        token_info.expires_at = os.time() + 30
        assert.equal("access-1", flow:get_access_token())
        assert.equal("access-1", flow:get_access_token())
        assert.equal(1, #stage.requests)
      end)

      for state, expires_at in pairs {
        ["absent"] = false, ["null"] = json.null, ["text"] = tostring(os.time() + 600),
        ["a float"] = os.time() + 600.5,
      } do
        it("lives with an expires_at that is " .. state, function()
          local flow = flow_of(options)
          local token_info = info()
          assert.equal("cached", flow:get_access_token())
          token_info.expires_at = expires_at or nil
          for _ = 1, 3 do
            assert.equal("cached", flow:get_access_token())
          end
          info({}).expires_at = expires_at or nil
          for _ = 1, 3 do
            assert.equal("cached", flow:get_access_token())
          end
          assert.equal(0, #stage.requests)
        end)
      end

      it("lets no option pass unseen", function()
        local flow = flow_of(options)
        info()
        assert.equal("cached", flow:get_access_token())
        assert.equal("cached", flow:get_access_token {})
        assert.equal("access-1", flow:get_access_token { check_cache = false })
        assert.error_matches(function() flow:get_access_token { check = false } end, "check")
      end)

      it("does not serve the tokens of another client, nor other scopes", function()
        local mine = flow_of(options)
        local theirs = flow_of { client_id = "another", clock = options.clock }
        assert.equal("access-1", mine:get_access_token())
        assert.equal("access-2", theirs:get_access_token())
        assert.equal("access-3", mine:get_access_token())
        assert.equal(CLIENT_ID, handler:get_cached_token().client_id)

        local wide = flow_of { scope = "a b", clock = options.clock }
        local narrow = flow_of { scope = "a", clock = options.clock }
        assert.equal("access-4", wide:get_access_token())
        assert.equal("access-4", narrow:get_access_token())
        assert.equal("access-4", mine:get_access_token())
        handler:remove_cached_token()
        assert.equal("access-5", narrow:get_access_token())
        assert.equal("access-6", wide:get_access_token())
        assert.equal("access-6", narrow:get_access_token())
      end)

      it("used as another flow's method still asks that flow", function()
        local mine = flow_of(options)
        local theirs = flow_of { client_id = "another", clock = options.clock }
        for _ = 1, 3 do
          assert.equal("access-1", mine:get_access_token())
        end
        assert.equal("access-2", mine.get_access_token(theirs))
        assert.equal("another", handler:get_cached_token().client_id)
      end)

      it("does not ask again where the server grants other scopes than asked for", function()
        local flow = flow_of { scope = "read", clock = options.clock }
        stage.on.request = function()
          return stages.answer { access_token = "t", scope = "api.read", expires_in = 3600 }
        end
        for _ = 1, 3 do
          assert.equal("t", flow:get_access_token())
        end
        assert.equal(1, #stage.requests)
        local token_info = handler:get_cached_token()
        assert.equal("api.read", token_info.scope)
        assert.equal("read", token_info.requested_scope)
        assert.equal("access-1", (function()
          stage.on.request = nil
          return flow_of({ scope = "write", clock = options.clock }):get_access_token()
        end)())
      end)

      it("neither uses nor overwrites a user's login", function()
        local login = info { refresh_token = "the login's refresh token" }
        local flow = flow_of(options)
        for _, opts in ipairs { false, { check_cache = false }, false } do
          local token, err = flow:get_access_token(opts or nil)
          assert.is_nil(token)
          assert.equal("config", err.kind)
          assert.equal("the cache holds a user's login (it has a refresh_token), which this flow "
            .. "will neither use nor overwrite; give the flow a cache of its own", tostring(err))
        end
        login.expires_at = 0
        assert.is_nil((flow:get_token_info()))
        assert.equal(login, handler:get_cached_token())
        assert.equal("the login's refresh token", login.refresh_token)
        assert.equal(0, #stage.requests)
      end)

      it("takes an empty refresh token for none", function()
        info { refresh_token = "" }
        assert.equal("cached", flow_of(options):get_access_token())
      end)
    end)
  end
end)
