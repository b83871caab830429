-- check_cache = false means it: a cache that is damaged or cannot be read does not keep a program
-- from a new token, or a user from a login.

local keep_log = require "support.keep_log"
local log = require "tokencache.log"
local loopback = require "support.loopback"
local new_table_store = require "support.table_store"
local real_stores = require "support.real_stores"
local stages = require "support.stage"
local tokencache = require "tokencache"

local DAMAGED = '{"access_token":"secret", "refresh_to'

local real = real_stores.use()

after_each(function() log.set_logger(nil) end)

local function stored_in(store, text)
  store:set("anna", text)
  return tokencache.cache.from_store(store, "anna")
end

--- What makes a cache with a damaged entry.
local damaged = {
  ["cache.file"] = function()
    real.dir:shell(("printf '%%s' '%s' > token"):format(DAMAGED))
    return tokencache.cache.file { cache_path = real.dir:file("token") }
  end,
  ["store.file"] = function()
    return stored_in(real.new.file(), DAMAGED)
  end,
  Redis = function() return stored_in(real.new.Redis(), DAMAGED) end,
  memcached = function()
    return stored_in(real.new.memcached(), DAMAGED)
  end,
  memory = function() return stored_in(tokencache.store.memory(), DAMAGED) end,
  ["a user's table"] = function() return stored_in(new_table_store(), DAMAGED) end,
  ["two tiers"] = function()
    return stored_in(real.new["memory before Redis"](), DAMAGED)
  end,
  ["an encrypted store"] = function()
    local store = real.new.Redis()
    stored_in(store, "sealed by nobody")
    return tokencache.cache.from_store(real_stores.encrypted(store), "anna")
  end,
  ["a session"] = function()
    return tokencache.cache.flask_session { session = { token_info = DAMAGED } }
  end,
}

--- What makes a cache whose entry cannot be read, and so not be replaced either.
local unreadable = {
  ["cache.file"] = function()
    real.dir:shell("mkdir token")
    return tokencache.cache.file { cache_path = real.dir:file("token") }
  end,
  ["store.file"] = function()
    real.dir:shell("mkdir logins/anna.token")
    return tokencache.cache.from_store(real.new.file(), "anna")
  end,
  Redis = function()
    return tokencache.cache.from_store(
      tokencache.store.redis { port = loopback.refusing_port() }, "anna")
  end,
  memcached = function()
    return tokencache.cache.from_store(
      tokencache.store.memcached { servers = { "127.0.0.1:" .. loopback.refusing_port() } }, "anna")
  end,
}

--- A flow over the cache whose user logs in when asked, and how often that was.
local function with_a_user(cache)
  local stage, asked = stages.new(), { count = 0 }
  local flow = stage:user_flow { cache = cache, state = "the-state", authorize = function()
    asked.count = asked.count + 1
    return stages.REDIRECT_URI .. "?code=the-code&state=the-state"
  end }
  return flow, asked, stage
end

local FORCED = { check_cache = false }

for name, new in pairs(damaged) do
  describe("check_cache = false over " .. name .. " that is damaged", function()
    it("logs in, and replaces what is there", function()
      local flow, asked = with_a_user(new())
      local token, err = flow:get_access_token()
      assert.is_nil(token)
      assert.equal("cache", err.kind)
      assert.equal(0, asked.count)
      assert.equal("access-1", flow:get_access_token(FORCED))
      assert.equal("access-1", flow:get_access_token())
      assert.equal(1, asked.count)
      assert.equal(0, flow.io.process.owing)
    end)

    it("names the cache, and not the user, where nobody can log in", function()
      local stage = stages.new()
      local token, err = stage:user_flow({ cache = new() }):get_access_token(FORCED)
      assert.is_nil(token)
      assert.equal("cache", err.kind)
      assert.not_matches("secret", tostring(err))
      assert.equal(0, #stage.requests)
    end)

    it("gets a new token for a program, and overwrites nothing", function()
      local stage, cache = stages.new(), new()
      assert.equal("access-1", stage:flow({ cache = cache }):get_access_token(FORCED))
      if not cache.replace_cached_token then
        return -- it cannot compare
      end
      local info, err = cache:get_cached_token()
      assert.is_nil(info)
      assert.equal("cache", err.kind)
    end)
  end)
end

for name, new in pairs(unreadable) do
  describe("check_cache = false over " .. name .. " that cannot be read", function()
    it("logs in, and keeps the token in memory", function()
      local flow, asked = with_a_user(new())
      local logged = keep_log()
      assert.equal("access-1", flow:get_access_token(FORCED))
      assert.equal("access-1", flow:get_access_token())
      assert.equal(1, asked.count)
      assert.equal(1, flow.io.process.owing)
      assert.matches("error the token could not be saved", table.concat(logged, "\n"), 1, true)
    end)

    it("gets a new token for a program", function()
      local stage = stages.new()
      assert.equal("access-1", stage:flow({ cache = new() }):get_access_token(FORCED))
    end)
  end)
end
