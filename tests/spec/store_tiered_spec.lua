local cache = require("tokencache").cache
local collect = require "support.collect"
local core = require "tokencache._core"
local json = require "tokencache.json"
local keep_log = require "support.keep_log"
local log = require "tokencache.log"
local new_notes = require "support.notes"
local stages = require "support.stage"
local store = require("tokencache").store

local NOW = 1760000000

--- A store as a user would write it. Entries end by `clock`.
local function new_store(clock)
  local new = { entries = {}, ends = {} }
  function new.get(_, key)
    local ends = new.ends[key]
    return (not ends or clock() < ends) and new.entries[key] or nil
  end
  function new.set(_, key, bytes, ttl)
    new.entries[key], new.ends[key] = bytes, ttl and clock() + ttl
    return true
  end
  function new.delete(_, key)
    new.entries[key] = nil
    return true
  end
  return new
end

describe("store.tiered", function()
  local notes, front, back, tiered, now, logged

  local function clock()
    return now
  end

  local function noted(name, store_clock)
    return notes:watch(name, new_store(store_clock), { get = "get", set = "set",
      delete = "delete" })
  end

  local function tier()
    tiered = store.tiered { front = front, back = back, clock = clock }
  end

  before_each(function()
    notes, logged, now = new_notes(), keep_log(), NOW
    front, back = noted("front", clock), noted("back", clock)
    tier()
  end)

  after_each(function()
    log.set_logger(nil)
  end)

  local function acts()
    return notes:take()
  end

  local function entry(name, seconds)
    return json.encode { access_token = name, expires_at = seconds and now + seconds,
      refresh_token = "r" }
  end

  it("takes an entry from the front alone as long as its token is fresh", function()
    local a, b = entry("a", 3600), entry("b", 7200)
    assert.is_true(tiered:set("ann", a, 86400))
    assert.equal("front delete ann, back set ann, front set ann", acts())
    assert.equal(NOW + 86400, back.ends.ann)
    assert.equal(NOW + 3540, front.ends.ann)
    now = NOW + 3539
    assert.equal(a, tiered:get("ann"))
    assert.equal("front get ann", acts())
    back.entries.ann = b
    now = NOW + 3540
    assert.equal(b, tiered:get("ann"))
    assert.equal("front get ann, back get ann, front set ann", acts())
    assert.equal(NOW + 7140, front.ends.ann)
    assert.equal(b, tiered:get("ann"))
    assert.equal("front get ann", acts())
  end)

  it("does not decode what it finds in front", function()
    tiered:set("ann", entry("a", 3600))
    local decode = json.decode
    finally(function() json.decode = decode end)
    json.decode = function() error("decoded") end
    assert.is_string(tiered:get("ann"))
  end)

  it("keeps the entries of many keys apart", function()
    tiered:set("ann", entry("a", 3600))
    tiered:set("bob", entry("b", 3600))
    acts()
    tiered:delete("ann")
    assert.equal("front delete ann, back delete ann, front delete ann", acts())
    assert.equal(entry("b", 3600), tiered:get("bob"))
    assert.equal("front get bob", acts())
    assert.is_nil((tiered:get("ann")))
  end)

  it("keeps nothing in front whose token is not fresh, or that is no token", function()
    local texts = { entry("a", 60), entry("a", 30), entry("a", -1), "{", "[]", '"text"', "17 out",
      '{"access_token":"a","expires_at":"soon"}', '{"expires_at":' .. NOW + 3600 .. "}" }
    for _, text in ipairs(texts) do
      tiered:set("ann", text)
      assert.equal("front delete ann, back set ann, front delete ann", acts())
      assert.equal(text, tiered:get("ann"))
      assert.equal("front get ann, back get ann, front delete ann", acts())
    end
    local texts_of_fresh = { [entry("a", 61)] = NOW + 1, [entry("a")] = false,
      [entry("a", 1e15)] = false, ['{"access_token":"a","expires_at":null}'] = false,
      ['{"access_token":"a","expires_at":"' .. NOW + 160 .. '.9"}  '] = NOW + 100 }
    for text, ends in pairs(texts_of_fresh) do
      front.ends.ann = nil
      tiered:set("ann", text)
      assert.equal("front delete ann, back set ann, front set ann", acts())
      assert.equal(ends or nil, front.ends.ann)
    end
  end)

  it("looks at the leeway that it is given", function()
    tiered = store.tiered { front = front, back = back, clock = clock, leeway = 300 }
    tiered:set("ann", entry("a", 360))
    assert.equal(NOW + 60, front.ends.ann)
  end)

  it("trusts the front for no longer than it is told to", function()
    tiered = store.tiered { front = front, back = back, clock = clock, front_time = 4 }
    for text, ends in pairs { [entry("a", 3600)] = NOW + 4, [entry("a")] = NOW + 4,
      [entry("a", 62)] = NOW + 2 } do
      tiered:set("ann", text)
      assert.equal(ends, front.ends.ann)
    end
  end)

  it("asks the back where a copy will not do", function()
    assert.is_true(tiered.may_be_stale)
    local old, new = entry("old", 3600), entry("new", 3600)
    front.entries.ann, back.entries.ann = old, new
    assert.equal(old, tiered:get("ann"))
    acts()
    assert.equal(new, tiered:get("ann", true))
    assert.equal("back get ann, front set ann", acts())
    assert.equal(new, tiered:get("ann"))
  end)

  it("asks the last of three tiers where a copy will not do", function()
    local far = store.memory()
    local middle = store.tiered { front = store.memory(), back = far }
    tiered = store.tiered { front = front, back = middle, clock = clock }
    tiered:set("ann", entry("old", 3600))
    far:set("ann", "new")
    assert.equal(entry("old", 3600), tiered:get("ann"))
    assert.equal("new", tiered:get("ann", true))
    assert.equal(far, tiered.identity)
  end)

  describe("replaces in the back", function()
    before_each(function()
      back = store.memory()
      tier()
      tiered:set("ann", entry("a", 3600))
      acts()
    end)

    it("and then has the new entry in front", function()
      local a, b = entry("a", 3600), entry("b", 3600)
      assert.is_true(tiered:replace("ann", a, b, 70))
      assert.equal("front delete ann, front set ann", acts())
      assert.equal(b, tiered:get("ann"))
      assert.equal(b, back:get("ann"))
    end)

    it("and has nothing in front where something else was there", function()
      assert.is_false(tiered:replace("ann", "other", entry("b", 3600)))
      assert.equal("front delete ann, front delete ann", acts())
      assert.equal(entry("a", 3600), tiered:get("ann"))
    end)

    it("by nothing, and has nothing in front either way", function()
      assert.is_false(tiered:replace("ann", "other", nil))
      assert.is_nil((front:get("ann")))
      assert.equal(entry("a", 3600), tiered:get("ann"))
      assert.is_string(front:get("ann"))
      assert.is_true(tiered:replace("ann", entry("a", 3600), nil))
      assert.is_nil(front:get("ann") or back:get("ann"))
    end)

    it("under its lock", function()
      local mine = tiered:try_lock("ann", 10)
      tiered:unlock(mine)
      local other = tiered:try_lock("ann", 10)
      assert.is_false(tiered:replace("ann", entry("a", 3600), entry("b", 3600), nil, mine))
      assert.is_true(tiered:extend_lock(other, 10))
      assert.is_true(tiered:replace("ann", entry("a", 3600), entry("b", 3600), nil, other))
    end)

    it("what was padded to see whether a longer entry fits", function()
      function back.can_save(self, key, bytes, ttl, handle)
        local padded = bytes .. (" "):rep(1024)
        return self:replace(key, bytes, padded, ttl, handle) and padded
      end
      local a = tiered:get("ann")
      local padded = tiered:can_save("ann", a, 10)
      assert.equal(a .. (" "):rep(1024), padded)
      assert.equal(padded, tiered:get("ann"))
      assert.is_true(tiered:replace("ann", padded, entry("b", 3600)))
      assert.equal(entry("b", 3600), tiered:get("ann"))
    end)
  end)

  it("can only what the back can", function()
    assert.is_nil(tiered.try_lock or tiered.extend_lock or tiered.unlock or tiered.replace
      or tiered.can_save or tiered.keys or tiered.identity_key or tiered.mark_key
      or tiered.protect or tiered.reveal or tiered.can_save_anew)
    back.delete = nil
    assert.is_nil(store.tiered({ front = front, back = back }).delete)
    local kept = store.memory()
    back = store.encrypted(kept, { keys = { a = "sixteen bytes..." }, use = "a" })
    tier()
    assert.equal(kept, tiered.identity)
    tiered:set("ann", entry("a", 3600))
    assert.same({ "ann" }, (tiered:keys("")))
    assert.equal("text", back:reveal("ann", tiered:protect("ann", "text")))
    assert.equal("text", tiered:reveal("ann", back:protect("ann", "text")))
  end)

  --- Runs `change` while a read of the back is under way.
  local function read_during(key, change)
    local get = back.get
    function back.get(...)
      back.get = get
      local bytes = get(...)
      change()
      return bytes
    end
    return tiered:get(key, true)
  end

  it("does not put in front what a slow reader found before it was replaced or removed", function()
    local old, new = entry("old", 3600), entry("new", 3600)
    for _, full in ipairs { false, true } do -- whether garbage is collected in between
      local function change(fn)
        return function()
          fn()
          if full then
            collect()
          end
        end
      end
      back.entries.ann = old
      assert.equal(old, read_during("ann", change(function() tiered:set("ann", new) end)))
      assert.equal(new, tiered:get("ann"))
      assert.equal(new, read_during("ann", change(function() tiered:delete("ann") end)))
      assert.is_nil((tiered:get("ann")))
      back.entries.ann, back.failing.set = old, "away"
      read_during("ann", change(function() tiered:set("ann", new) end))
      assert.is_nil(front.entries.ann)
      back.failing.set = nil
    end
  end)

  it("puts in front what it found while another key changed", function()
    local a = entry("a", 3600)
    back.entries.ann = a
    read_during("ann", function() tiered:set("bob", entry("b", 3600)) end)
    assert.equal(a, front.entries.ann)
  end)

  it("does not grow with the keys that it has seen", function()
    tiered = store.tiered { front = store.memory { max_entries = 1 }, back = store.memory() }
    collect()
    local before = collectgarbage("count")
    for i = 1, 20000 do
      tiered:get("key-" .. i)
      if i % 1000 == 0 then
        collect()
      end
    end
    assert.is_true(collectgarbage("count") - before < 200)
  end)

  it("serves what is fresh in front of a back that fails, else reports the failure", function()
    tiered:set("ann", entry("a", 3600))
    back.failing.get = "away"
    assert.is_string(tiered:get("ann"))
    now = now + 3600
    assert.same({ nil, "away" }, { tiered:get("ann") })
    back.failing.set, back.failing.delete = "away", "away"
    front.entries.ann, front.ends.ann = entry("a", 3600), nil
    assert.same({ nil, "away" }, { tiered:set("ann", entry("b", 3600)) })
    assert.is_nil(front.entries.ann)
    front.entries.ann = entry("a", 3600)
    assert.same({ nil, "away" }, { tiered:delete("ann") })
    assert.is_nil(front.entries.ann)
    front.entries.ann = entry("a", 3600)
    back.set = function() error("raised", 0) end
    assert.has_error(function() tiered:set("ann", entry("b", 3600)) end, "raised")
    assert.is_nil(front.entries.ann)
  end)

  for _, action in ipairs { "get", "set", "delete" } do
    it("warns of a front that fails (" .. action .. "), and goes by the back", function()
      tiered:set("ann", entry("a", 3600))
      front.failing[action] = "away"
      local b = entry("b", 3600)
      assert.is_true(tiered:set("ann", b))
      assert.equal(b, tiered:get("ann"))
      assert.is_true(tiered:delete("ann"))
      assert.is_nil((tiered:get("ann")))
      assert.is_true(#logged > 0)
      for _, line in ipairs(logged) do
        assert.matches("^warning the cache's front could not be %a+: away$", line)
      end
    end)
  end

  it("passes over a front that could not be emptied, until it is, for that key", function()
    tiered:set("ann", entry("a", 3600))
    tiered:set("bob", entry("b", 3600))
    front.failing.delete = "away"
    tiered:delete("ann")
    acts()
    assert.is_nil((tiered:get("ann")))
    assert.equal("back get ann, front delete ann", acts())
    assert.is_string(tiered:get("bob"))
    assert.equal("front get bob", acts())
    front.failing.delete = nil
    assert.is_nil((tiered:get("ann")))
    assert.equal("back get ann, front delete ann", acts())
    assert.is_nil((tiered:get("ann")))
    assert.equal("front get ann, back get ann, front delete ann", acts())
  end)

  it("has no mark in front", function()
    local handler = cache.from_store(tiered, "ann", { clock = clock })
    handler:set_mark("out", 86400)
    assert.same({}, front.entries)
    assert.equal("out", handler:get_mark())
    assert.same({}, front.entries)
  end)

  it("under a flow is asked once, and anew before a renewal", function()
    local stage = stages.new()
    front, back = noted("front", core.now), noted("back", core.now)
    tiered = store.tiered { front = front, back = back }
    local flow = stage:flow { cache = cache.from_store(tiered, "ann"), io = {} }
    for _ = 1, 3 do
      assert.equal("access-1", flow:get_access_token())
    end
    assert.equal(1, #stage.requests)
    -- the third time to compare, for this back cannot replace
    assert.equal("front get ann, back get ann, front delete ann, back get ann, front delete ann, "
      .. "back get ann, front delete ann, front delete ann, back set ann, front set ann, "
      .. "front get ann, front get ann", acts())
  end)

  it("is two stores as text", function()
    assert.equal("tokencache.store.tiered: tokencache.store.memory before tokencache.store.memory",
      tostring(store.tiered { front = store.memory(), back = store.memory() }))
  end)

  it("raises at mistakes", function()
    local memory = store.memory()
    local mistakes = {
      { "back is required", function() store.tiered { front = memory } end },
      { "front is required", function() store.tiered { back = memory } end },
      { "front must be a table or userdata", function() store.tiered { front = 1, back = {} } end },
      { "front: store is a cache handler, which keeps one token",
        function() store.tiered { front = cache.memory {}, back = memory } end },
      { "back: store has no method set",
        function() store.tiered { front = memory, back = { get = print } } end },
      { "front: store has no method delete",
        function() store.tiered { front = { get = print, set = print }, back = memory } end },
      { "leeway must be",
        function() store.tiered { front = memory, back = memory, leeway = -1 } end },
      { "unknown option ttl",
        function() store.tiered { front = memory, back = memory, ttl = 1 } end },
    }
    for _, mistake in ipairs(mistakes) do
      local ok, message = pcall(mistake[2])
      assert.is_false(ok)
      assert.matches("tiered_spec.lua:%d+: store.tiered: " .. mistake[1], message)
    end
    for _, method in ipairs { "set", "replace" } do
      tiered = store.tiered { front = memory, back = store.memory() }
      assert.error_matches(function() tiered[method](tiered, "ann") end,
        "store.tiered: " .. method .. ": bytes must be a string, not nil")
    end
  end)
end)
