--- The busted suite that every cache handler must pass, ours or yours. Each failure says what is
--- wrong with the handler and what to do about it.

local checks = require "tokencache.testing.checks"
local compare = require "tokencache.testing.compare"
local entry_tests = require "tokencache.testing.entry"
local io = require "tokencache.io"
local key_tests = require "tokencache.testing.keys"
local options = require "tokencache.util.options"
local samples = require "tokencache.testing.tokens"

local LOCK_TTL = checks.LOCK_TTL
local SHORT_LOCK_TTL = 1
local PATIENCE = 10 -- seconds for a lock of SHORT_LOCK_TTL to end

--- As much as a test of a handler that yields needs; more is a handler that never returns.
local MAX_YIELDS = 10000

local call, check_done, expect_miss, expect_token, fail, has, new_token, save =
  checks.call, checks.check_done, checks.expect_miss, checks.expect_token, checks.fail, checks.has,
  checks.new_token, checks.save
local expect_locked, guards, lock, test, unlock =
  checks.expect_locked, checks.guards, checks.lock, checks.test, checks.unlock

local function test_interface(it, new)
  for _, method in ipairs { "get_cached_token", "save_token_to_cache" } do
    it("has the method " .. method, function()
      if not has(new(), method) then
        fail("the handler has no method ", method, ". It needs get_cached_token(self) and ",
          "save_token_to_cache(self, token_info).")
      end
    end)
  end
end

local function test_get_and_save(it, new)
  it("returns nil and no error while it is empty", function()
    local handler = new()
    expect_miss(handler, "from an empty cache")
    expect_miss(handler, "from an empty cache, asked again")
  end)

  for _, sample in ipairs(samples) do
    it("keeps " .. sample.name, function()
      local handler = new()
      save(handler, compare.copy(sample.token))
      expect_token(handler, sample.token, sample.advice)
    end)
  end

  it("returns the token again at every call", function()
    local handler = new()
    save(handler, new_token(1))
    for _ = 1, 3 do
      expect_token(handler, new_token(1), "Reading must not remove it.")
    end
  end)

  it("replaces the whole token at a save", function()
    local handler = new()
    for _, sample in ipairs(samples) do
      save(handler, compare.copy(sample.token))
      expect_token(handler, sample.token,
        "A save replaces what was there: no field of the old token may stay, and no old copy be "
        .. "returned.")
    end
  end)

  it("leaves the table that is saved as it was", function()
    for _, sample in ipairs(samples) do
      local token, handler = compare.copy(sample.token), new()
      save(handler, token)
      call(handler, "get_cached_token")
      local difference = compare.difference(sample.token, token)
      if difference or getmetatable(token) ~= nil then
        fail("save_token_to_cache() changed the table it was given: ",
          difference or "it has a metatable now", ". The caller goes on using it: change a copy.")
      end
    end
  end)

  it("keeps the tokens of two handlers apart", function()
    local one, two = new(), new()
    save(one, new_token(1))
    expect_miss(two, "where only a handler of another name had saved")
    save(two, new_token(2))
    local advice = "make_handler gets another name for each handler: build the key with it."
    expect_token(one, new_token(1), advice)
    expect_token(two, new_token(2), advice)
  end)

  it("works inside a coroutine, also one that it yields from", function()
    local handler = new()
    local thread = coroutine.create(function()
      handler:save_token_to_cache(new_token(1))
      return handler:get_cached_token()
    end)
    local yields, ok, got = 0, coroutine.resume(thread)
    while ok and coroutine.status(thread) == "suspended" and yields < MAX_YIELDS do
      yields = yields + 1
      ok, got = coroutine.resume(thread)
    end
    if not ok then
      fail("the handler raised inside a coroutine: ", tostring(got))
    elseif yields == MAX_YIELDS then
      fail("the handler still yields after ", yields, " times: a method must come to an end.")
    end
    local difference = compare.difference(new_token(1), got)
    if difference then
      fail("inside a coroutine get_cached_token() did not return what was saved: ", difference)
    end
  end)
end

