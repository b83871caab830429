--- A flow whose handler, transport, clock and sleep are all played here, and written down. Each
--- stage is a process of its own.
---
---     local stage = stages.new { token_info = { access_token = "old", expires_at = 990 } }
---     stage.on.save = function(info) return nil, "the disk is full" end
---     local flow = stage:flow { timeout = 5 }   -- or stage:user_flow, where a person logs in
---     stage.now = 2000           -- Unix seconds; monotonic seconds are stage.monotonic
---     stage.played               -- { "load", "request", "save" }: what was asked for, in turn
---     stage.logged               -- { "error the token could not be saved; ..." }
---     stage.stored, stage.requests, stage.slept, stage.ttls, stage.extended
---     stage.saved_until          -- the good_until of the last save
---     stage:before_lock(function() stage.stored = newer end)
---     stage:wake()               -- lets time pass up to the first timer, and calls that
---     stage.yields = true        -- each action yields its name before it does anything
---
--- Unless `on` says otherwise all goes well, and the server gives access-1, access-2, ...

local json = require "tokencache.json"
local keep_log = require "support.keep_log"
local merged = require "support.merged"
local process = require "tokencache.account.process"
local tokencache = require "tokencache"

local stages = {}

---@class Stage
---@field on table<string, function>  by action: plays it instead; "load" "save" "remove" "try_lock"
---                                   "extend_lock" "unlock" "request" "sleep" "after"
local Stage = {}
Stage.__index = Stage

local defaults = {}

function defaults.load(stage)
  return stage.stored
end

function defaults.save(stage, info)
  stage.stored = info
  return true
end

function defaults.remove(stage)
  stage.stored = nil
  return true
end

function defaults.try_lock(stage, ttl)
  stage.ttls[#stage.ttls + 1] = ttl
  if stage.holder then
    return false
  end
  stage.holder = {}
  return stage.holder
end

function defaults.extend_lock(stage, handle, ttl)
  stage.extended[#stage.extended + 1] = ttl
  return handle == stage.holder
end

function defaults.unlock(stage, handle)
  assert(handle == stage.holder, "unlocked with a handle that does not hold the lock")
  stage.holder = nil
  return true
end

function defaults.request(stage)
  stage.tokens = stage.tokens + 1
  return stages.answer { access_token = "access-" .. stage.tokens, expires_in = 3600 }
end

function defaults.sleep() end

function defaults.after(stage, seconds, fn)
  stage.timers[#stage.timers + 1] = { at = stage.monotonic + seconds, fn = fn }
  return true
end

--- A response of the token endpoint.
---@param object table
---@param status? integer
---@param headers? table<string, string>
function stages.answer(object, status, headers)
  return { status = status or 200, headers = headers or {}, body = assert(json.encode(object)) }
end

--- For `on.request`: nobody is there to be asked.
function stages.refuse()
  return nil, { kind = "transient", message = "no connection", sent = false }
end

function Stage:play(action, ...)
  self.played[#self.played + 1] = action
  if self.yields then
    coroutine.yield(action)
  end
  local part = self.on[action]
  if part then
    return part(...)
  end
  return defaults[action](self, ...)
end

--- `lock = true` gives the handler try_lock and unlock, `lock = "extendable"` extend_lock too;
--- `token_info` is what the cache holds; `timers = true` gives the io table timers.
---@param settings? { lock?: boolean|"extendable", token_info?: table, timers?: boolean }
---@return Stage
function stages.new(settings)
  settings = settings or {}
  local self = setmetatable({
    on = {}, played = {}, logged = keep_log(), requests = {}, slept = {}, ttls = {}, extended = {},
    timers = {}, now = 1000, monotonic = 50, tokens = 0, stored = settings.token_info,
  }, Stage)
  self.handler = {
    get_cached_token = function(_, anew) return self:play("load", anew) end,
    save_token_to_cache = function(_, info, good_until)
      self.saved_until = good_until
      return self:play("save", info)
    end,
    remove_cached_token = function() return self:play("remove") end,
  }
  if settings.lock then
    self.handler.try_lock = function(_, ttl) return self:play("try_lock", ttl) end
    self.handler.unlock = function(_, handle) return self:play("unlock", handle) end
  end
  if settings.lock == "extendable" then
    self.handler.extend_lock = function(_, handle, ttl)
      return self:play("extend_lock", handle, ttl)
    end
  end
  self.transport = {
    request = function(_, request)
      self.requests[#self.requests + 1] = request
      return self:play("request", request)
    end,
  }
  self.io = {
    process = process.new(),
    now = function() return self.now end,
    monotonic = function() return self.monotonic end,
    sleep = function(seconds)
      self.slept[#self.slept + 1] = seconds
      self.now, self.monotonic = self.now + seconds, self.monotonic + seconds
      return self:play("sleep", seconds)
    end,
  }
  if settings.timers then
    self.io.after = function(seconds, fn) return self:play("after", seconds, fn) end
  end
  return self
end

stages.CLIENT_ID = "an-id"
stages.CLIENT_SECRET = "the secret/of the stage"

local function with_parts(stage, options)
  local all = merged({
    provider = {
      token_url = "https://login.example/token",
      authorize_url = "https://login.example/authorize",
    },
    client_id = stages.CLIENT_ID,
    client_secret = stages.CLIENT_SECRET,
    cache = stage.handler,
    http = stage.transport,
    io = stage.io,
  }, options)
  if all.store then
    all.cache = nil
  end
  return all
end

---@param options? table  besides those that the stage needs
function Stage:flow(options)
  return tokencache.flow.client_credentials(with_parts(self, options))
end

stages.REDIRECT_URI = "https://app.example/callback"

--- A flow with a user, who is not there to log in unless `options` say how.
---@param options? table
function Stage:user_flow(options)
  local all = with_parts(self, options)
  all.redirect_uri = all.redirect_uri or stages.REDIRECT_URI
  if all.authorize == nil then
    all.authorize = false
  end
  return tokencache.flow.authorization_code(all)
end

--- Calls that while a flow takes the lock: what another did just before.
---@param change fun()
function Stage:before_lock(change)
  self.on.try_lock = function(ttl)
    change()
    return defaults.try_lock(self, ttl)
  end
end

--- Makes half of the saves fail.
---@param random fun(limit: integer): integer
function Stage:fail_some_saves(random)
  self.on.save = function(info)
    if random(2) == 1 then
      return nil, "the disk is full"
    end
    return defaults.save(self, info)
  end
end

---@return number seconds  that passed
function Stage:wake()
  table.sort(self.timers, function(a, b) return a.at < b.at end)
  local timer = assert(table.remove(self.timers, 1), "no timer is set")
  local seconds = timer.at - self.monotonic
  self.now, self.monotonic = self.now + seconds, timer.at
  timer.fn()
  return seconds
end

--- What was played since the last time.
---@return string
function Stage:acts()
  local acts = table.concat(self.played, " ")
  self.played = {}
  return acts
end

return stages
