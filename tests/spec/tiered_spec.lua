local cache = require("tokencache").cache
local keep_log = require "support.keep_log"
local log = require "tokencache.log"
local new_notes = require "support.notes"
local stages = require "support.stage"
local store = require("tokencache").store

local NOW = 1760000000

--- A handler as a user would write it.
local function new_handler()
  local handler = {}
  function handler.get_cached_token()
    return handler.token
  end
  handler.peek_cached_token = handler.get_cached_token
  function handler.save_token_to_cache(_, info, good_until)
    handler.token, handler.good_until = info, good_until
  end
  function handler.remove_cached_token()
    handler.token = nil
    return true
  end
  return handler
end

local ACTIONS = { get_cached_token = "get", peek_cached_token = "get",
  save_token_to_cache = "save", remove_cached_token = "remove" }

describe("cache.tiered", function()
  local notes, front, back, tiered, now, logged

  before_each(function()
    notes, logged, now = new_notes(), keep_log(), NOW
    front = notes:watch("front", new_handler(), ACTIONS)
    back = notes:watch("back", new_handler(), ACTIONS)
    tiered = cache.tiered { front = front, back = back, clock = function() return now end }
  end)

  after_each(function()
    log.set_logger(nil)
  end)

  local function acts()
    return notes:take()
  end

  local function token(name, seconds)
    return { access_token = name, expires_at = seconds and now + seconds, refresh_token = "r" }
  end

  it("takes a fresh token from the front and asks the back for others", function()
    tiered:save_token_to_cache(token("a", 3600), NOW + 86400)
    assert.equal("front remove, back save, front save", acts())
    assert.equal(NOW + 86400, back.good_until)
    assert.equal(NOW + 3600, front.good_until)
    for _, method in ipairs { "get_cached_token", "peek_cached_token" } do
      assert.equal("a", tiered[method](tiered).access_token)
      assert.equal("front get", acts())
    end
    now = NOW + 3540
    assert.equal("a", tiered:get_cached_token().access_token)
    assert.equal("front get", acts())
    now = NOW + 3541
    back.token = token("b", 3600)
    assert.equal("b", tiered:get_cached_token().access_token)
    assert.equal("front get, back get, front save", acts())
    assert.equal("b", tiered:get_cached_token().access_token)
    assert.equal("front get", acts())
  end)

  it("lets one who peeks judge for himself what is in front", function()
    tiered:save_token_to_cache(token("a", 30))
    front.token = token("old", 30)
    acts()
    assert.equal("old", tiered:peek_cached_token().access_token)
    assert.equal("front get", acts())
    front.token = nil
    assert.equal("a", tiered:peek_cached_token().access_token)
    assert.equal("front get, back get, front remove", acts())
  end)

  it("offers no look without a copy where one of the two has none", function()
    assert.is_function(tiered.peek_cached_token)
    for _, lacking in ipairs { front, back } do
      local peek = lacking.peek_cached_token
      lacking.peek_cached_token = nil
      assert.is_nil(cache.tiered({ front = front, back = back }).peek_cached_token)
      lacking.peek_cached_token = peek
    end
  end)

  it("takes the front's word for a token that never ends, and for none whose end is unclear",
    function()
      tiered:save_token_to_cache(token("a"))
      acts()
      assert.equal("a", tiered:get_cached_token().access_token)
      assert.equal("front get", acts())
      front.token.expires_at = "soon"
      tiered:get_cached_token()
      assert.equal("front get, back get, front remove", acts())
    end)

  it("asks the back where a copy will not do", function()
    assert.is_true(tiered.may_be_stale)
    front.token, back.token = token("a", 3600), token("b", 3600)
    for i, method in ipairs { "get_cached_token", "peek_cached_token" } do
      front.token = token("a", 3600)
      assert.equal("b", tiered[method](tiered, true).access_token, i)
      assert.equal("back get anew, front save", acts())
      assert.equal("b", tiered:get_cached_token().access_token)
      acts()
    end
  end)

  it("keeps nothing in front that is not in the back or not fresh", function()
    front.token = token("a", 3600)
    local info, err = tiered:get_cached_token(true)
    assert.is_true(info == nil and err == nil)
    assert.equal("back get anew, front remove", acts())
    assert.is_nil(front.token)
    tiered:save_token_to_cache(token("b", 30))
    assert.equal("front remove, back save, front remove", acts())
    assert.equal("b", tiered:get_cached_token().access_token)
    assert.equal("front get, back get, front remove", acts())
  end)

  it("removes from both", function()
    tiered:save_token_to_cache(token("a", 3600))
    acts()
    assert.is_true(tiered:remove_cached_token())
    assert.equal("front remove, back remove, front remove", acts())
    assert.is_nil((tiered:get_cached_token()))
    back.token, back.failing.remove = token("a", 3600), "away"
    front.token = back.token
    assert.same({ nil, "away" }, { tiered:remove_cached_token() })
    assert.is_nil(front.token)
  end)

  --- Runs `change` while a read of the back is under way, which has found `found`.
  local function read_during(found, change)
    back.token = found
    local get = back.get_cached_token
    function back.get_cached_token(...)
      back.get_cached_token = get
      local info = get(...)
      change()
      return info
    end
    return tiered:get_cached_token(true)
  end

  it("does not put in front what a slow reader found before it was replaced or removed", function()
    local old, new = token("old", 3600), token("new", 3600)
    assert.equal(old, read_during(old, function() tiered:save_token_to_cache(new) end))
    assert.equal("new", tiered:get_cached_token().access_token)
    assert.equal(old, read_during(old, function() tiered:remove_cached_token() end))
    assert.is_nil((tiered:get_cached_token()))
    back.failing.save = "away"
    read_during(old, function() tiered:save_token_to_cache(new) end)
    assert.is_nil(front.token)
  end)

  it("does not put in front what it saved where another saved meanwhile", function()
    local one, other = token("one", 3600), token("other", 3600)
    local save = back.save_token_to_cache
    function back.save_token_to_cache(...)
      back.save_token_to_cache = save
      save(...)
      tiered:save_token_to_cache(other)
    end
    assert.is_true(tiered:save_token_to_cache(one))
    assert.equal("other", tiered:get_cached_token().access_token)
  end)

  it("does not leave in front what was removed while the front was being filled", function()
    local save = front.save_token_to_cache
    function front.save_token_to_cache(...)
      front.save_token_to_cache = save
      tiered:remove_cached_token()
      return save(...)
    end
    back.token = token("a", 3600)
    assert.equal("a", tiered:get_cached_token().access_token)
    assert.is_nil((tiered:get_cached_token()))
  end)

  it("has the back's locks, and can only what the back can", function()
    assert.is_nil(tiered.try_lock or tiered.extend_lock or tiered.unlock)
    local guard = {}
    function back.try_lock(_, ttl) return "handle " .. ttl, guard end
    function back.extend_lock(_, handle, ttl) return handle .. " " .. ttl end
    function back.unlock(_, handle) return handle end
    function front.try_lock() error("the front's lock was asked for") end
    back.remove_cached_token = nil
    tiered = cache.tiered { front = front, back = back }
    local handle, kept = tiered:try_lock(10)
    assert.equal("handle 10", handle)
    assert.equal(guard, kept)
    assert.equal("h 7", tiered:extend_lock("h", 7))
    assert.equal("h", tiered:unlock("h"))
    assert.is_nil(tiered.remove_cached_token)
  end)

  describe("with a failing back", function()
    it("serves what is fresh in front, else reports the failure", function()
      tiered:save_token_to_cache(token("a", 3600))
      back.failing.get = "away"
      assert.equal("a", tiered:get_cached_token().access_token)
      now = now + 3600
      assert.same({ nil, "away" }, { tiered:get_cached_token() })
    end)

    it("leaves the front empty after a save, whatever another read meanwhile", function()
      tiered:save_token_to_cache(token("a", 3600))
      local save = back.save_token_to_cache
      function back.save_token_to_cache(...)
        tiered:get_cached_token() -- by another coroutine
        assert.equal("a", front.token.access_token)
        return save(...)
      end
      back.failing.save = "away"
      assert.same({ nil, "away" }, { tiered:save_token_to_cache(token("b", 3600)) })
      assert.is_nil(front.token)
      back.save_token_to_cache = function() error("raised", 0) end
      front.token = token("a", 3600)
      assert.has_error(function() tiered:save_token_to_cache(token("b", 3600)) end, "raised")
      assert.is_nil(front.token)
      back.save_token_to_cache = function() return false end
      assert.is_false((tiered:save_token_to_cache(token("b", 3600))))
    end)
  end)

  describe("with a failing front", function()
    for _, action in ipairs { "get", "save", "remove" } do
      it("(" .. action .. ") warns and goes by the back", function()
        tiered:save_token_to_cache(token("a", 3600))
        front.failing[action] = "away"
        assert.is_true(tiered:save_token_to_cache(token("b", 3600)))
        assert.equal("b", tiered:get_cached_token().access_token)
        assert.is_true(tiered:remove_cached_token())
        assert.is_nil((tiered:get_cached_token()))
        assert.is_true(#logged > 0)
        for _, line in ipairs(logged) do
          assert.matches("^warning the cache's front could not be %a+: away$", line)
        end
      end)
    end

    it("says so once, and again where the reason is another", function()
      front.failing.save = "away"
      for _ = 1, 5 do
        assert.is_true(tiered:save_token_to_cache(token("a", 3600)))
        local another = cache.tiered { front = front, back = back,
          clock = function() return now end }
        assert.is_true(another:save_token_to_cache(token("b", 3600)))
      end
      assert.same({ "warning the cache's front could not be filled: away" }, logged)
      front.failing.save = "full"
      tiered:save_token_to_cache(token("c", 3600))
      assert.equal("warning the cache's front could not be filled: full", logged[2])
    end)

    it("that cannot remove does without, and recovers at the next save", function()
      front.remove_cached_token = nil
      tiered:save_token_to_cache(token("a", 3600))
      back.failing.save = "away"
      tiered:save_token_to_cache(token("b", 3600))
      back.token, back.failing.save = token("c", 3600), nil -- it had been saved all the same
      acts()
      assert.equal("c", tiered:get_cached_token().access_token)
      assert.equal("back get, front save", acts())
      assert.equal("c", tiered:get_cached_token().access_token)
      assert.equal("front get", acts())
      tiered:remove_cached_token()
      assert.is_nil((tiered:get_cached_token()))
    end)
  end)

  describe("under a flow", function()
    local stage

    before_each(function()
      stage = stages.new()
    end)

    --- Over memory, and on the system's clock, so that the short way is open.
    local function over(near)
      return stage:flow { cache = cache.tiered { front = near, back = back }, io = {} }
    end

    it("takes the short way to a token in memory", function()
      local flow = over(cache.memory {})
      assert.is_function(rawget(flow, "get_access_token"))
      assert.is_nil(rawget(over(front), "get_access_token"))
      for _ = 1, 3 do
        assert.equal("access-1", flow:get_access_token())
      end
      assert.equal("back get, back get anew, back save", acts())
    end)

    it("saves at the next call what the back refused, and does not serve from memory till then",
      function()
        local near = cache.memory {}
        local flow = over(near)
        back.failing.save = "away"
        assert.equal("access-1", flow:get_access_token())
        assert.is_nil((near:get_cached_token()))
        assert.equal("access-1", flow:get_access_token())
        back.failing.save = nil
        assert.equal("access-1", flow:get_access_token())
        assert.equal("access-1", back.token.access_token)
        acts()
        assert.equal("access-1", flow:get_access_token())
        assert.equal("", acts())
        assert.equal(1, #stage.requests)
      end)

    it("sees changes inside the table in memory, by the long way too", function()
      local near = cache.memory {}
      local flow = stage:flow { cache = cache.tiered { front = near, back = back,
        clock = stage.io.now } }
      assert.equal("access-1", flow:get_access_token())
      assert.equal("access-1", flow:get_access_token())
      near:get_cached_token().expires_at = stage.io.now() - 1
      back.token = nil
      assert.equal("access-2", flow:get_access_token())
    end)

    it("does not serve from memory what another flow has put back there, either", function()
      local near = cache.memory {}
      local flow = over(near)
      assert.equal("access-1", flow:get_access_token())
      assert.equal("access-1", flow:get_access_token())
      local old = near:get_cached_token()
      back.failing.save = "away"
      assert.equal("access-2", flow:get_access_token { check_cache = false })
      near:save_token_to_cache(old)
      back.failing.save = nil
      assert.equal("access-2", flow:get_access_token())
      assert.equal("access-2", back.token.access_token)
    end)
  end)

  describe("replaces over the back's entry", function()
    before_each(function()
      back = cache.from_store(store.memory(), "ann", { clock = function() return now end })
      tiered = cache.tiered { front = front, back = back, clock = function() return now end }
      tiered:save_token_to_cache(token("a", 3600))
      acts()
    end)

    it("which it returns with what it reads there, and not with what is in front", function()
      assert.is_nil((select(3, tiered:get_cached_token())))
      for _, method in ipairs { "get_cached_token", "peek_cached_token" } do
        local info, err, entry = tiered[method](tiered, true)
        assert.equal("a", info.access_token)
        assert.is_nil(err)
        assert.equal((select(3, back:get_cached_token())), entry)
      end
    end)

    it("and keeps in front what it put there", function()
      local _, _, entry = tiered:get_cached_token(true)
      acts()
      assert.is_true(tiered:replace_cached_token(entry, token("b", 3600)))
      assert.equal("front remove, front save", acts())
      assert.equal("b", tiered:get_cached_token().access_token)
      assert.equal("b", back:get_cached_token().access_token)
    end)

    it("and keeps nothing in front where something else was there, or nothing", function()
      local _, _, entry = tiered:get_cached_token(true)
      back:save_token_to_cache(token("newer", 3600))
      assert.same({ false }, { tiered:replace_cached_token(entry, token("b", 3600)) })
      assert.is_nil(front.token)
      assert.equal("newer", tiered:get_cached_token().access_token)
      back:remove_cached_token()
      assert.same({ false, "gone" }, { tiered:replace_cached_token(entry, token("b", 3600)) })
      assert.is_nil(front.token)
    end)

    it("under its lock, and can say beforehand that it will", function()
      local _, _, entry = tiered:get_cached_token(true)
      local mine = tiered:try_lock(10)
      assert.equal(entry, tiered:can_save(entry, token("a", 3600), mine))
      tiered:unlock(mine)
      tiered:try_lock(10)
      assert.is_false(tiered:can_save(entry, token("a", 3600), mine))
      assert.is_false((tiered:replace_cached_token(entry, token("b", 3600), nil, mine)))
    end)
  end)

  it("has the back's mark and account", function()
    assert.is_nil(tiered.get_mark or tiered.set_mark or tiered.account_id)
    assert.equal(back, tiered.identity)
    assert.is_nil(tiered.replace_cached_token or tiered.can_save or tiered.in_request)
    local kept = store.memory()
    tiered = cache.tiered { front = front, back = cache.from_store(kept, "ann") }
    assert.is_true(tiered:set_mark("out", 60))
    assert.equal("out", tiered:get_mark())
    assert.same({ kept, "ann" }, { tiered:account_id() })
    assert.is_false(tiered.replaces_in_two_steps)
    back.identity = "the user's own"
    assert.equal("the user's own", cache.tiered({ front = front, back = back }).identity)
    back.in_request = true
    assert.is_true(cache.tiered({ front = front, back = back }).in_request)
    assert.is_true(cache.tiered({ front = back, back = front }).in_request)
  end)

  it("raises at mistakes", function()
    local memory = cache.memory {}
    local mistakes = {
      { "back is required", function() cache.tiered { front = memory } end },
      { "front is required", function() cache.tiered { back = memory } end },
      { "front must be a table or userdata", function() cache.tiered { front = 1, back = {} } end },
      { "back has no method get_cached_token; it must be a cache handler",
        function() cache.tiered { front = memory, back = store.memory() } end },
      { "leeway must be",
        function() cache.tiered { front = memory, back = memory, leeway = -1 } end },
      { "unknown option ttl",
        function() cache.tiered { front = memory, back = memory, ttl = 1 } end },
    }
    for _, mistake in ipairs(mistakes) do
      local ok, message = pcall(mistake[2])
      assert.is_false(ok)
      assert.matches("tiered_spec.lua:%d+: cache.tiered: " .. mistake[1], message)
    end
    assert.equal("tokencache.cache: tokencache.cache.memory before tokencache.cache: ann",
      tostring(cache.tiered { front = memory, back = cache.from_store(store.memory(), "ann") }))
  end)
end)