local function test_remove(it, new)
  test(it, new, "remove_cached_token",
    "removes the token, if it has remove_cached_token", function(handler)
    check_done("remove_cached_token", call(handler, "remove_cached_token")) -- nothing there: fine
    save(handler, new_token(1))
    check_done("remove_cached_token", call(handler, "remove_cached_token"))
    expect_miss(handler, "after remove_cached_token()")
    check_done("remove_cached_token", call(handler, "remove_cached_token"))
    save(handler, new_token(2))
    expect_token(handler, new_token(2), "After a removal the handler must work as before.")
  end)
end

local function is_plain(value)
  if type(value) == "table" then
    for name, field in pairs(value) do
      if not is_plain(name) or not is_plain(field) then
        return false
      end
    end
    return getmetatable(value) == nil
  end
  return type(value) == "string" or type(value) == "number" or type(value) == "boolean"
end

local function extend(handler, handle, wanted, when)
  local held, err = call(handler, "extend_lock", handle, LOCK_TTL)
  if held ~= wanted then
    fail("extend_lock() returned ", compare.show(held), ", ", compare.show(err),
      " for a lock that ", when, ". Return true while the handle holds the lock, and false after.")
  end
end

--- A lock with a guard need not end by time.
local function wait_until_ended(handler)
  local deadline = io.monotonic() + PATIENCE
  local handle, more
  repeat
    io.sleep(0.05)
    handle, more = call(handler, "try_lock", LOCK_TTL)
  until handle or io.monotonic() > deadline
  if not handle then
    fail("try_lock(ttl) took a lock for ", SHORT_LOCK_TTL, " s, and it was still held after ",
      PATIENCE, " s. A lock whose holder died must end by itself; one that does not needs a guard.")
  end
  guards[handle] = more
  return handle
end

local function test_lock(it, new)
  it("has both try_lock and unlock, or neither", function()
    local handler = new()
    if has(handler, "try_lock") ~= has(handler, "unlock") then
      fail("the handler has only one of try_lock(self, ttl) and unlock(self, handle). ",
        "It needs both, or neither.")
    end
  end)

  test(it, new, "try_lock", "lets one hold the lock at a time, if it has one", function(handler)
    local handle = lock(handler)
    expect_locked(handler)
    unlock(handler, handle)
    unlock(handler, lock(handler))
  end)

  test(it, new, "try_lock", "gives a handle of plain data, if it has a lock", function(handler)
    local handle = lock(handler)
    unlock(handler, handle)
    if not (is_plain(handle) and handle ~= true) then
      fail("try_lock() returned a ", type(handle), " that is not plain data. A handle may travel ",
        "to another thread: make it a string, a number, or a table of such.")
    end
  end)

  test(it, new, "try_lock", "keeps the locks of two handlers apart, if it has them", function(one)
    local two = new()
    local handle = lock(one)
    unlock(two, lock(two))
    expect_locked(one)
    unlock(one, handle)
  end)
end

local function test_lock_life(it, new)
  test(it, new, "try_lock",
    "leaves a lock alone that another has taken since, if it has one", function(handler)
    local old = lock(handler)
    unlock(handler, old)
    local handle = lock(handler)
    unlock(handler, old) -- ended already: no failure
    expect_locked(handler)
    unlock(handler, handle)
  end)

  test(it, new, "extend_lock",
    "extends a lock while it is held, if it has extend_lock", function(handler)
    local old = lock(handler)
    extend(handler, old, true, "is held")
    expect_locked(handler)
    unlock(handler, old)
    extend(handler, old, false, "was released")
    local handle = lock(handler)
    extend(handler, old, false, "another holds")
    extend(handler, handle, true, "is held")
    unlock(handler, handle)
  end)

  test(it, new, "keep_lock",
    "tells the others that its holder owes a token, if it has keep_lock", function(handler)
    local owing = lock(handler)
    expect_locked(handler)
    local held, err = call(handler, "keep_lock", owing, LOCK_TTL)
    if held ~= true then
      fail("keep_lock() returned ", compare.show(held), ", ", compare.show(err),
        " for a lock that is held. Return true.")
    end
    expect_locked(handler, "owed")
    unlock(handler, owing)
    local handle = lock(handler)
    expect_locked(handler)
    unlock(handler, handle)
  end)

  test(it, new, "try_lock",
    "ends a lock after its time to live, unless it is extended or has a guard, if it has one",
    function(handler)
      local extended = new()
      local kept = lock(extended, SHORT_LOCK_TTL)
      local old = lock(handler, SHORT_LOCK_TTL)
      if guards[old] == nil then
        if has(handler, "extend_lock") then
          extend(extended, kept, true, "is held")
        end
        local handle = wait_until_ended(handler)
        unlock(handler, old)
        expect_locked(handler)
        if has(handler, "extend_lock") then
          expect_locked(extended) -- though it was taken first
        end
        old = handle
      end
      unlock(handler, old)
      unlock(extended, kept)
    end)
