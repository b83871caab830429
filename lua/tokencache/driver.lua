--- Carries out what the flow engine asks for. The engine (src/core/engine.c) decides; each function
--- of `actions` does one thing and says what came of it. No pcall here: a handler, a transport or a
--- sleep may yield, also on Lua 5.1.

local core = require "tokencache._core"
local direct = require "tokencache.transport.direct"
local errors = require "tokencache.error"
local lock = require "tokencache.lock"
local log = require "tokencache.log"
local token_info = require "tokencache.token_info"

local json -- loaded at the first answer

local driver = {}

---@class tokencache.Run
---@field flow tokencache.Flow
---@field engine userdata
---@field lock tokencache.Lock
---@field headers? any           of the flow's requests, prepared
---@field options tokencache.RunOptions
---@field first? table          what the first load returns, where the caller has looked already
---@field infos table<string, tokencache.TokenInfo>  by origin: "given", "cache",
---                                               "memory", "answer"
---@field cache_error? tokencache.Error
---@field object? table         the token endpoint's answer
---@field renews? tokencache.TokenInfo  what the request renews
---@field tried? table<string, true>  refresh tokens that were sent
---@field busy? boolean         another held the lock when it was last tried
---@field login_error? tokencache.Error

--- What a handler's get_cached_token returned, if it may be used.
---@return tokencache.TokenInfo?
---@return tokencache.Error?
function driver.checked(info, err)
  if err == nil and info ~= nil
    and (type(info) ~= "table" or type(info.access_token) ~= "string") then
    err = "get_cached_token must return a table with an access_token, or nil; mend the handler "
      .. "or empty the cache"
  end
  if err ~= nil then
    return nil, errors.wrap("cache", err)
  end
  return info
end

--- The token endpoint's answer, with what it leaves unsaid of the token that it renews.
local function over(previous, object)
  for name, value in pairs(previous) do
    if object[name] == nil then
      object[name] = value
    end
  end
  return object
end

--- The previous token, with the refresh token of an answer that was of no other use.
local function rotated(previous, object)
  local info = token_info.copy(previous)
  info.refresh_token = object.refresh_token
  return info
end

local function header(headers, wanted)
  for name, value in pairs(headers or {}) do
    if type(name) == "string" and name:lower() == wanted then
      value = type(value) == "table" and value[1] or value
      return value and tostring(value)
    end
  end
end

local actions = {}

--- A token may wait for its save; another coroutine may have renewed it while this one waited.
local function look_into_memory(run)
  local flow, unsaved = run.flow, run.flow.unsaved or nil
  if unsaved ~= run.infos.memory then
    run.infos.memory = unsaved
    run.engine:remember(flow.replaced, token_info.flat(unsaved))
  end
end

function actions.load(run)
  local info, err
  look_into_memory(run)
  if run.first then
    info, err = run.first.info, run.first.err
    run.first = nil
  else
    info, err = run.flow.cache:get_cached_token(true) -- a copy that may be out of date won't do
  end
  info, err = driver.checked(info, err)
  if err then
    run.cache_error = err
    log.warning("the cache could not be read: ", err)
    return "failed"
  end
  if not info then
    return "none"
  end
  run.infos.cache = info
  return "ok", token_info.flat(info)
end

function actions.lock(run, seconds)
  local taken = run.lock:try(seconds)
  run.busy = taken == false
  if taken then
    return "ok"
  end
  return run.busy and "none" or "failed"
end

function actions.unlock(run)
  run.lock:release()
  return "ok"
end

function actions.sleep(run, seconds)
  local _, err = run.lock:sleep(run.flow.io.sleep, seconds)
  if err ~= nil then
    err = errors.wrap("config", err)
    return "failed", err.kind, err.message
  end
  return "ok"
end

local NO_RESPONSE = "the transport must return { status =, headers =, body = }, or nil and an "
  .. "error; mend what was given as http="

--- The headers of a success are not looked at, so that no table need be made of them.
local function is_response(response)
  local status = type(response) == "table" and response.status
  return type(status) == "number" and status >= 100 and status < 1000
    and type(response.body or "") == "string"
    and (status < 400 or type(response.headers or {}) == "table")
end

--- Who may not ask the user says so with the kind that tells the caller to.
local function log_in(run)
  local flow = run.flow
  if run.options.response then
    return run.options.response
  end
  if run.options.stays_out or not flow.may_log_in or not flow.io.log_in then
    return nil, errors.new("reauthorize", "there is no login to renew; the user must log in")
  end
  return flow.io.log_in(flow)
