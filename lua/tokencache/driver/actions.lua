--- Carries out what the flow engine asks for: each function here does one thing, and returns the
--- outcome ("ok", "none" or "failed") and what belongs to it, see engine:resume in
--- src/lua/lengine.c. No pcall here: a handler, a transport or a sleep may yield, also on Lua 5.1.

local client_authentication = require "tokencache.flow.client_authentication"
local clock_problem = require "tokencache.flow.clock_problem"
local core = require "tokencache._core"
local debt = require "tokencache.account.debt"
local debt_timers = require "tokencache.account.debt_timers"
local endpoint = require "tokencache.transport.endpoint"
local errors = require "tokencache.error"
local failures = require "tokencache.account.failures"
local lock = require "tokencache.lock"
local log = require "tokencache.log"
local log_in = require "tokencache.account.log_in"
local observer = require "tokencache.observer"
local payment = require "tokencache.account.debt_payment"
local quirks = require "tokencache.quirks"
local spent = require "tokencache.account.spent"
local token_info = require "tokencache.token_info"

---@class tokencache.Run
---@field account tokencache.Account
---@field flow tokencache.Flow
---@field handler table         the account's cache handler
---@field state tokencache.AccountState
---@field engine userdata
---@field lock tokencache.Lock
---@field options tokencache.RunOptions
---@field since number          monotonic seconds: when it began
---@field deadline number       monotonic seconds: until when its caller waits
---@field first? table          { info, err, entry }: what the first load returns, where the caller
---                             has looked already
---@field read? table           { info, entry }: what the cache held when it was last read
---@field infos table<string, tokencache.TokenInfo>  by origin: "given", "cache", "answer"
---@field cache_error? tokencache.Error
---@field shared_error? tokencache.Error  another attempt's, for which this run has waited
---@field object? table         the token endpoint's answer
---@field renews? tokencache.TokenInfo  what the request renews
---@field unread? tokencache.Error  why the cache could not be read, where a token owed stood in
---@field unsent_error? tokencache.Error  the last request was not sent, as the token was spent
---@field dead? string          the refresh token that the provider calls dead
---@field asked? number         monotonic seconds: when the last request was sent
---@field busy? boolean|"owed"  another held the lock when it was last tried; "owed": for a debt
---@field waited? boolean       another has held the lock in this run
---@field is_logged_out? boolean  the user has logged out while it was renewed
---@field dpop_key? table       that the new token is bound to
---@field is_repeated? boolean  a request was made again, with newer proof of who asks
---@field logged_in? boolean    the token comes from a login
---@field login_error? tokencache.Error
---@field nonce? string         of the login
---@field keys? table[]         the provider's, as JWKs
---@field keys_error? tokencache.Error
---@field is_left? boolean      nobody waits for it any more
---@field turn? table           keeps other logins from the redirect port

--- Returns the previous token with the refresh token of an answer: nothing else in that answer can
--- be used.
local function rotated(previous, object, now)
  local info = token_info.copy(previous)
  info.refresh_token = object.refresh_token
  info.refresh_token_expires_at = token_info.refresh_token_end(object, now) or nil
  return info
end

--- Tells an observer, where there is one, what has happened to the account of a run.
---@param run tokencache.Run
---@param event tokencache.EventName
---@param began? number           monotonic seconds
---@param info? tokencache.TokenInfo  whose seconds left are told
local function tell(run, event, began, info)
  if observer.on then
    local flow = run.flow
    observer.emit(event, run.account, {
      seconds = began and flow.io.monotonic() - began,
      left = info and token_info.left(info, flow.now()),
    })
  end
end

local actions = {}

local discovery, dpop -- loaded when first used

--- Returns what checks ID tokens, where the scope has openid.
local function openid_of(flow)
  return flow.openid and require "tokencache.account.openid"
end

--- Hides a refresh token that must not be sent again. The one that this run found dead stays to be
--- seen: the engine compares it, to have it removed.
local function flat_without_spent(run, info)
  if not spent.has(run.state, info.refresh_token) or info.refresh_token == run.dead then
    return token_info.flat(info)
  end
  local rest = token_info.copy(info)
  rest.refresh_token = nil
  return token_info.flat(rest)
end

--- The provider knows the refresh token no longer that was sent last.
local function note_dead(run)
  if run.dead == run.renews.refresh_token then
    return
  end
  run.dead = run.renews.refresh_token
  spent.note_dead(run.state, run.dead)
end

