-- A dead login that cannot be removed from its cache: reauthorize is said once, then the user is
-- asked, and the provider is not asked about that refresh token again.

local log = require "tokencache.log"
local logins = require "support.logins"
local new_table_store = require "support.table_store"
local stages = require "support.stage"
local tokencache = require "tokencache"

local real = require("support.real_stores").use()

after_each(function()
  real.redis:cli("CONFIG", "SET", "min-replicas-to-write", 0)
  log.set_logger(nil)
end)

local function take_no_writes()
  real.redis:cli("CONFIG", "SET", "min-replicas-to-write", 1)
end

--- A store whose entries cannot be removed any more once `fail` was called.
local function failing(store)
  local broken = false
  for _, name in ipairs { "set", "replace", "delete" } do
    local method = store[name]
    store[name] = method and function(...)
      if broken then
        return nil, "read-only"
      end
      return method(...)
    end
  end
  return tokencache.cache.from_store(store, "anna"), function() broken = true end
end

--- What makes a handler and a function that makes its entry stay.
local backends = {
  ["a file that has become a symbolic link"] = function()
    return tokencache.cache.file { cache_path = real.dir:file("token") }, function()
      real.dir:shell("mv token elsewhere; ln -s elsewhere token")
    end
  end,
  ["a Redis that takes no writes any more"] = function()
    return tokencache.cache.redis { port = real.redis.port, key = "anna" }, take_no_writes
  end,
  ["an encrypted Redis"] = function()
    return tokencache.cache.from_store(real.new["encrypted Redis"](), "anna"), take_no_writes
  end,
  ["two tiers"] = function()
    return tokencache.cache.from_store(real.new["memory before Redis"](), "anna"), take_no_writes
  end,
  memory = function() return failing(tokencache.store.memory()) end,
  ["a user's table"] = function() return failing(new_table_store()) end,
}

for name, new in pairs(backends) do
  it("a dead login that stays in " .. name .. " is said once, then the login is shown", function()
    local stage, asked = stages.new(), 0
    local cache, make_it_stay = new()
    assert(cache:save_token_to_cache(logins.LOGIN))
    local function ask() -- by a flow of its own, as for each request
      return stage:user_flow({ cache = cache, state = "the-state", authorize = function()
        asked = asked + 1
        return stages.REDIRECT_URI .. "?code=the-code&state=the-state"
      end }):get_access_token()
    end
    stage.on.request = function()
      make_it_stay()
      return logins.dead()
    end
    logins.expect_reauthorize(ask())
    assert.equal(0, asked)
    assert.equal(logins.LOGIN.refresh_token, cache:get_cached_token(true).refresh_token)
    stage.on.request = nil
    assert.equal("access-1", ask())
    assert.equal("access-1", ask())
    assert.equal(1, asked)
    assert.equal("refresh-1", logins.sent(stage):match("^%S+"))
    assert.equal(2, #stage.requests)
  end)
end

for name, new_store in pairs {
  memory = tokencache.store.memory, ["a user's table"] = new_table_store,
  Redis = function() return real.new.Redis() end,
} do
  describe("a dead token that is owed to " .. name, function()
    local stage, cache, flow, broken

    before_each(function()
      local inner = new_store()
      local store = setmetatable({}, { __index = inner })
      for _, method in ipairs { "get", "set", "replace" } do
        store[method] = inner[method] and function(_, key, old, new, ...)
          if broken[method] and (method ~= "replace" or new) then
            return nil, "away"
          end
          return inner[method](inner, key, old, new, ...)
        end
      end
      stage, broken, cache = stages.new(), {}, tokencache.cache.from_store(store, "anna")
      assert(cache:save_token_to_cache(logins.LOGIN))
      flow = stage:user_flow { cache = cache, provider = { rotates_refresh_tokens = false,
        token_url = "https://login.example/token", authorize_url = "https://login.example/" } }
      stage.on.request = function()
        broken.set, broken.replace = true, true
        return stages.answer { access_token = "access-1", expires_in = 3600 }
      end
      log.set_logger(false)
    end)

    it("takes no entry along that cannot be read", function()
      assert.equal("access-1", flow:get_access_token())
      broken = {}
      assert(cache:save_token_to_cache(logins.NEWER)) -- another has logged in
      broken.get, stage.now, stage.on.request = true, 9000, logins.dead
      logins.expect_reauthorize(flow:get_access_token())
      broken = {}
      assert.equal("refresh-2", cache:get_cached_token().refresh_token)
    end)

    it("takes along what it was renewed of", function()
      assert.equal("access-1", flow:get_access_token())
      stage.now, stage.on.request = 9000, logins.dead
      logins.expect_reauthorize(flow:get_access_token())
      assert.is_nil(cache:get_cached_token())
    end)

    it("leaves another login than its own", function()
      local fail = stage.on.request
      stage.on.request = function()
        fail()
        return stages.answer { access_token = "new", refresh_token = "new", expires_in = 3600 }
      end
      local url, pending = flow:get_authorize_url()
      assert(flow:exchange("?code=c&state=" .. url:match("state=([^&]+)"), pending))
      stage.now, stage.on.request = 9000, logins.dead
      logins.expect_reauthorize(flow:get_access_token())
      assert.equal("refresh-1", cache:get_cached_token().refresh_token)
    end)
  end)
end
