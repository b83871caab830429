--- Judges what calls return and when they end.

local front = require "simulation.front"
local store = require "simulation.store"
local times = require "simulation.times"

local judge = {}

local REQUEST_TIME = 10 -- seconds: what flows have by default
local OPERATIONS = 20   -- of the store, around the request of a renewal

---@class simulation.Call
---@field account string
---@field what string
---@field timeout number
---@field started number
---@field ended? number
---@field refused? string
---@field is_forced? boolean

--- Seconds that a call may last at most.
local function longest(call)
  local process = call.task.process
  if call.is_log_out then
    return 3 * call.timeout + OPERATIONS * store.LONGEST
  elseif process.has_timers and not process.lacked_timer then
    return call.timeout + 2 * store.LONGEST + 0.2
  end
  return call.timeout + REQUEST_TIME + OPERATIONS * store.LONGEST
end

---@param world table
---@param call simulation.Call
function judge.check_time(world, call)
  local process = call.task.process
  if call.ended or call.task.gone or process.is_dead then
    return
  elseif world.now - call.started > longest(call) + process.stopped_seconds then
    world:fail("a call lasts too long: " .. call.what)
  end
end

--- Whether the process stood still up to the end of the token, from the answer to its request; or,
--- of a call that sent none, while what it had read already was saved.
local function was_stopped(call, access)
  return access.ends and (call.answered_at or call.started < access.ends)
    and call.task.process.stopped_until >= access.ends
end

--- Whether the token has ended, by the clocks of who received it and of who returns it; that may
--- have been put amid the call.
local function has_ended(world, call, access)
  if not access.ends then
    return true -- its answer never came
  end
  local behind = math.min(call.offset, call.task.process.clock.offset)
  return access.ends + (access.noted_by or 0) - behind <= world.now
end

local function check_token(world, call, token)
  local access = world.provider.access[token]
  if not access then
    return world:fail("a token that no provider gave out is returned")
  elseif access.family.account ~= call.account then
    return world:fail("a token of another account is returned")
  elseif token == call.refused then
    return world:fail("the refused token is returned")
  end
  local family = access.family
  if has_ended(world, call, access) and not was_stopped(call, access) then
    world:fail("an expired token is returned")
  elseif not world.has_jumped and family.logged_out_at and family.logged_out_at < call.started
    and world.store.kind.replace and not call.is_unread and not call.is_given
    and not family.has_escaped
    and not (call.task.from_front and front.may_be_behind(call.task.from_front, family)) then
    world:fail("a token is returned of a login that was logged out")
  end
end

---@param world table
---@param call simulation.Call
---@param token? string
---@param err any
function judge.ended(world, call, token, err)
  judge.check_time(world, call)
  call.ended, call.err = world.now, err
  world:note("returns", call.what, token or (err and ("%s: %s"):format(err.kind, err.message)))
  if token then
    check_token(world, call, token)
  elseif err and call.answered_at and call.lock and not call.is_login and not call.is_log_out
    and not call.is_given and err.kind ~= "timeout" then
    call.failed_at = call.lock.released_at -- until then nobody could know
  elseif err and err.kind == "timeout" and call.told and not call.is_login
    and not call.is_log_out then
    world:fail("a call that was told of a debt says only that its time is over")
  end
end

--- Who waited for the lock while another of the same process failed takes that failure, if both
--- renew the same login.
local function check_shared(world, failed, other)
  local at = failed.failed_at
  if other ~= failed and other.sent_at and other.renews == failed.renews
    and other.task.process == failed.task.process and other.busy_at and other.busy_at < at
    and other.locked_at and other.locked_at > at and other.started < at
    and other.sent_at > failed.ended then
    world:fail("a call sends a request although it waited for one that failed")
  end
end

--- What can be told at the end only.
function judge.finish(world)
  for _, call in ipairs(world.calls) do
    judge.check_time(world, call)
    if call.failed_at and not world.truth.restored_at then
      for _, other in ipairs(world.calls) do
        check_shared(world, call, other)
      end
    end
  end
end

--- Whether the login that the store holds has ended.
local function is_dead(world, account)
  local there = world.provider.refresh[world.store:refresh_token_at(account)]
  return there ~= nil and not there.family.is_alive
end

--- When all is quiet and nothing fails any more, every login that was not lost for a reason works.
function judge.final(world, call, token, err)
  local account = world.accounts[call.account]
  if not world.is_settled then
    return
  elseif not world.store.kind.lock or token or account.is_unclear or not account.current then
    return
  elseif err.kind == "timeout" and world.keeps_dead and is_dead(world, call.account) then
    return -- each process in turn asks about it
  elseif err.kind ~= "reauthorize" then
    return world:fail("a call fails although all works again: " .. err.kind .. ": " .. err.message)
  elseif not account.current.logged_out_at and not account.current.excuses[1]
    and not (world.has_jumped and account.unread_by[world.truth:receiver_of(account)])
    and not times.have_decided(account, world.truth:receiver_of(account)) then
    world:fail("a login is lost without a reason")
  end
end

return judge