function actions.load(run, is_dead)
  local state, first = run.state, run.first
  if is_dead then
    note_dead(run)
  end
  local info, err, entry
  local at = run.flow.now() -- before the look, which takes a while
  if first then
    info, err, entry = first.info, first.err, first.entry
    run.first = nil
  else
    info, err, entry = run.handler:get_cached_token(true) -- a copy that may be out of date won't do
  end
  info, err = token_info.checked(info, err)
  if err then
    info = debt.unread(run.account, state)
    if not info then
      run.cache_error = err
      log.repeated("warning", errors.id("load", err), "the cache could not be read: ", err)
      return "failed"
    end
    run.unread = err
  else
    run.unread = nil
    run.read = { info = info, entry = entry, at = at }
    local is_elsewhere
    info, err, is_elsewhere = debt.resolve(run.account, state, info, entry,
      run.lock.handle ~= nil)
    if err ~= nil then
      run.cache_error = err
      return "failed"
    elseif is_elsewhere then
      debt_timers.watch(run.account)
    end
  end
  run.infos.cache = info
  if not info then
    return "none"
  end
  return "ok", flat_without_spent(run, info)
end

function actions.discover(run)
  discovery = discovery or require "tokencache.discovery"
  local ready, err = discovery.prepare(run.flow, run.deadline)
  if not ready then
    return "failed", err.kind, err.message
  end
  return "ok"
end

local function lock_failed(run, err)
  run.cache_error = err
  log.repeated("warning", errors.id("lock", err), "the cache's lock failed",
    run.flow.spends and not run.logged_in and ": " or ", going on without it: ", err)
  return "failed"
end

--- The failure of another attempt that this run has waited for.
local function find_failure(run)
  run.shared_error = run.waited and failures.since(run.account, run.state, run.since) or nil
  return run.shared_error
end

--- Takes over the lock that a debt keeps. One that may end before the run does, and cannot be
--- extended, is let go of if the debt can be paid first.
local function take_over_lock(run, seconds)
  local state = run.state
  local kept = payment.take_lock(state)
  if kept and not kept:outlast(seconds) and payment.is_due(state.owed)
    and payment.attempt(state, state.owed, kept) then
    kept:release()
    return nil
  end
  return kept
end

function actions.lock(run, seconds)
  local shared = find_failure(run)
  if shared then
    return "failed", shared.kind, shared.message
  end
  local kept = take_over_lock(run, seconds)
  if kept then
    run.lock, run.busy = kept, false
    return "ok"
  end
  local taken, err = run.lock:try(seconds)
  run.busy = taken == false and (err or true)
  run.waited = run.waited or taken == false
  shared = taken and find_failure(run)
  if shared then -- it was noted while the lock was asked for
    run.lock:release()
    return "failed", shared.kind, shared.message
  elseif taken then
    if run.waited then
      tell(run, "wait", run.since)
    end
    return "ok"
  end
  return run.busy and "none" or lock_failed(run, err)
end

--- A failure is noted before the lock is released: whoever gets the lock next has waited for it.
function actions.unlock(run, err)
  failures.note(run, err)
  payment.return_lock(run.state, run.lock)
  run.lock = lock.new(run.handler, run.flow.io.monotonic)
  debt_timers.keep(run.state)
  failures.wake(run.state)
  return "ok"
end

function actions.sleep(run, seconds, is_dead)
  if is_dead then
    note_dead(run)
  end
  local _, err = run.lock:sleep(failures.sleeper(run, run.busy), seconds)
  if err ~= nil then
    err = errors.wrap("config", err)
    return "failed", err.kind, err.message
  end
  return "ok"
end

--- A token that is owed is not spent before it is saved: that shows best that the cache can save.
--- Of a handler that never shows it, no more than an attempt is asked.
local function save_first(run)
  local owed = run.state.owed
  if payment.is_due(owed) and payment.attempt(run.state, owed, run.lock) then
    return "none" -- what is there now is to be read
  elseif not run.handler.can_save then
    return "ok"
  end
  run.cache_error = debt.explanation(run)
  return "failed"
end

--- Has the handler show that it can save. While the cache cannot be read nothing is sent: a token
--- that is owed may have been saved, and renewed by another process.
function actions.probe(run)
  local handler = run.handler
  run.cache_error = run.unread or handler.refusal and handler:refusal()
  if run.cache_error then
    return "failed"
  elseif run.state.owed then
    return save_first(run)
  elseif not handler.can_save then
    return "ok"
  end
  local read = run.read or {}
  local entry, err = handler:can_save(read.entry, read.info, run.lock.handle)
  if entry == false then
    -- the request finds that the lock has ended
    return run.lock.handle and not run.lock:is_still_held() and "ok" or "none"
  elseif entry == nil and err ~= nil then
    run.cache_error = errors.wrap("cache", err)
    return "failed"
  end
  read.entry = entry
  return "ok"
