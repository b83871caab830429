--- Tests of a store's list of keys, by handlers that from_store has made over it.

local checks = require "tokencache.testing.checks"
local next_page = require "tokencache.store.page"
local reserved_key = require "tokencache.store.reserved_key"

local fail = checks.fail

local COUNT = 12 -- keys
local MOST_PAGES = 1000000

--- Lists all keys with that prefix; calls `on_key`, if given, with each.
local function list(store, prefix, on_key)
  local seen, cursor, cursors = {}, nil, {}
  for _ = 1, MOST_PAGES do
    local page, more = next_page(store, prefix, cursor, cursors)
    if not page then
      fail("keys() failed: ", more, ".")
    end
    for _, key in ipairs(page) do
      if seen[key] then
        fail("keys() listed a key twice. List each key that is there once.")
      elseif key:sub(1, #prefix) ~= prefix then
        fail("keys() listed a key that does not begin with the prefix. The prefix is plain text: ",
          "escape what the storage takes for a pattern.")
      end
      seen[key] = true
      if on_key then
        on_key(key)
      end
    end
    cursor = more
    if cursor == nil then
      return seen
    end
  end
  fail("keys() still had a next cursor after ", MOST_PAGES, " pages. Return nil for it after the ",
    "last page.")
end

local function expect_listed(seen, handlers, when)
  for key in pairs(handlers) do
    if not seen[key] then
      fail("keys() did not list a key that is there", when, ". List each that begins with the ",
        "prefix.")
    end
  end
end

--- What the texts all begin with.
local function common_prefix(texts)
  local prefix = next(texts)
  for text in pairs(texts) do
    while text:sub(1, #prefix) ~= prefix do
      prefix = prefix:sub(1, -2)
    end
  end
  return prefix
end

--- The first handler, with its store, and a table of some that hold tokens, by key.
local function fill(new)
  local first, handlers = new(), {}
  local store = first.store
  if not (store and first.key and store.keys) then
    return nil
  end
  for i = 1, COUNT do
    local handler = i == 1 and first or new()
    checks.save(handler, checks.new_token(i))
    handlers[handler.key] = handler
  end
  return first, store, handlers
end

local function remove(handlers, key)
  local handler = handlers[key]
  handlers[key] = nil
  if handler then
    checks.check_done("remove_cached_token", checks.call(handler, "remove_cached_token"))
  end
end

---@param it function  busted's
---@param new fun(): any, string
return function(it, new)
  it("lists its keys, if it is over a store with keys", function()
    local first, store, handlers = fill(new)
    if not first then
      return
    end
    local prefix = common_prefix(handlers)
    expect_listed(list(store, prefix), handlers, "")
    for key, handler in pairs(handlers) do
      expect_listed(list(store, key), { [key] = handler }, ", and is the prefix itself")
    end
    if next(list(store, prefix .. "*")) or next(list(store, prefix .. "%")) then
      fail("keys() took its prefix for a pattern. It is plain text.")
    end
    local handle = checks.has(first, "try_lock") and checks.lock(first)
    if checks.has(first, "set_mark") then
      checks.check_done("set_mark", checks.call(first, "set_mark", "a mark", 60))
    end
    for _, reserved in ipairs { reserved_key.of_lock "", reserved_key.of_mark "" } do
      if next(list(store, reserved)) then
        fail("keys() listed a key that begins with ", reserved, ". Leave out what no token has.")
      end
    end
    if handle then
      checks.unlock(first, handle)
    end
  end)

  it("lists the rest while keys are removed, if it is over a store with keys", function()
    local first, store, handlers = fill(new)
    if not first or not checks.has(first, "remove_cached_token") then
      return
    end
    local prefix, stays, listed = common_prefix(handlers), {}, 0
    for key, handler in pairs(handlers) do
      listed = listed + 1
      stays[key] = listed % 2 == 0 and handler or nil
    end
    local seen = list(store, prefix, function(key)
      if not stays[key] then
        remove(handlers, key)
      end
    end)
    expect_listed(seen, stays, " while others are removed")
    for key in pairs(list(store, prefix)) do
      if not stays[key] then
        fail("keys() listed a key after its entry had been removed.")
      end
    end
  end)
end