end

local function test_reopened(it, new, reopen)
  it("reads what another handler on the same storage saved", function()
    local one, name = new()
    local two = reopen(name)
    save(one, new_token(1))
    expect_token(two, new_token(1), "Both handlers of a name must use the same entry.")
    save(two, new_token(2))
    expect_token(one, new_token(2),
      "Another handler may have saved meanwhile: look into the storage each time.")
    if has(one, "remove_cached_token") then
      check_done("remove_cached_token", call(one, "remove_cached_token"))
      expect_miss(two, "after another handler on the same storage had removed the token")
    end
  end)

  test(it, new, "try_lock",
    "sees the lock of another handler on the same storage, if it has one", function(one, name)
    local two = reopen(name)
    local handle = lock(one)
    expect_locked(two)
    unlock(two, compare.copy(handle)) -- the handle is all it takes
    unlock(two, lock(two))
  end)
end

--- Names differ from run to run: the storage may still hold what an earlier one left.
local function name_maker()
  local run = ("%x-%s"):format(os.time(), tostring({}):match("%w+$"))
  local count = 0
  return function()
    count = count + 1
    return ("contract-%s-%d"):format(run, count)
  end
end

--- What `make_handler` made, so that each test leaves the storage as it was.
local function handler_maker(make_handler)
  local next_name, made = name_maker(), {}
  local function new()
    local name = next_name()
    local handler = make_handler(name)
    if type(handler) ~= "table" and type(handler) ~= "userdata" then
      fail("make_handler returned ", compare.show(handler),
        ". It must return the handler, a table or userdata.")
    end
    made[#made + 1] = handler
    return handler, name
  end
  local function clean_up()
    for i, handler in ipairs(made) do
      made[i] = nil
      if has(handler, "remove_cached_token") then
        pcall(handler.remove_cached_token, handler)
      end
      if has(handler, "set_mark") then
        pcall(handler.set_mark, handler, nil)
      end
    end
  end
  return new, clean_up
end

---@class tokencache.ContractOptions
---@field reopen? fun(name: string): table|userdata  makes a second handler on the same storage as
---                      the one made under that name; give it where storage is shared

--- Declares the suite; call it in a busted spec, inside or outside of a `describe`.
---@param make_handler fun(name: string): table|userdata  makes an empty handler. The name is new at
---   each call; handlers of different names must not share an entry. It may hold letters, digits
---   and dashes.
---@param opts? tokencache.ContractOptions
return function(make_handler, opts)
  local busted = package.loaded.busted
  if type(busted) ~= "table" or not busted.describe then
    error("testing.contract: call it in a spec that busted runs", 2)
  end
  options.check("testing.contract", { make_handler = make_handler },
    { make_handler = { "callable", required = true } })
  local reopen = options.check("testing.contract", opts, { reopen = { "callable" } }).reopen

  busted.describe("contract of cache handlers:", function()
    local new, clean_up = handler_maker(make_handler)
    busted.after_each(clean_up)
    test_interface(busted.it, new)
    test_get_and_save(busted.it, new)
    test_remove(busted.it, new)
    test_lock(busted.it, new)
    test_lock_life(busted.it, new)
    entry_tests.test_entry(busted.it, new)
    entry_tests.test_mark(busted.it, new)
    key_tests(busted.it, new)
    if reopen then
      test_reopened(busted.it, new, reopen)
      entry_tests.test_reopened(busted.it, new, reopen)
    end
  end)
end
