--- What the tests of the contract have in common. Each failure says what is wrong with the handler
--- and what to do about it.

local compare = require "tokencache.testing.compare"
local errors = require "tokencache.error"

local checks = {}

checks.LOCK_TTL = 30 -- seconds; longer than any of the tests takes

function checks.fail(...)
  package.loaded.busted.fail(table.concat { ... }, 3)
end

--- Calls a method; what it raises fails the test.
function checks.call(handler, method, ...)
  local ok, result, err, more = pcall(handler[method], handler, ...)
  if not ok then
    checks.fail(method, "() raised: ", tostring(result), ". What can go wrong at run time is ",
      "returned as nil and an error.")
  end
  return result, err, more
end

function checks.check_done(method, result, err)
  if errors.has_failed(result, err) then
    checks.fail(method, "() failed: it returned ", compare.show(result), ", ", compare.show(err),
      ". On success return true or nothing.")
  end
end

function checks.save(handler, token)
  checks.check_done("save_token_to_cache", checks.call(handler, "save_token_to_cache", token))
end

--- What is in the storage itself, also of a handler that else may return an old copy.
local function read(handler)
  return checks.call(handler, "get_cached_token", handler.may_be_stale)
end

function checks.expect_token(handler, wanted, advice)
  local got, err = read(handler)
  if err ~= nil then
    checks.fail("get_cached_token() failed after a save: ", tostring(err))
  end
  local difference = compare.difference(wanted, got)
  if difference then
    checks.fail("get_cached_token() did not return what was saved: ", difference, ". ", advice)
  end
end

function checks.expect_miss(handler, when)
  local got, err = read(handler)
  if got ~= nil then
    checks.fail("get_cached_token() returned ", compare.show(got), " ", when,
      ". Return nil for a miss.")
  elseif err ~= nil then
    checks.fail("get_cached_token() returned nil and an error ", when, ": ", tostring(err),
      ". A miss is no failure: return nil alone.")
  end
end

function checks.has(handler, method)
  return handler[method] ~= nil
end

--- Declares a test for handlers that have all these methods; it says nothing of others.
---@param it function   busted's
---@param new fun(): any, string  makes an empty handler and its name
---@param needs string  the methods' names, with blanks in between
---@param name string   the test's
---@param body fun(handler: any, name: string)
function checks.test(it, new, needs, name, body)
  it(name, function()
    local handler, handler_name = new()
    for method in needs:gmatch("%S+") do
      if not checks.has(handler, method) then
        return
      end
    end
    body(handler, handler_name)
  end)
end

function checks.new_token(number)
  return { access_token = "BQC-" .. number, expires_at = 4102444800 + number }
end

-- by handle: a lock may end with its guard
checks.guards = {}

function checks.lock(handler, ttl)
  local handle, more = checks.call(handler, "try_lock", ttl or checks.LOCK_TTL)
  if not handle then
    checks.fail("try_lock() returned ", compare.show(handle), ", ", compare.show(more),
      " for a lock that nobody holds. Return a handle.")
  end
  checks.guards[handle] = more
  return handle
end

---@param handler any
---@param why? "owed"  beside false
function checks.expect_locked(handler, why)
  local handle, err = checks.call(handler, "try_lock", checks.LOCK_TTL)
  if handle ~= false then
    checks.fail("try_lock() returned ", compare.show(handle), ", ", compare.show(err),
      " for a lock that is held. Return false at once: the caller waits and asks again.")
  elseif err ~= why then
    checks.fail("try_lock() returned false, ", compare.show(err), ". Beside false return ",
      '"owed" after keep_lock(), as long as the lock is held, and else nothing.')
  end
end

function checks.unlock(handler, handle)
  checks.guards[handle] = nil
  checks.check_done("unlock", checks.call(handler, "unlock", handle))
end

return checks