end

function actions.authorize(run)
  local response, err = log_in(run)
  if not response then
    run.login_error = errors.wrap("denied", err)
    return "failed", run.login_error.kind, run.login_error.message
  end
  if run.flow.response_type == "code" then
    return "ok", response.code, response.redirect_uri, response.code_verifier
  end
  run.object = { access_token = response.access_token, token_type = response.token_type,
    expires_in = response.expires_in, scope = response.scope }
  return "ok", 200, nil, run.object
end

--- The engine waits for a busy lock, but not so long that a login is lost over it.
local function note_missing_lock(run)
  run.busy = false
  log.warning("another process keeps the cache's lock; the login is finished without it")
end

local function note_renewal(run, info)
  run.renews, run.tried = info, run.tried or {}
  run.tried[info.refresh_token] = true
end

local function headers_of(authorization)
  return {
    Accept = "application/json",
    ["Content-Type"] = "application/x-www-form-urlencoded",
    Authorization = authorization,
  }
end

--- Any transport can do that.
local function ask(run, url, authorization, body, timeout, deadline)
  local transport = run.flow.transport
  local request = {
    method = "POST", -- RFC 6749 §3.2, §5.1
    url = url,
    headers = headers_of(authorization),
    body = body,
    timeout = timeout,
    deadline = deadline,
  }
  run.lock:cover(transport, request)
  local response, err = transport:request(request)
  if is_response(response) then
    return response.status, response.body, response.status >= 400 and response.headers
  end
  return nil, not response and err or errors.new("protocol", NO_RESPONSE)
end

--- The same by the shortest way that this transport has.
---@return integer? status
---@return any body        or an error
---@return table? headers  where it is no success
local function post(run, url, authorization, body, timeout, deadline)
  local transport = run.flow.transport
  local way = direct[transport.request]
  if not way or run.lock.extends then
    return ask(run, url, authorization, body, timeout, deadline)
  end
  if not run.headers then
    local headers, err = way.prepare(transport, headers_of(authorization))
    if not headers then
      return nil, err
    end
    run.headers = headers
  end
  return way.post(transport, url, run.headers, body, timeout, deadline)
end

function actions.request(run, url, authorization, body, timeout, deadline, origin)
  if run.busy then
    note_missing_lock(run)
  end
  run.renews = nil
  if origin then
    if run.lock:has_ended() then
      return "none" -- another may be sending that refresh token by now
    end
    note_renewal(run, run.infos[origin])
  end
  local status, answer, headers = post(run, url, authorization, body, timeout, deadline)
  if not status then
    local err = errors.wrap("transient", answer)
    return "failed", err.kind, err.message, err.sent == false
  end
  json = json or require "tokencache.json"
  local object = json.decode_answer(answer or "")
  run.object = type(object) == "table" and object[1] == nil and object or nil
  return "ok", status, headers and header(headers, "retry-after"), run.object
end

local function release(flow, info)
  if flow.unsaved == info then
    flow.unsaved = false
  end
end

local function write(flow, info)
  return flow.cache:save_token_to_cache(info,
    token_info.good_until(info, flow.refresh_token_lifetime))
end

--- What a renewed token replaces in the cache, where its save is still owing.
local function replaced(run)
  if run.renews and run.renews == run.infos.memory then
    return run.flow.replaced
  end
  local old = run.renews == run.infos.given and run.infos.cache or run.renews
  return old and old.access_token
end

--- The token counts as unsaved before the attempt: it must outlive a handler or a logger that
--- raises.
function actions.save(run, origin, is_rotated)
  local flow, infos = run.flow, run.infos
  if origin == "answer" then
    infos.answer = is_rotated and rotated(run.renews, run.object)
      or run.engine:complete(run.renews and over(run.renews, run.object) or run.object)
    flow.replaced = replaced(run)
  end
  local info = infos[origin]
  flow.unsaved = info
  if run.busy then
    note_missing_lock(run)
  end
  local ok, err = write(flow, info)
  if errors.has_failed(ok, err) then
    log.error("the token could not be saved; it is kept in memory and saved at the next call: ",
      errors.wrap("cache", err or "save_token_to_cache returned false"))
    return "failed"
  end
  release(flow, info)
  return "ok"
end

