--- What the world knows and no process does: where the newest refresh token of each login is, whose
--- fault its loss is, and what a process could know. It notes as violations what must not be.
---
--- A login may be lost only for these reasons, each of which is noted when it occurs:
--- - the provider's answer did not reach the coroutine that asked (reply lost, process killed, or a
---   coroutine dropped where there are no timers), and asking again at once could not help;
--- - the process that had received the newest token died before a save took effect, and no other
---   worker of its nginx knows of it;
--- - the lock under which it was sent or owed came to its end in the store by itself, because its
---   holder was stopped for longer than it lived, could not reach the store to extend it, has no
---   timers to extend it for a debt, or is over a store that has none to extend;
--- - the store went back to an older state after who sent it had looked there, and who asked next
---   could not know that;
--- - the same between the two steps of a store that compares and writes in two;
--- - a clock was put, and the store could not tell which log outs there were before the login;
--- - it, or a login before it, could not be saved at once, and the clocks by which they were noted
---   said that it was the earlier one;
--- - it was logged out while another process owed it, over a handler that has no marks, or where a
---   mark could not be saved, as its caller was told;
--- - the store has no locks at all.

local keeper = require "simulation.keeper"
local nginx = require "simulation.nginx"
local times = require "simulation.times"

local Truth = {}
Truth.__index = Truth

local REMEMBERED = 8 -- spent refresh tokens that a process knows of each account

local ON_ITS_WAY = 0.1 -- seconds; so long an extension takes to the store
local UNASKED = 12.1   -- seconds that a lock may be taken for held without an answer: its life, and
                       -- what the answer took

local function is_in_force(self, lock)
  return lock ~= nil and not lock.ended and lock.ends > self.world.now
end

local function lacks_timers(process)
  return not process.has_timers or process.lacked_timer
end

--- Whether a lock that is in force no more ended through no fault of the code.
---@param owed boolean  it was kept for a debt, and not for a run
local function is_excused(self, lock, owed)
  if not lock then
    return false
  elseif lock.ended == "restored" or lock.ended == "died" then
    return true
  elseif lock.ended == "unlocked" then
    return false
  end
  return lock.trouble ~= nil or lock.process.is_dead
    or (owed and (lacks_timers(lock.process) or not self.world.store.kind.extend))
end

--- Whether the store has gone back to an older state since then.
function Truth:went_back_since(time)
  return self.restored_at ~= nil and self.restored_at >= time
end

--- Which process has received the newest token of the account.
function Truth:receiver_of(account)
  return self.world.provider.refresh[account.current.newest].receiver
end

