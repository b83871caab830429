--- What the tests of the contract have in common. Each failure says what is wrong with the handler
--- and what to do about it.

local compare = require "tokencache.testing.compare"
local errors = require "tokencache.error"

local LOCK_TTL = 30 -- seconds; longer than any of the tests takes

local function fail(...)
  package.loaded.busted.fail(table.concat { ... }, 3)
end

--- Calls a method; what it raises fails the test.
local function call(handler, method, ...)
  local ok, result, err, more = pcall(handler[method], handler, ...)
  if not ok then
    fail(method, "() raised: ", tostring(result), ". What can go wrong at run time is returned as ",
      "nil and an error.")
  end
  return result, err, more
end

local function check_done(method, result, err)
  if errors.has_failed(result, err) then
    fail(method, "() failed: it returned ", compare.show(result), ", ", compare.show(err),
      ". On success return true or nothing.")
  end
end

local function save(handler, token)
  check_done("save_token_to_cache", call(handler, "save_token_to_cache", token))
end

--- What is in the storage itself, also of a handler that else may return an old copy.
local function read(handler)
  return call(handler, "get_cached_token", handler.may_be_stale)
end

local function expect_token(handler, wanted, advice)
  local got, err = read(handler)
  if err ~= nil then
    fail("get_cached_token() failed after a save: ", tostring(err))
  end
  local difference = compare.difference(wanted, got)
  if difference then
    fail("get_cached_token() did not return what was saved: ", difference, ". ", advice)
  end
end

local function expect_miss(handler, when)
  local got, err = read(handler)
  if got ~= nil then
    fail("get_cached_token() returned ", compare.show(got), " ", when, ". Return nil for a miss.")
  elseif err ~= nil then
    fail("get_cached_token() returned nil and an error ", when, ": ", tostring(err),
      ". A miss is no failure: return nil alone.")
  end
end

local function has(handler, method)
  return handler[method] ~= nil
end

--- Declares a test for handlers that have all these methods; it says nothing of others.
---@param it function   busted's
---@param new fun(): any, string  makes an empty handler and its name
---@param needs string  the methods' names, with blanks in between
---@param name string   the test's
---@param body fun(handler: any, name: string)
local function test(it, new, needs, name, body)
  it(name, function()
    local handler, handler_name = new()
    for method in needs:gmatch("%S+") do
      if not has(handler, method) then
        return
      end
    end
    body(handler, handler_name)
  end)
end

local function new_token(number)
  return { access_token = "BQC-" .. number, expires_at = 1760003600 + number }
end

-- by handle: a lock may end with its guard
local guards = {} -- luacheck: ignore 241

local function lock(handler, ttl)
  local handle, more = call(handler, "try_lock", ttl or LOCK_TTL)
  if not handle then
    fail("try_lock() returned ", compare.show(handle), ", ", compare.show(more),
      " for a lock that nobody holds. Return a handle.")
  end
  guards[handle] = more
  return handle
end

local function expect_locked(handler)
  local handle, err = call(handler, "try_lock", LOCK_TTL)
  if handle ~= false then
    fail("try_lock() returned ", compare.show(handle), ", ", compare.show(err),
      " for a lock that is held. Return false at once: the caller waits and asks again.")
  end
end

local function unlock(handler, handle)
  guards[handle] = nil
  check_done("unlock", call(handler, "unlock", handle))
end

return {
  LOCK_TTL = LOCK_TTL,
  guards = guards,
  fail = fail,
  call = call,
  check_done = check_done,
  save = save,
  read = read,
  expect_token = expect_token,
  expect_miss = expect_miss,
  has = has,
  test = test,
  new_token = new_token,
  lock = lock,
  expect_locked = expect_locked,
  unlock = unlock,
}
