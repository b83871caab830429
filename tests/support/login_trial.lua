--- What a login goes through when its store fails: at a real server that takes each refresh token
--- once and ends the login at the second use. Each step makes flow, store and handler anew, as a
--- program does that makes them for each request.
---
---     local trial = login_trial.new { server = server, store = code }   -- or cache = code
---     trial:log_in()
---     trial:survives_failed_save(fail, mend)  -- the store fails once the request has been sent
---     trial:is_not_spent(fail)                -- the store fails before: nothing is sent
---     trial:renews(3)                         -- the login lives on
---
--- `store` is Lua that returns a store, `cache` Lua that returns a handler; or functions.

local assert = require "luassert"
local keep_log = require "support.keep_log"
local log = require "tokencache.log"
local tokencache = require "tokencache"

local compile = loadstring or load -- luacheck: ignore 113

local KEY = { "users", "anna" }

---@class LoginTrial
---@field now number          Unix seconds, of all flows
---@field sent integer        requests to the token endpoint
---@field on_request? fun()   called when one has been answered
local Trial = {}
Trial.__index = Trial

local login_trial = {}

local function maker(code)
  return type(code) == "string" and assert(compile(code)) or code
end

---@param settings { server: OidcProvider, store?: string|fun(): table, cache?: string|fun(): table,
---   options?: table }
---@return LoginTrial
function login_trial.new(settings)
  local self = setmetatable({
    server = settings.server, options = settings.options, now = os.time(), sent = 0,
    new_store = maker(settings.store), new_cache = maker(settings.cache),
    curl = require("tokencache.transport.curl").new {},
  }, Trial)
  self.transport = { heartbeats = true, request = function(_, request)
    if request.url == self.server.token_url then
      self.sent = self.sent + 1
    end
    local response, err = self.curl:request(request)
    local then_ = self.on_request
    if then_ then
      then_(request)
    end
    return response, err
  end }
  return self
end

--- A flow, and its account: the flow itself where it has a cache.
---@return tokencache.Flow flow, tokencache.Account account
function Trial:flow(options)
  local all = self.server:options("confidential", {
    redirect_uri = "http://127.0.0.1:8080/callback",
    scope = "read",
    clock = function() return self.now end,
    authorize = false,
    http = self.transport,
    timeout = 5,
  }, self.options, options)
  all.store = self.new_store and self.new_store()
  all.cache = self.new_cache and self.new_cache()
  local flow = tokencache.flow.authorization_code(all)
  return flow, self.new_store and flow:account(KEY) or flow
end

---@return tokencache.Account
function Trial:account(options)
  local _, account = self:flow(options)
  return account
end

--- A handler of its own for what the store holds.
function Trial:handler()
  return self.new_cache and self.new_cache()
    or tokencache.cache.from_store(self.new_store(), KEY)
end

---@return tokencache.TokenInfo?
function Trial:saved()
  return (self:handler():get_cached_token(true))
end

---@return tokencache.TokenInfo
function Trial:log_in()
  local flow, account = self:flow()
  local url, pending = flow:get_authorize_url()
  local info, err = account:exchange(self.server:login(url), pending)
  assert(info, tostring(err))
  assert.is_string(info.refresh_token)
  self.sent = 0
  return info
end

--- Lets the token expire.
function Trial:expire()
  self.now = self.now + 4000
end

--- A log out while the store fails ends the login here and at the provider, or at neither.
---@param fail fun()
---@param mend fun()
function Trial:is_logged_out_whole(fail, mend)
  local info = self:saved()
  log.set_logger(false)
  fail()
  local ok, err = self:account():log_out()
  local is_active = self.server:introspect(info.access_token).active
  mend()
  assert.equal(not ok, is_active, tostring(err))
  assert.equal(is_active, self:saved() ~= nil)
  if not ok then
    assert.equal("cache", err.kind)
    assert.matches("could not be removed, so it was not revoked either: .", tostring(err))
  end
  assert.same({ true }, { self:account():log_out() })
  assert.is_nil(self:saved())
  assert.is_false(self.server:introspect(info.access_token).active)
  log.set_logger(nil)
end

--- Renewals, each by a flow of its own, that are saved and that the server takes for good.
---@param count integer
function Trial:renews(count)
  for i = 1, count do
    local before, sent = self:saved().access_token, self.sent
    self:expire()
    local token, err = self:account():get_access_token()
    assert(token, ("renewal %d: %s"):format(i, tostring(err)))
    assert.not_equal(before, token)
    assert.equal(sent + 1, self.sent)
    assert.equal(token, self:saved().access_token)
    assert.is_true(self.server:introspect(token).active)
  end
end

--- The store fails while the request is under way, through two calls: both return the new token.
--- With the fault gone the next call, of a new flow, saves it, and nobody asks the server again.
---@param fail fun()
---@param mend fun()
---@param times? integer  calls before it is mended; default 2
---@return string[] logged
function Trial:survives_failed_save(fail, mend, times)
  local logged = keep_log()
  local sent = self.sent
  self:expire()
  self.on_request = function()
    self.on_request = nil
    fail()
  end
  local token, err = self:account():get_access_token()
  assert(token, tostring(err))
  assert.matches("the token could not be saved", table.concat(logged, "\n"), 1, true)
  for _ = 2, times or 2 do
    assert.equal(token, self:account():get_access_token())
  end
  mend()
  local again
  again, err = self:account():get_access_token()
  assert.equal(token, again, tostring(err))
  assert.equal(token, self:saved().access_token)
  assert.equal(sent + 1, self.sent)
  assert.is_true(self.server:introspect(token).active)
  log.set_logger(false)
  self:renews(3)
  log.set_logger(nil)
  return logged
end

--- The store has failed before the call: the server sees no request, and a token with some seconds
--- left still serves, if it can be read.
---@param fail fun()
---@param is_unreadable? boolean
function Trial:is_not_spent(fail, is_unreadable)
  log.set_logger(false)
  local old, sent = self:saved(), self.sent
  fail()
  self.now = old.expires_at - 30
  if not is_unreadable then
    assert.equal(old.access_token, self:account():get_access_token())
  end
  self.now = old.expires_at + 30
  for _ = 1, 2 do
    local token, err = self:account():get_access_token()
    assert.is_nil(token)
    assert.equal("cache", err.kind, tostring(err))
  end
  assert.equal(sent, self.sent)
  log.set_logger(nil)
end

--- With the fault gone: one request, and the login lives on.
---@param mend fun()
function Trial:recovers(mend)
  local sent = self.sent
  mend()
  local token, err = self:account():get_access_token()
  assert(token, tostring(err))
  assert.equal(token, self:account():get_access_token())
  assert.equal(token, self:saved().access_token)
  assert.equal(sent + 1, self.sent)
  self:renews(3)
end

--- Both, for what can be foreseen.
function Trial:foresees(fail, mend, is_unreadable)
  self:is_not_spent(fail, is_unreadable)
  self:recovers(mend)
end

login_trial.KEY = KEY

return login_trial
