--- A virtual provider: the transport of all flows. It gives out tokens of logins, each of which has
--- a family of refresh tokens; a spent one that comes again ends the family.

local ending = require "simulation.ending"
local json = require "tokencache.json"

local Provider = {}
Provider.__index = Provider

local GRACE_MODES = { strict = 0, grace = 20 }

--- Seconds that the way there and back take.
local function travel_time(self, request)
  local random, faults = self.world.random, self.world.faults
  if random:chance(faults.slow_provider) then
    return random:between(0.1, 1.2 * request.timeout)
  end
  return random:between(0.005, 0.1)
end

local function new_tokens(self, family)
  self.serial = self.serial + 1
  local refresh, access = "rt-" .. self.serial, "at-" .. self.serial
  self.refresh[refresh] = { id = refresh, family = family }
  self.access[access] = { id = access, family = family, issued = self.world.now }
  family.newest = refresh
  family.first = family.first or refresh
  return access, refresh
end

local function answer(self, access, refresh)
  return { status = 200, body = ('{"access_token":"%s","token_type":"Bearer","expires_in":%d%s}')
    :format(access, self.expires_in, refresh and (',"refresh_token":"%s"'):format(refresh) or "") }
end

local function refused(self, why)
  self.world:note("  provider", "invalid_grant:", why)
  return { status = 400, body = '{"error":"invalid_grant"}' }
end

--- A new login of an account.
function Provider:new_family(account)
  self.families = self.families + 1
  return { id = self.families, account = account, is_alive = true, excuses = {},
    at = self.world.now }
end

--- The entry of a login that took place before the schedule begins.
function Provider:first_entry(account)
  local family = self:new_family(account)
  family.at = family.at - 1000
  local access, refresh = new_tokens(self, family)
  local expires_at = math.floor(self.world:unix_time() + self.expires_in)
  self.access[access].ends = self.world.now + self.expires_in
  return json.encode { access_token = access, refresh_token = refresh, token_type = "Bearer",
    expires_in = self.expires_in, expires_at = expires_at, client_id = "client",
    authorized_at = math.floor(self.world:unix_time()) - 1000 }, family
end

local function exchange(self, code, request)
  local login = self.codes[code]
  if not login or login.used then
    return refused(self, "the code was used")
  end
  login.used = true
  local family = self:new_family(login.account)
  login.family, family.begun = family, login.begun
  family.noted_at = self.world.now + request.process.clock.offset
  local access, refresh = new_tokens(self, family)
  return answer(self, access, refresh), nil, access, refresh
end

local function renew(self, sent, request)
  local token, world = self.refresh[sent], self.world
  local family = token.family
  if not family.is_alive then
    return refused(self, "the login has ended")
  elseif self.mode == "reuses" then
    self.serial = self.serial + 1
    local access = "at-" .. self.serial
    self.access[access] = { id = access, family = family, issued = world.now }
    return answer(self, access, world.random:chance(0.5) and sent or nil), token, access, sent
  elseif token.spent and world.now - token.spent.at > GRACE_MODES[self.mode] then
    family.is_alive = false
    world:note("  provider", sent, "was spent before: its login ends")
    world.truth:on_replay(token, request)
    return refused(self, "it was spent")
  end
  if not token.spent then
    token.spent = { at = world.now, request = request }
  end
  local access, refresh = new_tokens(self, family)
  return answer(self, access, refresh), token, access, refresh
end

local function field(body, name)
  return ("&" .. body):match("&" .. name .. "=([^&]*)")
end

--- What the provider does when the request has arrived.
local function process(self, request)
  local body, random, faults = request.body, self.world.random, self.world.faults
  if request.revoked then
    local token = self.refresh[request.revoked]
    if token then
      token.family.is_alive = false
      table.insert(token.family.excuses, "the user has logged out")
    end
    return { status = 200, body = "" }
  elseif random:chance(faults.unwilling) then
    local status = random:pick { 503, 429, 500 }
    local headers = { ["Retry-After"] = random:chance(0.5) and random:pick { "1", "3" } or nil }
    return { status = status, headers = headers, body = "" }
  elseif request.refresh then
    return renew(self, request.refresh, request)
  end
  return exchange(self, field(body, "code"), request)
