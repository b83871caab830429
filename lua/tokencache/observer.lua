--- Tells a function of the program's what happens, for counts and timings. What it gets is made of
--- the few fields that are listed here, so no token, code or secret can be part of it.
---
---     if observer.on then
---       observer.emit("save", account, { seconds = monotonic() - began })
---     end

local log = require "tokencache.log"

local observer = {}

---@alias tokencache.EventName
---| "hit"     # a call got its token from the cache
---| "miss"    # the cache held none that serves
---| "refresh" # the provider has given a token, and no user was asked
---| "refused" # the program says that an API refused the token
---| "wait"    # another held the lock
---| "save"    # a token has been saved
---| "owed"    # a token could not be saved, which will be tried again
---| "failure" # a call returned an error
---| "login"   # a user has logged in
---| "log_out" # a login has been removed
---| "session" # a session of tokencache.nginx.login is in use: once in a twentieth of idle_timeout

---@class tokencache.Event
---@field event tokencache.EventName
---@field flow? string        the flow's name, such as "authorization_code"
---@field client_id? string
---@field key? string         the account's key as messages show it
---@field seconds? number     how long it took
---@field left? number        seconds until the token expires; below zero: since it has
---@field kind? string        the error's
---@field count? integer      how many times it has come in a row

--- What an event comes from: an account, or a table that looks like one. Each field may be missing.
---@class tokencache.Observed
---@field flow? { name?: string, client_id?: string }
---@field key? string  as it is; it is not shown

local EVENTS = {
  hit = true, miss = true, refresh = true, refused = true, wait = true, save = true, owed = true,
  failure = true, login = true, log_out = true, session = true,
}

local FIELDS = { seconds = "number", left = "number", count = "number", kind = "string" }

---@type boolean?  true: somebody observes; nil: nobody does, and there is no need to call emit()
observer.on = nil

---@type (fun(event: tokencache.Event): any)?
local observe

---@type fun(name: tokencache.EventName, account: tokencache.Observed, fields?: table)?
local count -- tokencache's own (nginx/metrics.lua): it gets what emit() gets, and nothing is made

local core, keys, protected -- loaded with the first observer

--- Of more keys than this, the one that was not seen for the longest time is made anew.
local MOST_KEYS = 1000

---@type tokencache.Lru?  by key, what is shown of it: to make that takes longer than all the rest
local shown_keys

---@param fn? fun(event: tokencache.Event)|false  gets each event, a table of its own; nil or false:
---   nobody observes. It must not yield
function observer.set_observer(fn)
  if fn ~= nil and fn ~= false and type(fn) ~= "function" then
    error("set_observer: a function expected, or nil or false for none; got " .. type(fn), 2)
  end
  if fn then
    core, keys = require "tokencache._core", require "tokencache.key"
    protected = require "tokencache.util.protected"
    shown_keys = shown_keys or require("tokencache.util.lru")(MOST_KEYS)
  end
  observe = fn or nil
  observer.on = (observe or count) and true or nil
end

---@param fn fun(name: tokencache.EventName, account: tokencache.Observed, fields?: table)  gets
---   each event beside the program's observer. It must neither raise nor yield
function observer.set_counter(fn)
  count, observer.on = fn, true
end

--- What stands for Lua's main thread where coroutine.running() has nothing for it. It can be in
--- the observer only if all that runs was called from there.
local MAIN = "main"

--- The threads that are in the observer. More than one are only if it yields, which it should not;
--- one that never goes on after that is collected.
local observing = setmetatable({}, { __mode = "k" })

local function current_thread()
  return coroutine.running() or MAIN
end

--- Reports whether what runs now was called by the observer: it may use flows itself, and their
--- events would call it again, without end.
local function is_nested()
  for thread in pairs(observing) do
    local status = thread == MAIN and "normal" or coroutine.status(thread)
    if status == "running" or status == "normal" then -- "normal": it waits for what it called
      return true
    end
  end
  return false
end

--- Lua 5.1 runs this in a coroutine of its own.
local function call(fn, event)
  local thread = current_thread()
  observing[thread] = true
  fn(event)
  observing[thread] = nil
end

--- Returns the value if it may be shown as one of that type, else nil.
local function checked(value, wanted)
  if type(value) ~= wanted then
    return nil
  elseif wanted == "string" then
    return core.printable(value)
  end
  return value - value == 0 and value or nil -- infinite or not a number: there is nothing to say
end

local function shown_key(key)
  if type(key) ~= "string" then
    return nil
  end
  local shown = shown_keys:get(key)
  if not shown then
    shown = keys.shown(key)
    shown_keys:set(key, shown)
  end
  return shown
end

local function new_event(name, account, fields)
  local flow = account.flow or {}
  local event = {
    event = name,
    flow = checked(flow.name, "string"),
    client_id = checked(flow.client_id, "string"),
    key = shown_key(account.key),
  }
  for field, wanted in pairs(FIELDS) do
    event[field] = fields and checked(fields[field], wanted)
  end
  return event
end

local function report(err)
  local text = require("tokencache.util.text_of_error")(err)
  log.repeated("warning", "observer: " .. text, "the observer failed: ", text)
end

--- Calls the observer. What it raises is logged and goes no further.
---@param name tokencache.EventName
---@param account tokencache.Observed
---@param fields? { seconds?: number, left?: number, kind?: string, count?: integer }
function observer.emit(name, account, fields)
  local fn = observe
  if not EVENTS[name] then
    error("observer.emit: there is no event " .. tostring(name), 2)
  end
  if count then
    count(name, account, fields)
  end
  if not fn or is_nested() then
    return
  end
  local ok, err = protected(call, fn, new_event(name, account, fields))
  if not ok then
    observing[current_thread()] = nil
    report(err)
  end
end

return observer
