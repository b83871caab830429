--- Tests of what a handler may know beyond its token: the entry that it read, the mark beside it,
--- and the account's name. Each is for handlers that have the methods.

local checks = require "tokencache.testing.checks"
local compare = require "tokencache.testing.compare"
local io = require "tokencache.io"

local call, check_done, expect_miss, expect_token, fail, has, new_token, save, test =
  checks.call, checks.check_done, checks.expect_miss, checks.expect_token, checks.fail, checks.has,
  checks.new_token, checks.save, checks.test

local MARK_TTL = 60 -- seconds; longer than any of these tests takes
local PATIENCE = 5  -- seconds for a mark of one to end

local entry_tests = {}

--- The third result of a look.
local function read_entry(handler, method)
  local _, err, entry = call(handler, method or "get_cached_token", handler.may_be_stale)
  if err ~= nil then
    fail("get_cached_token() failed after a save: ", tostring(err))
  elseif entry == nil then
    fail(method or "get_cached_token", "() returned a token and no third result. A handler with ",
      "replace_cached_token or can_save returns token_info, nil, entry; entry stands for exactly ",
      "what was read.")
  end
  return entry
end

local function expect_replaced(handler, entry, token, when, handle)
  local replaced, err = call(handler, "replace_cached_token", entry, token, nil, handle)
  if replaced ~= true then
    fail("replace_cached_token() returned ", compare.show(replaced), ", ", compare.show(err), " ",
      when, ". Save then, and return true.")
  end
  expect_token(handler, token, "replace_cached_token() returned true, so it must have saved.")
end

--- `kept`: the token that must still be there; nil: none.
local function expect_refused(handler, entry, kept, when, handle)
  local replaced, why = call(handler, "replace_cached_token", entry, new_token(9), nil, handle)
  if replaced ~= false then
    fail("replace_cached_token() returned ", compare.show(replaced), ", ", compare.show(why), " ",
      when, ". Leave what is there alone, and return false.")
  end
  if kept then
    expect_token(handler, kept, "replace_cached_token() returned false, so it must not have saved.")
  else
    expect_miss(handler, "after a replace_cached_token() that returned false")
  end
  return why
end

local function test_replace(it, new)
  test(it, new, "replace_cached_token",
    "replaces what was read and nothing else, if it has replace_cached_token", function(handler)
    save(handler, new_token(1))
    local old = read_entry(handler)
    expect_replaced(handler, old, new_token(2),
      "though nothing had changed since the entry was read")
    expect_refused(handler, old, new_token(2), "though another token had been saved since")
    expect_refused(handler, nil, new_token(2), "for no entry, though there is a token")
    if has(handler, "peek_cached_token") then
      expect_replaced(handler, read_entry(handler, "peek_cached_token"), new_token(3),
        "for the entry that peek_cached_token() returned")
    end
  end)

  test(it, new, "replace_cached_token remove_cached_token",
    "puts back nothing that was removed, if it has replace_cached_token", function(handler)
    save(handler, new_token(1))
    local old = read_entry(handler)
    check_done("remove_cached_token", call(handler, "remove_cached_token"))
    local why = expect_refused(handler, old, nil, "though the token had been removed since")
    if why ~= "gone" then
      fail("replace_cached_token() returned false, ", compare.show(why), " though the token had ",
        'been removed since. Return false, "gone" where nothing is there any more.')
    end
    expect_replaced(handler, nil, new_token(2), "for no entry, where there is none")
  end)

  test(it, new, "replace_cached_token remove_cached_token",
    "removes only the entry that was read, if it has entries", function(handler)
    save(handler, new_token(1))
    local old = read_entry(handler)
    save(handler, new_token(2))
    check_done("remove_cached_token", call(handler, "remove_cached_token", old))
    expect_token(handler, new_token(2), "remove_cached_token(entry) must leave alone what was "
      .. "saved since that entry was read.")
    check_done("remove_cached_token", call(handler, "remove_cached_token", read_entry(handler)))
    expect_miss(handler, "after remove_cached_token(entry) for the entry that was there")
    check_done("remove_cached_token", call(handler, "remove_cached_token", old)) -- gone: fine
  end)

  test(it, new, "replace_cached_token try_lock",
    "replaces under a lock, unless another holds it, if it has both", function(handler)
    save(handler, new_token(1))
    local mine = checks.lock(handler)
    expect_replaced(handler, read_entry(handler), new_token(2), "under a lock that is held", mine)
    checks.unlock(handler, mine)
    expect_replaced(handler, read_entry(handler), new_token(3),
      "under a lock that has ended and that nobody has taken since", mine)
    if handler.replaces_in_two_steps then
      return
    end
    local other = checks.lock(handler)
    expect_refused(handler, read_entry(handler), new_token(3),
      "under a lock that another has taken since", mine)
    checks.unlock(handler, other)
  end)
end