local function excuse(self, family, why)
  family.excuses[#family.excuses + 1] = why
  self.world:note("  excuse", "login", family.id, why)
end

Truth.excuse = excuse

function Truth:on_lock(lock)
  local before = lock.process.locks[lock.name]
  lock.before = before and before.released_at and before.before or before
  lock.process.locks[lock.name] = lock
  local call = lock.task.call
  if call then
    call.locked_at, call.sent_at = self.world.now, nil
  end
end

--- The process knows that it has the lock.
function Truth.on_locked(task, handle)
  local lock = task.process.locks[handle.name]
  if task.call and lock.serial == handle.serial then
    task.call.lock, task.call.told = lock, nil
  end
end

--- The process lets go of a lock, whether it still is in force or not.
---@param now number
function Truth.on_release(now, task, handle)
  local lock = task.process.locks[handle.name]
  while lock and lock.serial ~= handle.serial do
    lock = lock.before
  end
  if lock then
    lock.released_at = now
  end
end

--- The process has been told whether it holds the lock. A call that holds it waits for it no more:
--- it may have taken over that of its process's debt.
---@param now number
function Truth.on_asked(now, task, handle, held)
  local lock = task.process.locks[handle.name]
  if lock and lock.serial == handle.serial and held ~= nil then
    lock.asked_at = now
    if held and task.call then
      task.call.told = nil
    end
    lock.is_known_lost = lock.is_known_lost or held == false
  end
end

---@param now number
---@param why? "owed"  what was told beside false
function Truth.on_busy(now, task, why)
  local call = task.call
  if call then
    call.busy_at = call.busy_at or now
    call.told = why
  end
end

function Truth.on_store_failure(task, method, key, fate)
  local lock = task.process.locks[key]
  if (method == "extend_lock" or method == "keep_lock") and lock and fate == "before" then
    lock.trouble = "it could not be extended"
  end
  if task.call and method == "get" then
    task.call.is_unread = true
  elseif task.call and method == "try_lock" then
    task.call.told = nil -- it waits for it no more
  end
  local accounts = task.process.world.accounts
  local marked = accounts[key:match("^tokencache%-mark:(.*)$")]
  if marked and method == "get" then
    marked.unread_by[task.process] = true
  elseif marked and method == "set" and fate == "before" then
    marked.is_unmarked = true
  elseif accounts[key] and (method == "set" or method == "replace") then
    accounts[key].unsaved_by[task.process] = true
  end
end

--- A log out that cannot have the lock does not keep others from saving a login that they owe, and
--- whose marks they have looked at just before.
local function note_first_save(self, account, family)
  local marked_at = account and account.marked_apart_at
  local looked_at = self.world.current.looked_at
  if not family.was_saved and marked_at and looked_at and looked_at < marked_at then
    family.has_escaped = true
    self.world:note("  excuse", "login", family.id, "was saved amid a log out without the lock")
  end
  family.was_saved = true
end

--- When a process knew of the login: its answer may have waited for a process that stood still.
local function logged_in_at(family)
  return family.received_at or family.at
end

--- Whoever logged in last counts: what was renewed of the login before is not saved over that. A
--- store that compares and writes in two steps may be late with the second.
function Truth:on_put(key, bytes)
  local world = self.world
  local tokens, call = world.provider.refresh, world.current.call
  local before, token = tokens[world.store:refresh_token_at(key)], tokens[bytes:match("rt%-%d+")]
  local account = world.accounts[token and key or key:match("^tokencache%-mark:(.*)$")]
  if call and account and not token then
    call.has_marked = true
    account.marked_apart_at = not is_in_force(self, call.lock) and world.now or nil
  elseif token then
    note_first_save(self, account, token.family)
    token.put_at = world.now
  end
  local lock = call and call.lock
  if token and token.spent and not world.store.kind.replace and lock
    and not is_in_force(self, lock) and is_excused(self, lock, false) then
    return excuse(self, token.family, "it was saved in two steps, and the lock ended between")
  elseif token and token.spent and call and call.is_login and not lock then
    return excuse(self, token.family, "it was saved late, without the lock that another kept")
  elseif token and token.spent and token.family.logged_out_at and world.store.kind.handlers then
    return excuse(self, token.family, "it was owed and logged out, and the handler has no marks")
  elseif not before or not token or world.has_jumped or token.is_given
    or not world.store.kind.replace or token.id == token.family.first then
    if before and token and times.is_taken_for_later(token.family, before.family) then
      excuse(self, before.family, "one that had waited was taken for later, and saved over it")
    end
    return
  elseif logged_in_at(before.family) - logged_in_at(token.family) > 2 then
    world:fail("a login is overwritten by what was renewed of the one before")
  end
end

--- Whether the store refuses every write of the process since the lock was taken.
local function cannot_write(self, process, since)
  local outages = self.world.faults.outages
  for i = 1, #outages do
    local outage = outages[i]
    if outage.write and outage.from <= since and outage.to > self.world.now
      and (not outage.process or outage.process == process.name) then
      return true
    end
  end
  return false
end

--- Whether the process could know that its lock has ended: it was told so, or has long not asked.
local function could_know(self, lock)
  if lock.is_known_lost then
    return true
  elseif self.world.store.kind.extend then
    return self.world.now - (lock.asked_at or lock.granted) > UNASKED
  end
  return lock.ended ~= "restored"
end

--- The lock under which a call works: its own, or one that it has taken over from a debt; of two
--- that its process believes to hold, as the store lost one, that which it has not let go of.
local function lock_of(self, process, account, call)
  local latest = process.locks[account]
  latest = latest and latest.released_at and latest.before or latest
  if call and call.lock and not call.lock.released_at then
    return call.lock
  end
  return is_in_force(self, latest) and latest or call and call.lock or latest
end

--- Whether the store can show that it takes a new entry; over nothing, only if it can replace that.
local function can_show(world, account)
  local kind = world.store.kind
  return kind.can_save and (kind.replace or world.store:refresh_token_at(account) ~= "")
end

local function check_lock(self, process, account, call)
  local lock = lock_of(self, process, account, call)
  if call and self:went_back_since(call.started) then
    return -- its lock may have gone with the store's other entries
  elseif not is_in_force(self, lock) and not is_excused(self, lock, false) then
    self.world:fail("a refresh token is sent without the account's lock")
  elseif not is_in_force(self, lock) and could_know(self, lock) then
    self.world:fail("a refresh token is sent under a lock that could be known to have ended")
  elseif lock and not lock.ended and can_show(self.world, account)
    and cannot_write(self, process, lock.granted) then
    self.world:fail("a refresh token is sent although the store cannot be written")
  end
end

function Truth:on_send(request)
  local world, process, call = self.world, request.process, request.task.call
  local token = request.refresh and world.provider.refresh[request.refresh]
  if not token then
    return
  end
  local account = token.family.account
  if not call then
    keeper.check(world, request, account)
  end
  if process.known_spent[token.id] then
    world:fail("a refresh token is sent that the process knows to be spent")
  elseif process.knows[account] == token.id then
    world:fail("a refresh token is sent that the process knows to be dead")
  end
  if world.store.kind.lock and world.provider.description.rotates_refresh_tokens ~= false then
    check_lock(self, process, account, call)
  end
  if call then -- which waits for nobody's lock any more
    call.sent_at, call.told = call.sent_at or world.now, nil
    call.renews = token.family
  end
  token.sent = (token.sent or 0) + 1
  request.lock = lock_of(self, process, account, call)
  self:check_need(request, token)
end

--- Without faults each refresh token is sent once; with them too, only when that is due.
function Truth:check_need(request, token)
  local world, call = self.world, request.task.call
  local may_be_asked = world.keeps_dead and not token.family.is_alive -- once by each process
  if world.provider.mode == "reuses" or not world.store.kind.lock or may_be_asked
    or (call and call.is_given) then
    return
  elseif world.is_calm and token.sent > 1 then
    world:fail("a refresh token is sent twice although nothing went wrong")
  end
  local access = world.provider.access[token.id:gsub("rt", "at")]
  local opts = not call and request.process.keeps_fresh
  local least = 61 + (opts and opts.margin + opts.jitter or 0)
  local is_fit = access and access.ends and access.ends - world.now > least
  if is_fit and not world.has_jumped
    and not (call and (call.is_forced or call.refused == access.id)) then
    world:fail("a token is renewed that serves")
  end
end

function Truth:on_arrival(request)
  local token = request.token
  if not token or request.response.status ~= 200 then
    return
  elseif request.lost or request.process.is_dead or request.task.gone then
    self:answer_lost(request)
  end
end

function Truth:answer_lost(request)
  local provider, token = self.world.provider, request.token
  token.troubles = (token.troubles or 0) + 1
  local could_repeat = provider.mode == "grace" and not request.process.is_dead
    and not request.task.gone and request.at + request.timeout - self.world.now > 0.1
  if provider.mode ~= "reuses" and (token.troubles > 1 or not could_repeat) then
    excuse(self, token.family, "the answer was lost")
  end
end

function Truth:on_lost(request)
  request.lost = true
  keeper.on_end(request, false)
  if request.arrived and request.token and request.response.status == 200 then
    self:answer_lost(request)
  elseif request.refresh then
    local token = self.world.provider.refresh[request.refresh]
    token.troubles = (token.troubles or 0) + 1
  end
  local call = request.task.call
  if call and not request.revoked then
    call.answered_at = self.world.now
  end
end

local function remember_spent(process, token)
  local account = token.family.account
  local list = process.spent_lists[account] or {}
  process.spent_lists[account] = list
  if process.known_spent[token.id] then
    return
  end
  list[#list + 1] = token.id
  process.known_spent[token.id] = true
  if #list > REMEMBERED then
    process.known_spent[table.remove(list, 1)] = nil
  end
end

function Truth:on_answer(request)
  local world, process = self.world, request.process
  local provider, call = world.provider, request.task.call
  if call and not request.revoked then
    call.answered_at = world.now
    call.offset = math.min(call.offset, process.clock.offset)
  end
  local status = request.response.status
  keeper.on_end(request, status == 200)
  if status == 200 and request.access then
    local access = provider.access[request.access]
    access.ends, access.noted_by = world.now + provider.expires_in, process.clock.offset
    local new = provider.refresh[request.new]
    if new then
      new.family.received_at = request.token == nil and world.now or new.family.received_at
      new.receiver, new.receiver_task = process, request.task
      new.is_given = call and call.is_given -- the caller has brought that login
    end
    if request.token and request.new ~= request.refresh then
      request.delivered_at = world.now
      remember_spent(process, request.token)
    end
  elseif request.refresh then
    local token = provider.refresh[request.refresh]
    token.troubles = (token.troubles or 0) + 1
    if status == 400 and not world.keeps_dead then
      process.knows[token.family.account] = token.id
    end
  end
end

--- The lock under which the successor of a spent token is owed, if it is.
local function lock_of_debt(self, spender, family)
  local is_owed = self.world.store:refresh_token_at(family.account) ~= family.newest
  return is_owed and spender.process.locks[family.account] or nil
end

--- Whether the sender took its lock after the successor had come, and so could be told of it.
local function was_told(request, spender)
  local since = spender.delivered_at
  return since ~= nil and request.lock ~= nil and request.lock.granted > since
end

--- A spent token has come again, and its login is over.
function Truth:on_replay(token, request)
  local spender, world = token.spent.request, self.world
  local family = token.family
  local function lock_excused(lock, owed)
    return not is_in_force(self, lock) and is_excused(self, lock, owed)
  end
  if family.excuses[1] then
    return
  elseif not world.store.kind.lock then
    excuse(self, family, "there are no locks")
  elseif self:went_back_since(spender.looked_at) then
    excuse(self, family, "the store went back")
  elseif not spender.delivered_at and (spender.lost or spender.process.is_dead
    or spender.task.gone) then
    excuse(self, family, "the answer was lost")
  elseif request.task.call and request.task.call.is_given then
    excuse(self, family, "the caller brought an old token")
  elseif request.lost then
    excuse(self, family, "a request came late, when nobody waited for its answer")
  elseif request.process.is_worker and was_told(request, spender)
    and nginx.keeps(world, spender.process, family.newest) then
    world:fail("a worker sends a spent refresh token although another has told it of the next one")
  elseif lock_excused(spender.lock, spender.delivered_at ~= nil)
    or lock_excused(lock_of_debt(self, spender, family), true) then
    excuse(self, family, "the lock of who spent it ended")
  elseif lock_excused(request.lock, false) then
    excuse(self, family, "the lock of who sends it ended")
  else
    world:fail("a spent refresh token is sent again, and its login is lost")
  end
end

function Truth:on_stop(process, seconds)
  for _, lock in pairs(process.locks) do
    if is_in_force(self, lock) and lock.ends - self.world.now < seconds + ON_ITS_WAY then
      lock.trouble = "its holder was stopped"
    end
  end
end

--- Logins whose newest token only this process, or this coroutine, had; or only the last worker,
--- where the one that had received it is gone.
local function lose_what_it_had(self, process, task)
  local world = self.world
  for key, account in pairs(world.accounts) do
    local family = account.current
    local newest = family and world.provider.refresh[family.newest]
    local receiver = newest and newest.receiver
    local had_it = receiver == process
      or receiver and receiver.is_dead and receiver.is_worker and process.is_worker
    if had_it and (not task or newest.receiver_task == task)
      and world.store:refresh_token_at(key) ~= newest.id
      and not nginx.keeps(world, receiver, newest.id) then
      excuse(self, family, "who had the newest token died")
    end
  end
end

function Truth:on_death(process)
  for _, lock in pairs(process.locks) do
    lock.trouble = "its holder died"
  end
  lose_what_it_had(self, process)
  self.world.store:on_death(process)
end

--- The client of a call has left. Where there are timers, nothing is lost by it.
function Truth:on_drop(task)
  local process = task.process
  if lacks_timers(process) then
    for _, lock in pairs(process.locks) do
      if lock.task == task then
        lock.trouble = "its coroutine was dropped"
      end
    end
    lose_what_it_had(self, process, task)
  end
end

function Truth:on_restore()
  local world = self.world
  self.restored_at = world.now
  for key, account in pairs(world.accounts) do
    local there = world.store:refresh_token_at(key)
    local token = there and world.provider.refresh[there]
    if account.current and (not token or token.family ~= account.current) then
      excuse(self, account.current, "the store went back to before the login")
    end
    for _, family in ipairs(account.families) do
      if family.logged_out_at then -- the mark is gone too; the login may come back, or not
        family.logged_out_at = nil
        excuse(self, family, "it was logged out before the store went back")
      end
    end
  end
end

return function(world)
  return setmetatable({ world = world }, Truth)
end