end

function actions.authorize(run)
  local response, err = log_in.ask(run)
  run.deadline = run.flow.io.monotonic() + run.timeout -- the login had its own
  if not response and err == nil then
    return "none"
  elseif not response then
    run.login_error = err.kind == "reauthorize" and run.cache_error or err
    return "failed", run.login_error.kind, run.login_error.message
  end
  run.logged_in, run.nonce, run.dpop_key = true, response.nonce, response.dpop_key
  if response.status then
    run.object = response.object
    local openid = openid_of(run.flow)
    err = openid and (openid.prepare(run, run.timeout) or openid.check_answer(run))
    if err then
      return "failed", err.kind, err.message
    end
    return "ok", response.status, response.retry_after, run.object,
      run.object and token_info.end_in(run.object), false, response.problem, response.sent
  elseif run.flow.response_type == "code" then
    return "ok", response.code, response.redirect_uri, response.code_verifier
  end
  run.object = { access_token = response.access_token, token_type = response.token_type,
    expires_in = response.expires_in, scope = response.scope }
  quirks.mend(run.flow, run.object)
  return "ok", 200, nil, run.object
end

--- The engine waits for a busy lock, but not so long that a login is lost over it.
local function note_missing_lock(run)
  run.busy = false
  log.warning("another process keeps the cache's lock; the login is finished without it")
end

--- Why a token must not be renewed, if so: a provider that gets a bound one without proof may take
--- that for theft, and the whole login is over.
local function problem_of_key(flow, info)
  return not flow.dpop and info and info.dpop_key and tostring(info.token_type):lower() == "dpop"
    and "the token is bound to a key: give dpop = true, or log in again" or nil
end

--- The request, with what is the grant's own, and proof of who asks.
---@return tokencache.HttpRequest?
---@return string|tokencache.Error sent
local function new_request(run, url, body, timeout, deadline, origin)
  local flow, err = run.flow, nil
  local problem = problem_of_key(flow, origin and run.infos[origin])
  if problem then
    return nil, errors.new("config", problem)
  elseif flow.grant_params then
    local params
    params, err = flow:grant_params(run.account, deadline)
    if not params then
      return nil, err
    end
    body = body .. "&" .. core.form_encode(params)
  end
  if flow.dpop and not run.dpop_key then
    dpop = dpop or require "tokencache.dpop"
    run.dpop_key = origin and run.infos[origin].dpop_key or nil
    if not run.dpop_key then
      run.dpop_key, err = dpop.new_key()
    end
    if err then
      return nil, err
    end
  end
  return client_authentication.request(flow, url, body, timeout, deadline, true, run.dpop_key)
end

--- Adds to an answer what only this side knows.
local function complete_answer(run, request, response)
  local flow, object = run.flow, run.object
  local certificate, metadata = request.certificate, flow.equipped_with
  if certificate and metadata and metadata.tls_client_certificate_bound_access_tokens then
    object.cnf = object.cnf or { ["x5t#S256"] = certificate.thumbprint } -- RFC 8705 §3.1
  end
  object.dpop_key = run.dpop_key -- and nothing that the server calls so
  if flow.grant_params then
    object.refresh_token = nil -- the grant itself is what renews
  end
  local late = object.error and clock_problem(flow, response)
  if late then
    local said = object.error_description
    object.error_description = type(said) == "string" and late .. "; " .. said or late
  end
end

function actions.request(run, url, body, timeout, deadline, origin)
  if run.busy then
    note_missing_lock(run)
  end
  local flow, transport = run.flow, run.flow.transport
  local openid = openid_of(flow)
  local key_error = openid and openid.prepare(run, timeout, origin ~= nil)
  if key_error then
    return "failed", key_error.kind, key_error.message, true
  end
  local request, sent = new_request(run, url, body, timeout, deadline, origin)
  if not request then
    return "failed", sent.kind, sent.message, true
  end
  run.renews = origin and run.infos[origin]
  if run.lock:cover(transport, request) and origin then
    return "none" -- another may be sending that refresh token by now
  elseif origin and spent.has(run.state, run.renews.refresh_token) then
    run.unsent_error = spent.unsent_error() -- another coroutine has sent it meanwhile
    return "ok", spent.ANSWER.status, nil, spent.ANSWER.object
  end
  request.spends, run.asked, run.unsent_error = origin and not flow.reuses, flow.io.monotonic(), nil
  local response, err = endpoint.send(transport, request)
  if client_authentication.is_outdated(flow, request, response, err) and not run.is_repeated then
    run.is_repeated = true
    return actions.request(run, url, body, timeout, deadline, origin)
  end
  if flow.discovers
    and discovery.has_moved(flow, url, response, err, request.deadline, run.lock) then
    return "failed", "transient", url .. " is not the token endpoint any more", true
  elseif not response then
    return "failed", err.kind, err.message, err.sent == false, sent
  end
  local answer, is_dead, failure = quirks.read(flow, response, origin ~= nil)
  run.object = answer.object
  if run.object then
    complete_answer(run, request, response)
  end
  err = openid and openid.check_answer(run)
  if err then
    return "failed", err.kind, err.message
  end
  return "ok", answer.status, endpoint.header(response, "retry-after"), run.object,
    run.object and token_info.end_in(run.object), is_dead, failure, sent
