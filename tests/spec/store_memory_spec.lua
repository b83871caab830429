local collect = require "support.collect"
local core = require "tokencache._core"
local memory = require "tokencache.store.memory"

describe("store.memory", function()
  local now, monotonic

  before_each(function()
    now, monotonic = 50, core.monotonic
    core.monotonic = function() return now end
  end)

  after_each(function()
    core.monotonic = monotonic
  end)

  --- Which of the keys 1 to `most` are there; a look changes what was used last.
  local function kept(store, most)
    local keys = {}
    for i = 1, most do
      keys[#keys + 1] = store:get("key-" .. i)
    end
    return table.concat(keys, " ")
  end

  it("keeps bytes by key", function()
    local store = memory()
    assert.is_nil(store:get("ann"))
    assert.is_true(store:set("ann", "a\0b"))
    store:set("bob", "c")
    assert.equal("a\0b", store:get("ann"))
    store:set("ann", "d")
    assert.equal("d", store:get("ann"))
    assert.is_true(store:delete("ann"))
    assert.is_true(store:delete("ann"))
    assert.is_nil(store:get("ann"))
    assert.equal("c", store:get("bob"))
    assert.is_nil(memory():get("bob"))
  end)

  it("lets the least recently used go first", function()
    local store = memory { max_entries = 3 }
    for i = 1, 3 do
      store:set("key-" .. i, tostring(i))
    end
    store:get("key-1")
    store:set("key-4", "4")
    assert.equal("1 3 4", kept(store, 4))
    store:set("key-1", "1") -- a save is a use
    store:set("key-5", "5")
    store:set("key-6", "6")
    assert.equal("1 5 6", kept(store, 6))
    store:delete("key-5")
    store:set("key-7", "7")
    assert.equal("1 6 7", kept(store, 7))
  end)

  it("agrees with a slow model of itself", function()
    math.randomseed(7)
    local store, used = memory { max_entries = 8 }, {}
    --- Moves the key to the front; whether it was there.
    local function touch(key)
      for i, other in ipairs(used) do
        if other == key then
          table.insert(used, 1, table.remove(used, i))
          return true
        end
      end
      return false
    end
    for step = 1, 5000 do
      local key, action = "key-" .. math.random(12), math.random(4)
      local is_kept = touch(key)
      if action == 1 then
        store:delete(key)
        if is_kept then table.remove(used, 1) end
      elseif action == 2 then
        store:set(key, key)
        if not is_kept then table.insert(used, 1, key) end
        used[9] = nil
      else
        assert.equal(is_kept and key or nil, (store:get(key)), "step " .. step)
      end
    end
  end)

  it("keeps an entry as long as it may", function()
    local store = memory()
    store:set("ann", "a", 10)
    store:set("bob", "b")
    now = now + 9.9
    assert.equal("a", store:get("ann"))
    now = now + 0.1
    assert.is_nil((store:get("ann")))
    assert.equal("b", store:get("bob"))
    store:set("ann", "a", 10)
    store:set("ann", "c") -- for good
    now = now + 1e6
    assert.equal("c", store:get("ann"))
  end)

  it("does not grow with entries that are over", function()
    --- Each round halves the table that Lua keeps of all strings, if it has become too large.
    local function size()
      for _ = 1, 8 do
        collect()
      end
      return collectgarbage("count")
    end
    local function fill(it)
      for i = 1, 50000 do
        it:set("key-" .. i, "value", 10)
        it:try_lock("name-" .. i, 10) -- never unlocked
        now = now + 1
      end
    end
    fill(memory()) -- Lua's table of strings and what a compiler makes of the loop stay, too
    local function growth()
      local before = size()
      local store = memory()
      fill(store)
      local grown = size() - before
      assert.equal("value", store:get("key-50000"))
      return grown
    end
    local grown, others = growth(), {}
    if grown >= 100 then -- a few strings more make that table twice as large where it is just full
      for i = 1, 5000 do
        others[i] = "other-" .. i
      end
      grown = growth()
    end
    assert.is_true(grown < 100, grown .. " KiB beside " .. #others .. " others")
  end)

  it("has locks that only their holder releases or extends, and that end", function()
    local store = memory { max_entries = 1 }
    local first = store:try_lock("ann", 10)
    assert.is_false(store:try_lock("ann", 10))
    assert.is_table(store:try_lock("bob", 10)) -- the limit is for entries
    assert.is_false(store:try_lock("ann", 10))
    assert.is_table(memory():try_lock("ann", 10))

    now = now + 9
    assert.is_true(store:extend_lock(first, 10))
    now = now + 9
    assert.is_false(store:try_lock("ann", 10))
    now = now + 1
    assert.is_false(store:extend_lock(first, 10))
    local second = store:try_lock("ann", 10)
    assert.is_true(store:unlock(first))
    assert.is_false(store:extend_lock(first, 10))
    assert.is_false(store:try_lock("ann", 10))
    assert.is_true(store:unlock(second))
    assert.is_true(store:unlock(second))
    assert.is_table(store:try_lock("ann", 10))
  end)

  it("keeps locks and entries of one name apart", function()
    local store = memory()
    store:set("ann", "a")
    local handle = store:try_lock("ann", 10)
    store:delete("ann")
    assert.is_false(store:try_lock("ann", 10))
    store:set("ann", "a")
    store:unlock(handle)
    assert.equal("a", store:get("ann"))
  end)

  describe("replaces", function()
    local store

    before_each(function()
      store = memory()
    end)

    it("what was read there, and nothing else", function()
      assert.is_true(store:replace("ann", nil, "a"))
      assert.is_false(store:replace("ann", nil, "b"))
      assert.is_false(store:replace("ann", "b", "c"))
      assert.is_false(store:replace("bob", "a", "c"))
      assert.equal("a", store:get("ann"))
      assert.is_nil((store:get("bob")))
      assert.is_true(store:replace("ann", "a", "b", 10))
      now = now + 9.9
      assert.equal("b", store:get("ann"))
      now = now + 0.1
      assert.is_false(store:replace("ann", "b", "c"))
      assert.is_true(store:replace("ann", nil, "c"))
      assert.equal("c", store:get("ann"))
    end)

    it("that by nothing, and nothing else", function()
      store:set("ann", "a")
      assert.is_false(store:replace("ann", "b", nil))
      assert.equal("a", store:get("ann"))
      assert.is_true(store:replace("ann", "a", nil))
      assert.is_nil((store:get("ann")))
      assert.is_false(store:replace("ann", "a", nil))
      assert.error_matches(function() store:replace("ann", nil, nil) end, "not nil")
    end)

    it("unless another holds the lock by now", function()
      store:set("ann", "a")
      local mine = store:try_lock("ann", 10)
      assert.is_true(store:replace("ann", "a", "b", nil, mine))
      assert.equal("b", store:can_save("ann", "b", nil, mine))
      now = now + 10
      assert.is_true(store:replace("ann", "b", "c", nil, mine)) -- nobody has it
      local other = store:try_lock("ann", 10)
      assert.is_false(store:replace("ann", "c", "d", nil, mine))
      assert.is_false(store:replace("ann", "c", nil, nil, mine))
      assert.is_false(store:can_save("ann", "c", nil, mine))
      assert.equal("c", store:get("ann"))
      assert.is_true(store:replace("ann", "c", "d", nil, other))
    end)

    it("and can say beforehand that it will", function()
      assert.is_false(store:can_save("ann", "a", 10))
      store:set("ann", "a")
      assert.equal("a", store:can_save("ann", "a", 10))
      assert.is_false(store:can_save("ann", "b", 10))
      assert.equal("a", store:get("ann"))
    end)
  end)

  describe("lists its keys", function()
    local store

    before_each(function()
      store = memory()
    end)

    --- Walks to the end and returns how often each key came. `between` is called after each page.
    local function walk(prefix, between)
      local seen, pages, cursor = {}, 0, nil
      repeat
        local keys
        keys, cursor = store:keys(prefix, cursor)
        assert.is_true(#keys <= 500)
        pages = pages + 1
        for _, key in ipairs(keys) do
          seen[key] = (seen[key] or 0) + 1
        end
        if cursor and between then
          between(pages, keys)
        end
      until not cursor
      return seen, pages
    end

    it("by prefix, without those of marks, and what has ended", function()
      assert.same({}, (walk ""))
      for _, key in ipairs { "token:a", "token:b", "tok%n:a", "other", "tokencache-mark:token:a",
        "tokencache-lock:token:a" } do
        store:set(key, "x")
      end
      store:set("token:short", "x", 10)
      store:try_lock("token:locked", 10)
      assert.same({ ["token:a"] = 1, ["token:b"] = 1, ["token:short"] = 1 }, (walk "token:"))
      assert.same({ ["tok%n:a"] = 1 }, (walk "tok%n"))
      now = now + 10
      assert.same({ ["token:a"] = 1, ["token:b"] = 1, ["tok%n:a"] = 1, other = 1 }, (walk ""))
    end)

    it("of many in pages, which no use of the entries upsets", function()
      for i = 1, 1000 do
        store:set("key-" .. i, "x")
      end
      local seen, pages = walk("", function(page)
        for i = 1, 1000, 7 do -- both move in the order of use
          store:get("key-" .. i)
          store:set("key-" .. (1000 - i), "y" .. page)
        end
      end)
      assert.is_true(pages >= 5)
      assert.equal(pages, (select(2, walk "nobody"))) -- it looks at as many for each
      for i = 1, 1000 do
        assert.equal(1, seen["key-" .. i])
      end
    end)

    it("once each where others come and go meanwhile, for every choice of those", function()
      math.randomseed(11)
      for _ = 1, 30 do
        store = memory()
        local stays, present = {}, {}
        for i = 1, 900 do
          store:set("key-" .. i, "x")
          stays["key-" .. i], present[i] = true, "key-" .. i
        end
        local made = 0
        local seen = walk("", function(_, keys)
          for _ = 1, math.random(0, 150) do
            local key = table.remove(present, math.random(#present))
            store:delete(key)
            stays[key] = nil
            if math.random(3) == 1 then
              store:set(key, "again")
            end
          end
          if math.random(2) == 1 and keys[1] then -- all of the page, which the walk stands at
            for _, key in ipairs(keys) do
              store:delete(key)
              stays[key] = nil
            end
          end
          for _ = 1, math.random(0, 300) do
            made = made + 1
            store:set("new-" .. made, "x")
          end
        end)
        for key, times in pairs(seen) do
          assert.equal(1, times, key)
        end
        for key in pairs(stays) do
          assert.equal(1, seen[key], key)
        end
      end
    end)

    it("to an end, however fast they are made anew", function()
      for i = 1, 400 do
        store:set("key-" .. i, "x")
      end
      local _, pages = walk("", function(page)
        assert.is_true(page < 10)
        for i = 1, 400 do
          store:delete("key-" .. i)
          store:set("key-" .. i, "x")
        end
      end)
      assert.is_true(pages < 10)
    end)

    it("though the least recently used make room", function()
      store = memory { max_entries = 300 }
      for i = 1, 300 do
        store:set("key-" .. i, "x")
      end
      local seen = walk("", function()
        for i = 301, 550 do
          store:set("key-" .. i, "x")
        end
      end)
      for i = 1, 550 do
        local times = seen["key-" .. i] or 0
        assert.is_true(times == (i <= 200 and 1 or 0) or times == 1 and i > 250 and i <= 300, i)
      end
    end)
  end)

  it("raises at mistakes", function()
    assert.error_matches(function() memory { max_entries = 0 } end, "max_entries must be a number")
    assert.error_matches(function() memory { max_entries = 1.5 } end,
      "store.memory: max_entries must be a whole number, not 1.5")
    assert.error_matches(function() memory { max = 1 } end, "unknown option max")
  end)
end)
