--- The clients of a virtual process: coroutines that call the methods of accounts.

local finish_login = require "tokencache.account.finish_login"
local judge = require "simulation.judge"

local client = {}

--- Begins a call and notes it.
local function begin(world, task, key, what, fields)
  local call = fields or {}
  call.account, call.what, call.task = key, what, task
  call.timeout, call.started = call.timeout or world.timeout, world.now
  call.offset = task.process.clock.offset
  task.call, task.from_front = call, nil
  world.calls[#world.calls + 1] = call
  world:note("calls", what, key, call.refused or "", call.timeout)
  return call
end

local function finish(world, call, token, err)
  judge.ended(world, call, token, err)
  call.task.call = nil
  return call
end

local calls = {}

function calls.get(world, task, key)
  local call = begin(world, task, key, "get_access_token")
  local token, err = task.process:account(key):get_access_token()
  task.latest[key] = token or task.latest[key]
  return finish(world, call, token, err)
end

function calls.get_soon(world, task, key)
  local timeout = world.random:pick { 0.02, 0.5, 3 }
  local call = begin(world, task, key, "get_access_token", { timeout = timeout })
  return finish(world, call, task.process:account(key):get_access_token { timeout = timeout })
end

function calls.info(world, task, key)
  local call = begin(world, task, key, "get_token_info")
  local info, err = task.process:account(key):get_token_info()
  task.infos[key] = task.infos[key] or info
  return finish(world, call, info and info.access_token, err)
end

function calls.forced(world, task, key)
  local call = begin(world, task, key, "get_access_token anew", { is_forced = true })
  return finish(world, call, task.process:account(key):get_access_token { check_cache = false })
end

function calls.refresh(world, task, key)
  local call = begin(world, task, key, "refresh_access_token", { is_forced = true })
  local info, err = task.process:account(key):refresh_access_token()
  return finish(world, call, info and info.access_token, err)
end

function calls.refused(world, task, key)
  local refused = task.latest[key]
  if not refused then
    return calls.get(world, task, key)
  end
  local call = begin(world, task, key, "get_access_token refused", { refused = refused })
  local token, err = task.process:account(key):get_access_token { refused = refused }
  task.latest[key] = token or refused
  return finish(world, call, token, err)
end

function calls.validate(world, task, key)
  local info = task.infos[key]
  if not info then
    return calls.info(world, task, key)
  end
  local call = begin(world, task, key, "validate_token", { is_given = true })
  local account = world.accounts[key]
  for _, family in ipairs(account.families) do
    family.logged_out_at = nil -- what the caller brings is a login again
  end
  account.is_unclear, account.bringing = true, account.bringing + 1
  local got, err = task.process:account(key):validate_token(info)
  if not err or err.kind ~= "timeout" then -- else it goes on
    account.bringing, account.brought_at = account.bringing - 1, world.now
  end
  return finish(world, call, got and got.access_token, err)
end

function calls.peek(world, task, key)
  local call = begin(world, task, key, "peek_access_token")
  local token = task.process:account(key):peek_access_token()
  return finish(world, call, token)
end

--- Who is logged in is unclear while two change that at the same time.
local function begin_change(account)
  account.changing = account.changing + 1
  account.is_clear = account.changing == 1
  account.is_unclear = true
end

local function end_change(world, call, account, is_done, family, err)
  if err and err.kind == "timeout" then
    return -- it goes on, for as long as it takes
  end
  is_done = is_done and not world.truth:went_back_since(call.started)
  account.changing = account.changing - 1
  if account.changing > 0 then
    account.is_clear = false
  end
  if is_done and account.is_clear then
    account.current, account.is_unclear = family, false
  end
end

local function log_in(world, task, key, how)
  local account, code = world.accounts[key], world.provider:new_code(key)
  local call = begin(world, task, key, "login " .. how, { is_login = true })
  call.timeout = (how == "by function" and 2 or 1) * world.timeout
  begin_change(account)
  local object, flow = task.process:account(key)
  local response = { code = code, redirect_uri = flow.redirect_uri }
  local info, err
  if how == "by function" then
    info, err = finish_login(flow, response, function()
      task.process:note_asked(flow, key)
      return key
    end)
  else
    info, err = object:_redeem(response, flow.timeout)
  end
  local family = world.provider.codes[code].family
  if family then
    account.families[#account.families + 1] = family
  end
  local is_done = info ~= nil and call.lock ~= nil -- without its lock another may remove it
  end_change(world, call, account, is_done, family, err)
  return finish(world, call, info and info.access_token, err)
end

function calls.login(world, task, key)
  return log_in(world, task, key, "by key")
end

function calls.login_by_function(world, task, key)
  if world.store.kind.handlers then
    return calls.login(world, task, key) -- the function would tell a key of the flow's store
  end
  return log_in(world, task, key, "by function")
end

--- Logins are noted in whole seconds: a log out that goes on when its time is over cannot tell one
--- of the second in which it began from a later one.
local function has_one_of_its_second(world, account, call)
  for _, family in ipairs(account.families) do
    local at = family.received_at
    if at and (world.has_jumped or math.floor(at) >= math.floor(call.started)) then
      return true
    end
  end
  return false
end

local function log_out(world, task, key, method)
  local account = world.accounts[key]
  local timeout = world.random:chance(0.3) and world.random:pick { 0.02, 0.5, 3 } or world.timeout
  local call = begin(world, task, key, method, { is_log_out = true, timeout = timeout })
  local count = #account.families
  local there = world.provider.refresh[world.store:refresh_token_at(key)]
  there = there and there.family
  begin_change(account)
  account.is_unmarked = nil
  local object = task.process:account(key)
  local ok, err = object[method](object, { timeout = timeout })
  if account.is_unmarked and there and world.store:refresh_token_at(key) == "" then
    world.truth:excuse(there, "it was removed, and who owed it could not be told")
  end
  ok = ok and not (err and err.kind == "cache")
    and not world.truth:went_back_since(call.started)
  local is_late = world.now > call.started + timeout
  if account.bringing > 0 or account.brought_at >= call.started
    or is_late and has_one_of_its_second(world, account, call) then
    account.is_clear = false
  end
  if ok and account.is_clear then
    for i = 1, count do
      local family = account.families[i]
      if call.has_marked or family == there then
        family.logged_out_at = family.logged_out_at or world.now
        family.logged_out_by = task.process
      else -- nobody there knew of the login, which may still be saved, or not
        table.insert(family.excuses, "it was logged out where it was not known")
      end
    end
  end
  end_change(world, call, account, ok, account.current, err)
  finish(world, call, nil, err)
  if err and err.kind == "timeout" and world.random:chance(0.5) then
    return calls.login(world, task, key)
  end
end

function calls.remove(world, task, key)
  return log_out(world, task, key, "remove")
end

function calls.log_out(world, task, key)
  return log_out(world, task, key, "log_out")
end

local WEIGHTS = {
  { 55, "get" }, { 6, "get_soon" }, { 5, "info" }, { 6, "forced" }, { 3, "refresh" },
  { 9, "refused" }, { 3, "validate" }, { 3, "peek" },
}
local WEIGHTS_OF_CHANGES = {
  { 40, "get" }, { 10, "forced" }, { 12, "login" }, { 6, "login_by_function" },
  { 10, "remove" }, { 8, "log_out" },
  { 14, "info" },
}

--- A client that makes some calls, with pauses between.
function client.start(world, process)
  local random = world.random
  local count = random:integer(1, 4)
  local serial = process.clients + 1
  process.clients = serial
  local task
  task = world:spawn(process, "client" .. serial, random:between(0, world.eagerness), function()
    for _ = 1, count do
      local weights = random:chance(world.unrest) and WEIGHTS_OF_CHANGES or WEIGHTS
      local key = random:pick(world.keys)
      calls[random:weighted(weights)](world, task, key)
      world:pause(random:weighted(world.pauses))
    end
  end)
  task.latest, task.infos = {}, {}
end

--- After everything: each account is asked for.
function client.start_final(world, process, seconds)
  local task
  task = world:spawn(process, "final", seconds, function()
    for _, key in ipairs(world.keys) do
      world:pause(world.random:between(0, 0.02))
      local call = begin(world, task, key, "get_access_token")
      local token, err = task.process:account(key):get_access_token()
      finish(world, call, token, err)
      judge.final(world, call, token, err)
    end
  end)
  task.latest, task.infos = {}, {}
end

--- The client goes away in the middle of whatever it does.
function client.drop(world, task)
  task.gone = true
  task.process.tasks[task] = nil
  world:note("dropped", task.process.name, task.name)
  local call = task.call
  if call and (call.is_login or call.is_log_out) then
    local account = world.accounts[call.account]
    account.is_unclear, account.is_clear = true, false
    account.changing = account.changing + 1 -- for good: nobody knows what became of it
  end
  world.truth:on_drop(task)
end

return client