local function test_can_save(it, new)
  test(it, new, "can_save",
    "shows that it can save, and changes nothing by it, if it has can_save", function(handler)
    save(handler, new_token(1))
    local first = read_entry(handler)
    local kept, err = call(handler, "can_save", first, new_token(1))
    if kept == nil or kept == false then
      fail("can_save() returned ", compare.show(kept), ", ", compare.show(err), " for the entry ",
        "that is there. Return the entry that is there then: the same one, or the padded one.")
    end
    expect_token(handler, new_token(1), "can_save() must leave the token as it is.")
    if has(handler, "replace_cached_token") then
      expect_replaced(handler, kept, new_token(2), "for the entry that can_save() returned")
    else
      save(handler, new_token(2))
    end
    kept, err = call(handler, "can_save", first, new_token(1))
    if kept ~= false then
      fail("can_save() returned ", compare.show(kept), ", ", compare.show(err), " though another ",
        "token had been saved since the entry was read. Return false, and write nothing.")
    end
    expect_token(handler, new_token(2), "can_save() must not undo what another saved.")
  end)
end

---@param it function   busted's
---@param new fun(): any, string  makes an empty handler and its name
function entry_tests.test_entry(it, new)
  test_replace(it, new)
  test_can_save(it, new)

  test(it, new, "account_id", "tells its account from others, if it has account_id", function(one)
    local two = new()
    local identity, key = call(one, "account_id")
    if identity == nil or type(key) ~= "string" then
      fail("account_id() returned ", compare.show(identity), ", ", compare.show(key),
        ". Return what the storage is known by, and the account's key there, a string.")
    end
    local identity_again, key_again = call(one, "account_id")
    if not rawequal(identity, identity_again) or key ~= key_again then
      fail("account_id() returned something else at the second call. An account has one name.")
    end
    local other_identity, other_key = call(two, "account_id")
    if rawequal(identity, other_identity) and key == other_key then
      fail("account_id() returned the same for two handlers of different names. What is known ",
        "about one account must not be taken for the other's.")
    end
  end)
end

local function set_mark(handler, text, ttl)
  check_done("set_mark", call(handler, "set_mark", text, ttl))
end

local function expect_mark(handler, wanted, when)
  local text, err = call(handler, "get_mark")
  if text ~= wanted or err ~= nil then
    fail("get_mark() returned ", compare.show(text), ", ", compare.show(err), " ", when, ". ",
      wanted and "Return the text that was set." or "Return nil where there is no mark.")
  end
end

---@param it function
---@param new fun(): any, string
function entry_tests.test_mark(it, new)
  it("has both get_mark and set_mark, or neither", function()
    local handler = new()
    if has(handler, "get_mark") ~= has(handler, "set_mark") then
      fail("the handler has only one of get_mark(self) and set_mark(self, text, ttl). It needs ",
        "both, or neither.")
    end
  end)

  test(it, new, "get_mark", "keeps a mark beside the token, if it has marks", function(one)
    local two = new()
    expect_mark(one, nil, "where none was set")
    set_mark(one, "logged out\nat noon", MARK_TTL)
    expect_mark(one, "logged out\nat noon", "after set_mark()")
    expect_miss(one, "where only a mark had been set")
    expect_mark(two, nil, "where only a handler of another name had set one")
    save(one, new_token(1))
    expect_mark(one, "logged out\nat noon", "after a save")
    if has(one, "remove_cached_token") then
      check_done("remove_cached_token", call(one, "remove_cached_token"))
      expect_mark(one, "logged out\nat noon", "after remove_cached_token()")
      save(one, new_token(1))
    end
    set_mark(one, nil)
    expect_mark(one, nil, "after set_mark(nil)")
    expect_token(one, new_token(1), "set_mark() must leave the token as it is.")
    set_mark(one, nil) -- nothing there: fine
  end)

  test(it, new, "get_mark", "ends a mark after its time to live, if it has marks", function(handler)
    set_mark(handler, "x", 0.1) -- stores count in whole seconds, up to one more
    local deadline = io.monotonic() + PATIENCE
    while call(handler, "get_mark") ~= nil and io.monotonic() < deadline do
      io.sleep(0.05)
    end
    expect_mark(handler, nil, PATIENCE .. " s after set_mark(text, 0.1)")
  end)
end

---@param it function
---@param new fun(): any, string
---@param reopen fun(name: string): any
function entry_tests.test_reopened(it, new, reopen)
  test(it, new, "replace_cached_token",
    "leaves what another handler on the same storage saved, if it has replace_cached_token",
    function(one, name)
      local two = reopen(name)
      save(one, new_token(1))
      local entry = read_entry(two)
      expect_replaced(one, read_entry(one), new_token(2),
        "though nothing had changed since the entry was read")
      expect_refused(two, entry, new_token(2),
        "though another handler on the same storage had saved since")
    end)

  test(it, new, "get_mark",
    "sees the mark of another handler on the same storage, if it has marks", function(one, name)
    local two = reopen(name)
    set_mark(one, "x", MARK_TTL)
    expect_mark(two, "x", "after another handler on the same storage had set one")
    set_mark(two, nil)
    expect_mark(one, nil, "after another handler on the same storage had taken it away")
  end)
end

return entry_tests