--- A handler that can only save gets the token without what is dead of it: else each call would
--- ask the server again.
local function remove(flow, info)
  if flow.cache.remove_cached_token then
    return flow.cache:remove_cached_token()
  end
  local rest = token_info.copy(info)
  rest.refresh_token, rest.authorized_at, rest.expires_at = nil, nil, 0
  return write(flow, rest)
end

--- Without a lock another coroutine may have renewed the token, and be about to save the new one.
local function is_replaced(run)
  local unsaved = run.flow.unsaved
  return unsaved and not run.tried[unsaved.refresh_token]
end

function actions.remove(run)
  if is_replaced(run) then
    return "ok"
  end
  local ok, err = remove(run.flow, run.infos.cache)
  if errors.has_failed(ok, err) then
    log.warning("the dead token could not be removed from the cache: ",
      errors.wrap("cache", err or "the handler returned false"))
    return "failed"
  end
  return "ok"
end

local function succeed(run, origin, err)
  if err and run.options.earlier then
    return nil, err
  elseif err then
    log.warning("the token could not be renewed yet, the old one still works: ", err)
  end
  if origin == "cache" and run.infos.memory then
    release(run.flow, run.infos.memory) -- the cache holds it, or a newer one, by now
  end
  return run.infos[origin]
end

local function fail(run, err, code_is_unused)
  local memory = run.infos.memory
  if err.kind == "reauthorize" and memory and run.tried and run.tried[memory.refresh_token]
    and not run.flow.keeps_dead then
    release(run.flow, memory) -- dead, and not worth another try
  end
  return nil, run.login_error or err.kind == "cache" and run.cache_error or err, code_is_unused
end

local endings = { ["return"] = succeed, fail = fail }

--- Hands to the engine what came of an action, after which the flow's own clocks are read; nil: the
--- system's, which the engine reads itself.
local function resume(run, ...)
  local now, monotonic
  if run.flow.clocks then
    now, monotonic = run.flow.clocks()
  end
  return run.engine:resume(now, monotonic, ...)
end

local function new_run(flow)
  local infos = { given = nil, cache = nil, memory = nil, answer = nil }
  return { flow = flow, infos = infos, lock = lock.new(flow.cache, flow.io.monotonic),
    engine = core.new_engine(flow.client, infos, flow.cache),
    -- the table has room for these, too
    headers = nil, options = nil, first = nil, object = nil, renews = nil, busy = nil }
end

--- Keeps what the run is made of for the flow's next one. What it knew, secrets among it, is erased
--- now and not when it is collected.
local function give_back(run)
  local infos = run.infos
  infos.given, infos.cache, infos.memory, infos.answer = nil, nil, nil, nil
  run.options, run.first, run.object, run.renews, run.tried = nil, nil, nil, nil, nil
  run.cache_error, run.login_error, run.busy = nil, nil, nil
  run.engine:rest()
  run.flow.idle_run = run
end

---@class tokencache.RunOptions
---@field forced? boolean         do not settle for the cached token
---@field response? table         of a login that has taken place
---@field given? tokencache.TokenInfo  to be renewed, whatever other login the cache holds; its
---                               refresh_token alone will do
---@field stays_out? boolean      never ask the user
---@field earlier? number         seconds: renew a token that much earlier, and return the error
---                               where that fails, though the old one still works

--- One run of the engine: carries out one action after the other, up to the one that ends it.
---@param flow tokencache.Flow
---@param timeout number          seconds for the whole run
---@param options tokencache.RunOptions
---@param first? { info?: any, err?: any }  what a look at the cache returned just now
---@return tokencache.TokenInfo?
---@return tokencache.Error?
---@return boolean? code_is_unused  it failed, and the server has not seen the code of `response`
function driver.run(flow, timeout, options, first)
  local run = flow.idle_run or new_run(flow)
  flow.idle_run = nil -- a run that raises takes it along
  run.options, run.first, run.infos.given = options, first, options.given
  local now, monotonic
  if flow.clocks then
    now, monotonic = flow.clocks()
  end
  local action, a, b, c, d, e, f = run.engine:start(now, monotonic, timeout, options.forced,
    not flow.cache.try_lock, options.response ~= nil, options.earlier, not (first or flow.unsaved),
    token_info.flat(options.given))
  local ending = endings[action]
  while not ending do
    action, a, b, c, d, e, f = resume(run, actions[action](run, a, b, c, d, e, f))
    ending = endings[action]
  end
  local info, err, code_is_unused = ending(run, a, b)
  give_back(run)
  return info, err, code_is_unused
end

return driver
