--- Documents that a provider publishes for its clients: its metadata, its keys. One is asked for
--- once a day, by one coroutine for all flows of the process, and serves through an outage of the
--- provider. A copy is kept where the other workers of nginx find it, or in the flow's store.

local endpoint = require "tokencache.transport.endpoint"
local environment = require "tokencache.environment"
local errors = require "tokencache.error"
local log = require "tokencache.log"
local sealed = require "tokencache.sealed"
local settings = require "tokencache.nginx.settings"

local FRESH = 86400      -- seconds
local KEPT = 30 * 86400  -- seconds that a copy is kept
local PAUSE = 60         -- seconds, between two requests for a document that is there; the default
local MOST_TIME = 10     -- seconds that a request may take
local MOST_COPIED = 65536 -- bytes
local MOST = 1000        -- documents that a process remembers
local FIRST_WAIT, LONGEST_WAIT = 0.01, 0.2 -- seconds, where there is nothing to be woken by

local OK = 200

local document = {}

---@class tokencache.DocumentSource
---@field name string       for the process
---@field urls string[]     tried in turn, as long as there is nothing
---@field read fun(object: table): any, string?  what is of use in it; or nil and what is wrong
---@field remedy string     in words
---@field pause? number      seconds, between two requests while it is there

---@class tokencache.DocumentEntry
---@field value? any        what was read last
---@field at? number        Unix seconds: when the provider said so
---@field got? number       the same in monotonic seconds
---@field is_expired? boolean  it does not do any more
---@field next number       monotonic seconds: before that what is there is not asked for again
---@field busy_until number monotonic seconds: a coroutine asks for it, or was dropped by then
---@field waiter? tokencache.Waiter
---@field failure? tokencache.Error
---@field failed_at? number monotonic seconds

local function entry_of(flow, source)
  local process = flow.process
  process.documents = process.documents or require("tokencache.util.lru")(MOST)
  local entry = process.documents:get(source.name)
  if not entry then
    entry = { next = 0, busy_until = 0 }
    process.documents:set(source.name, entry)
  end
  return entry
end

local function age(flow, at)
  local seconds = flow.io.now() - at
  return seconds >= 0 and seconds or math.huge -- the clock has been put back
end

-- the copy ----------------------------------------------------------------------------------------

--- Returns where a copy is kept. Whoever can write to a store must not be able to send a client's
--- secret to an address of his: so there it is sealed with that secret, and without one there is
--- none.
---@return table? store
---@return string? key
---@return string? secret
local function place_of_copy(flow, source)
  local secret = flow.document_key and flow.document_key()
  local dict = environment.nginx and settings.owed
  local store = dict and require("tokencache.store.shared_dict")(dict) or secret and flow.store
  local digest = store and require("tokencache.key").sha256(source.name .. "\0" .. flow.client_id)
  if not digest then
    return nil
  end
  return store, require("tokencache.store.reserved_key").of_document(store, digest),
    not dict and secret or nil
end

local COPY = "^(%d+)\n(.*)$"

local function load_copy(flow, source)
  local store, key, secret = place_of_copy(flow, source)
  local bytes = store and store:get(key)
  if type(bytes) ~= "string" then
    return nil
  elseif secret then
    bytes = sealed.open(secret, "document " .. key, bytes)
  end
  local at, body = (bytes or ""):match(COPY)
  local object = body and endpoint.object { body = body }
  local value = object and source.read(object)
  return value, value ~= nil and tonumber(at) or nil
end

local function save_copy(flow, source, at, body)
  local store, key, secret = place_of_copy(flow, source)
  if not store or #body > MOST_COPIED then
    return
  end
  local bytes, err = ("%.0f\n%s"):format(math.floor(at), body), nil
  if secret then
    bytes, err = sealed.seal(secret, "document " .. key, bytes)
  end
  local ok
  if bytes then
    ok, err = store:set(key, bytes, KEPT)
  end
  if errors.has_failed(ok, err) then
    log.repeated("warning", "document: " .. source.name, "the ", source.name,
      " could not be kept in the store: ", errors.wrap("cache", err or "it failed"))
  end
end

-- requests ----------------------------------------------------------------------------------------

--- Why an answer is no document: the kind of the error, and the words; the third result is true
--- where the document may be elsewhere.
local function problem_of_answer(response, object)
  local status = response.status
  if status >= 500 or status == 429 then
    return "transient", ("answered with status %d; try again later"):format(status)
  elseif status >= 400 then
    return "config", ("answered with status %d"):format(status), true
  elseif status >= 300 then
    return "config", ("redirects (status %d), which is not followed"):format(status), true
  elseif not object then
    return "protocol", "answered with something other than a JSON object", true
  elseif status ~= OK then
    return "protocol", ("answered with status %d"):format(status)
  end
end

---@return any value
---@return tokencache.Error|string  or the bytes
---@return boolean? is_elsewhere  it may be
local function fetch_from(flow, source, url, deadline, held)
  local timeout = math.min(MOST_TIME, deadline - flow.io.monotonic())
  if timeout <= 0 then
    return nil, errors.new("timeout", url .. ": no time was left to ask for it")
  end
  local response, err = endpoint.get(flow, url, timeout, deadline, held)
  if not response then
    return nil, errors.new(err.kind, url .. " could not be had: " .. err.message,
      { sent = err.sent })
  end
  local object = endpoint.object(response)
  local kind, problem, is_elsewhere = problem_of_answer(response, object)
  local value
  if not kind then
    kind, value, problem = "config", source.read(object)
  end
  if value ~= nil then
    return value, response.body
  end
  return nil, errors.new(kind, url .. " " .. problem, { status = response.status }), is_elsewhere
