--- What a process knows of its accounts, whichever object asks: tokens that are owed to a store,
--- refresh tokens that are spent or dead, the last failure. It is kept under the store and the key,
--- so a flow made for each request loses nothing. Tests make processes of their own.

local identity_of = require "tokencache.util.identity"
local ring = require "tokencache.util.ring"

local process = {}

local MOST_ACCOUNTS = 10000

---@class tokencache.AccountState
---@field id string
---@field used boolean        see tokencache.util.ring
---@field kept? boolean       a debt is never dropped, unless it ends with its request
---@field owed? tokencache.Debt
---@field latest? tokencache.TokenInfo  the last token that came, where a refresh token was spent
---@field latest_since? number  Unix seconds: a log out since then counts for it
---@field spent? string[]     digests of refresh tokens whose successor has come, the oldest first
---@field dead? string[]      digests of those that the provider knows no longer
---@field failure? { err: tokencache.Error, at: number, who: string }  `at`: monotonic seconds
---@field waiter? tokencache.Waiter  of those who wait for the lock
---@field unmarked? boolean   the last log out could not leave its mark
---@field watched? boolean    a timer looks after what another worker owes

---@class tokencache.Process
---@field owing integer       how many accounts have a token that is not saved
---@field is_closing? boolean  the Lua state is being closed
---@field private states table<string, tokencache.AccountState>
---@field private put_out table<string, tokencache.AccountState>  those for which there was no room,
---                            as long as a call still holds them: there is one of each account
---@field private ring table
---@field private serials table<table|userdata, integer>
---@field private last_serial integer
---@field accounts table      the ring of account objects: bounded, and held by their flows alone
local Process = {}
Process.__index = Process

--- Returns the number of a store that is known by its object. No other store ever gets the same.
local function serial_of(self, object)
  local serial = self.serials[object]
  if not serial then
    serial = self.last_serial + 1
    self.last_serial, self.serials[object] = serial, serial
  end
  return serial
end

--- Returns the name of an account: all handlers of one entry of one store have the same.
---@param handler table|userdata  a cache handler
---@return string
function Process:id_of(handler)
  local identity, key
  if handler.account_id then
    identity, key = handler:account_id()
  else
    identity, key = identity_of(handler), ""
  end
  if identity == nil or identity ~= identity or type(key) ~= "string" then
    error(handler.account_id and "the cache handler's account_id() must return what the storage is "
      .. "known by, which is neither nil nor NaN, and the account's key there, a string"
      or "the cache handler's identity is NaN", 0)
  elseif type(identity) ~= "string" then
    identity = "\1" .. serial_of(self, identity)
  end
  return identity .. "\0" .. key
end

---@param id string
---@return tokencache.AccountState?  what is known of the account, if anything
function Process:known(id)
  return self.states[id] or self.put_out[id]
end

---@param id string
---@return tokencache.AccountState
function Process:state(id)
  local state = self.states[id]
  if not state then
    state = self.put_out[id] or { id = id, used = false }
    self:keep(state)
    return state
  end
  state.used = true
  return state
end

--- Takes it in again where others have put it out while a call was at it.
---@param state tokencache.AccountState
function Process:keep(state)
  if self.states[state.id] ~= state then
    self.states[state.id] = state
    self.ring:add(state)
    if state.owed then -- it was counted off when it was put out
      self.owing = self.owing + 1
    end
  end
end

---@param count integer  of accounts that are remembered; debts come on top
function Process:set_limit(count)
  self.ring:set_limit(count)
  self.accounts:set_limit(count)
end

---@return tokencache.Process
function process.new()
  local states = {}
  local self = setmetatable({ owing = 0, states = states, last_serial = 0,
    put_out = setmetatable({}, { __mode = "v" }), serials = setmetatable({}, { __mode = "k" }) },
    Process)
  self.ring = ring(MOST_ACCOUNTS, function(state)
    states[state.id], self.put_out[state.id] = nil, state
    if state.owed then -- of a request that is over
      self.owing = self.owing - 1
    end
  end)
  self.accounts = ring(MOST_ACCOUNTS, function(account) account:leave() end, "v")
  return self
end

--- That of the program.
process.own = process.new()

return process