end

local function described(info)
  return core.printable(('the client "%s" and the scope "%s"%s'):format(info.client_id or "",
    info.requested_scope or info.scope or "", info.grant_digest and " of a grant" or ""))
end

--- Warns where the cache held a token of another client or scope, which has not ended: flows that
--- share an entry take each other's tokens away at each call.
local function warn_of_sharing(run, info)
  local held, now = run.read and run.read.info, run.flow.now()
  local left = held and (token_info.left(held, now) or 1) or 0
  if left > 0 and run.flow.client:judge(now, token_info.flat(held)) == "unfit" then
    log.once("warning", "shared: " .. run.account.id, "a token for ", described(info), " takes the "
      .. "place of one for ", described(held), " in the cache; if several programs or flows share "
      .. "that key, give each its own, or all of them the same scope")
  end
end

--- Warns of what a new token shows to be set wrong.
local function warn_of(run, info)
  warn_of_sharing(run, info)
  local flow, lifetime = run.flow, tonumber(info.expires_in)
  if lifetime == 0 then
    log.once("warning", "no lifetime: " .. flow.client_id, "the provider's tokens have no lifetime "
      .. "that can be read, so each call asks for another one; the provider's field "
      .. "default_expires_in says one")
  elseif lifetime and lifetime <= flow.leeway then
    log.once("warning", "lifetime: " .. flow.client_id, ("the provider's tokens live for %g seconds"
      .. ", no longer than the leeway of %g, which takes half of that now; lower it")
      :format(lifetime, flow.leeway))
  end
end

--- The token is owed before it is saved for the first time, and stays so until the handler says
--- that it is saved.
function actions.save(run, is_rotated)
  local renews, now = run.renews, run.flow.now()
  local info = is_rotated and rotated(renews, run.object, now)
    or run.engine:complete(token_info.complete(run.object, renews, now))
  if run.read and run.read.info then
    token_info.keep_form(info, run.read.info)
  end
  local read = run.read or {}
  local owed = debt.owe(run.account, run.state, { info = info, read = read.info,
    entry = read.entry, read_at = read.at, is_login = run.logged_in, renewed = renews,
    is_given = renews ~= nil and renews == run.infos.given })
  if renews and not run.flow.reuses then
    spent.note(run.state, renews.refresh_token, info, owed.since)
  end
  run.infos.answer = token_info.deep_copy(info) -- the program's; `info` is the process's
  warn_of(run, info)
  tell(run, run.logged_in and "login" or "refresh", run.asked, info)
  if run.busy then
    note_missing_lock(run)
  end
  local settled = payment.attempt(run.state, owed, run.lock, not run.logged_in)
  run.is_logged_out = owed.is_logged_out
  return settled and "ok" or "failed"
end

--- Removes the dead token if it is what was read. Where a handler cannot remove, the token is saved
--- without its refresh token.
local function remove(run, info)
  local handler, flow = run.handler, run.flow
  if handler.remove_cached_token then
    return handler:remove_cached_token(run.read.entry, run.lock.handle)
  end
  local rest = token_info.copy(info)
  rest.refresh_token, rest.authorized_at, rest.expires_at = nil, nil, 0
  return handler:save_token_to_cache(rest,
    token_info.good_until(rest, flow.refresh_token_lifetime))
end

function actions.remove(run)
  local state, dead, there = run.state, run.infos.cache, run.read and run.read.info
  debt.note_dead(state, dead)
  if state.owed and state.owed.info.refresh_token == dead.refresh_token then
    debt.clear(state)
  elseif state.owed then
    return "ok" -- without a lock another coroutine has renewed the token meanwhile
  end
  if not there or not spent.has(state, there.refresh_token) then
    return "ok" -- the dead one was owed: what the cache holds is nothing, or another login
  end
  local ok, err = remove(run, dead)
  if errors.has_failed(ok, err) then
    log.warning("the dead token could not be removed from the cache: ",
      errors.wrap("cache", err or "the handler returned false"))
    return "failed"
  end
  return "ok"
end

return actions