end

--- Lets time pass while a request is under way, with the heartbeats that were asked for.
local function wait(self, request, until_)
  local world = self.world
  local interval = request.heartbeat_interval
  while interval and until_ - world.now > interval do
    world:pause(interval)
    request.heartbeat()
  end
  if until_ > world.now then
    world:pause(until_ - world.now)
  end
end

local LOST = { kind = "transient", message = "the virtual connection was lost" }
local UNSENT = { kind = "transient", message = "no virtual connection", sent = false }

--- The request arrives though its sender may be no more.
local function arrive(self, request)
  local response, token, access, refresh = process(self, request)
  request.response, request.token, request.access, request.new = response, token, access, refresh
  request.arrived = true
  self.world.truth:on_arrival(request)
end

local function send(self, given, fate, has_heartbeats)
  local world = self.world
  local task = world.current
  local timeout = given.deadline - task.process.io.monotonic()
  local request = { url = given.url, body = given.body,
    refresh = field(given.body, "refresh_token"), task = task, process = task.process,
    at = world.now, looked_at = task.looked_at or world.now, timeout = timeout, fate = fate,
    revoked = field(given.body, "token"), heartbeat = given.heartbeat,
    heartbeat_interval = has_heartbeats and given.heartbeat_interval }
  world:note("request", request.refresh or request.body:match("code%-%d+") or request.revoked)
  if request.revoked then
    ending.on_revocation(world, request)
  else
    world.truth:on_send(request)
  end
  local seconds = travel_time(self, request)
  local there = seconds * world.random:number()
  if fate ~= "lost before" then
    world:at(world.now + there, function() arrive(self, request) end)
  end
  if fate ~= "ok" and world.random:chance(0.7) then
    seconds = math.min(seconds, timeout / 2) -- the connection breaks; else nothing comes
  elseif fate ~= "ok" then
    seconds = timeout
  end
  world:count_operation()
  wait(self, request, world.now + math.min(seconds, timeout))
  if fate ~= "ok" or seconds >= timeout or not request.arrived then
    world:note("request", request.refresh or "", "the answer is lost")
    world.truth:on_lost(request)
    return nil, LOST
  end
  world:note("request", request.refresh or "", "->", request.response.status,
    request.access or "", request.new or "")
  world.truth:on_answer(request)
  return request.response
end

function Provider:transport(has_heartbeats)
  return {
    heartbeats = has_heartbeats or nil,
    request = function(_, given)
      local world = self.world
      local faults, random = world.faults, world.random
      if random:chance(faults.unsent) then
        world:pause(random:between(0, 0.5))
        world:note("request", "not sent")
        return nil, UNSENT
      end
      local fate = "ok"
      if random:chance(faults.lost) then
        fate = random:chance(0.3) and "lost before" or "lost after"
      end
      return send(self, given, fate, has_heartbeats)
    end,
  }
end

--- A code for a login of an account.
function Provider:new_code(account)
  self.serial = self.serial + 1
  local code = "code-" .. self.serial
  self.codes[code] = { account = account, begun = self.world.now }
  return code
end

return function(world, mode)
  local random = world.random
  local self = setmetatable({ world = world, mode = mode, serial = 0, families = 0, refresh = {},
    access = {}, codes = {}, expires_in = random:pick { 63, 70, 90, 3600 } }, Provider)
  self.description = {
    authorize_url = "https://login.example.com/authorize",
    token_url = "https://login.example.com/token",
    revocation_url = random:chance(0.7) and "https://login.example.com/revoke" or nil,
    rotates_refresh_tokens = mode ~= "reuses" and random:chance(0.5) or nil,
  }
  if mode == "reuses" and random:chance(0.5) then
    self.description.rotates_refresh_tokens = false
  end
  world:note("provider", mode, "expires_in", self.expires_in)
  return self
end