end

local function fetch(flow, entry, source, deadline, held)
  local messages, err = {}, nil
  for i, url in ipairs(source.urls) do
    entry.busy_until = flow.io.monotonic() + MOST_TIME
    local value, result, is_elsewhere = fetch_from(flow, source, url, deadline, held)
    if value ~= nil then
      return value, result
    end
    messages[i] = result.message
    err = is_elsewhere and err or result
    if not is_elsewhere then
      break
    end
  end
  if err.sent ~= false and (err.kind == "config" or err.kind == "protocol") then
    messages[#messages + 1] = source.remedy
  end
  return nil, errors.new(err.kind, table.concat(messages, "; "), { status = err.status })
end

local function take(flow, entry, source, value, at)
  entry.value, entry.at, entry.failure, entry.is_expired = value, at, nil, nil
  entry.got = flow.io.monotonic() - age(flow, at)
  entry.next = entry.got + (source.pause or PAUSE)
end

local function fail(flow, entry, source, err)
  entry.failure, entry.failed_at = err, flow.io.monotonic()
  if entry.value ~= nil then
    entry.next = entry.failed_at + (source.pause or PAUSE)
    log.repeated("warning", "stale document: " .. source.name,
      "what was known of the provider before goes on to serve: ", err)
  end
end

--- Looks for it where it may be. The copy of another will do where it is fresh; or where it is as
--- young as one that is asked for now may be.
local function find(flow, entry, source, deadline, since, held)
  local anew = since or entry.is_expired
  local value, at = load_copy(flow, source)
  if at and (not entry.at or at > entry.at) then
    take(flow, entry, source, value, at)
    if age(flow, at) < (anew and (source.pause or PAUSE) or FRESH) then
      return
    end
  end
  local refusal = flow.io.refusal and flow.io.refusal()
  if refusal then
    entry.failure, entry.failed_at = refusal, flow.io.monotonic()
    return
  end
  local result
  value, result = fetch(flow, entry, source, deadline, held)
  if value == nil then
    return fail(flow, entry, source, result)
  end
  at = flow.io.now()
  take(flow, entry, source, value, at)
  save_copy(flow, source, at, result)
end

local function find_for_all(flow, entry, source, deadline, since, held)
  entry.busy_until = flow.io.monotonic() + MOST_TIME
  find(flow, entry, source, deadline, since, held)
  entry.busy_until = 0
  if entry.waiter then
    entry.waiter:wake()
    entry.waiter = nil
  end
end

--- Waits for the coroutine that asks. Returns an error where one may not wait.
local function wait(io, entry, seconds, pause)
  local refusal = io.refusal and io.refusal()
  if refusal then
    return refusal
  end
  entry.waiter = entry.waiter or io.new_waiter and io.new_waiter() or nil
  if entry.waiter then
    entry.waiter:wait(seconds)
    return nil
  end
  local _, err = io.sleep(math.min(pause, seconds))
  return err ~= nil and errors.wrap("config", err) or nil
end

local function is_older(entry, since)
  return since ~= nil and entry.value ~= nil and entry.got < since
end

--- What is known. Where that is too old, the error is why there is nothing newer.
local function known(entry, since, now)
  local is_old = is_older(entry, since)
  return entry.value, (is_old or entry.value == nil) and entry.failure or nil,
    is_old and math.max(entry.next - now, LONGEST_WAIT) or nil
end

--- What the document says; while the provider is away, what it said last.
---@param flow tokencache.Flow
---@param source tokencache.DocumentSource
---@param deadline number  monotonic seconds
---@param since? number|true  monotonic seconds: what was known before does not do; true: now
---@param held? tokencache.Lock  it lasts meanwhile
---@return any
---@return tokencache.Error?
---@return number? wait    seconds, after which there may be one that is no older than `since`
function document.get(flow, source, deadline, since, held)
  local io, entry = flow.io, entry_of(flow, source)
  local began, pause = io.monotonic(), FIRST_WAIT
  since = since == true and began or since
  while true do
    local now, is_there = io.monotonic(), entry.value ~= nil
    local is_busy = now < entry.busy_until
    local is_fresh = is_there and not entry.is_expired and age(flow, entry.at) < FRESH
    local will_do = now < entry.next or (is_busy and held)
      or not is_older(entry, since) and (is_busy or is_fresh)
    if is_there and will_do or entry.failure and entry.failed_at > began then
      return known(entry, since, now)
    elseif not is_busy then
      find_for_all(flow, entry, source, deadline, since, held)
      return known(entry, since, io.monotonic())
    elseif now >= deadline then
      return nil, errors.new("timeout", "the deadline passed while " .. source.urls[1]
        .. " was being asked for")
    end
    local err = wait(io, entry, math.min(deadline, entry.busy_until) - now, pause)
    if err then
      return entry.value, err
    end
    pause = math.min(2 * pause, LONGEST_WAIT)
  end
end

--- What is known does not do any more: whoever needs it next asks for it anew.
---@param flow tokencache.Flow
---@param source tokencache.DocumentSource
function document.expire(flow, source)
  entry_of(flow, source).is_expired = true
end

return document
