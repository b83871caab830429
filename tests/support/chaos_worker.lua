--- A program with logins, for tests/chaos.lua, in a process of its own or inside nginx. It writes
--- down what it sends, gets, saves and loses, a line each: a journal outlives its writers.
---
---     chaos_worker.new(orders).ask(key)   -- a call for a random one of the logins
---
--- Lines: TIME ID WORD ..., the time in monotonic seconds of the system.
---     sent REFRESH_TOKEN; came REFRESH_TOKEN NEW_ONE; saved REFRESH_TOKEN
---     lost KEY BEGAN    the user must log in again, said a call that began then

local core = require "tokencache._core"
local process = require "support.process"
local tokencache = require "tokencache"

local chaos_worker = {}

---@class ChaosOrders
---@field journal string
---@field clock_file string  what is in it: by how many seconds the clock is wrong
---@field token_url string
---@field id integer       its own, in the journal
---@field skew integer       seconds besides

--- In one write, so that lines of several processes do not mix.
local function new_journal(orders)
  local file = assert(io.open(orders.journal, "a"))
  file:setvbuf("full", 4096)
  return function(...)
    file:write(table.concat({ ("%.3f"):format(core.monotonic()), orders.id, ... }, " "), "\n")
    file:flush()
  end
end

--- Has the store write down what it has saved.
local function note_saves(store, note)
  for _, name in ipairs { "set", "replace" } do
    local method = store[name]
    store[name] = function(self, key, first, second, ...)
      local ok, err = method(self, key, first, second, ...)
      local bytes = name == "set" and first or second
      local token = ok and bytes and bytes:match('"refresh_token":"([^"]*)"')
      if token then
        note("saved", token)
      end
      return ok, err
    end
  end
  return store
end

local function noting_transport(note)
  local inner = require("tokencache.environment").nginx and require("tokencache.nginx.http").new()
    or require("tokencache.transport.curl").new { proxy = "" }
  return { heartbeats = true, request = function(_, request)
    local token = request.body:match("refresh_token=([^&]*)")
    token = token:gsub("%%7E", "~")
    note("sent", token)
    local response, err = inner:request(request)
    local new = response and response.status == 200
      and response.body:match('"refresh_token":"([^"]*)"')
    note("came", token, new or response and response.status or tostring(err):gsub("%s", "_"))
    return response, err
  end }
end

---@param orders ChaosOrders
---@param store tokencache.Store
function chaos_worker.new(orders, store)
  local note = new_journal(orders)
  local wrong = 0
  local flow = tokencache.flow.authorization_code {
    provider = { authorize_url = orders.token_url .. "/auth", token_url = orders.token_url },
    client_id = "a", client_secret = "b", redirect_uri = "http://127.0.0.1:8080/callback",
    authorize = false, store = note_saves(store, note), http = noting_transport(note),
    clock = function() return os.time() + wrong end,
  }
  local self = {}

  ---@param key string
  ---@return string? token
  ---@return tokencache.Error?
  function self.ask(key)
    wrong = (tonumber(process.read_file(orders.clock_file)) or 0) + orders.skew
    local began = core.monotonic()
    local token, err = flow:account(key):get_access_token()
    if err and err.kind == "reauthorize" then
      note("lost", key, ("%.3f"):format(began))
    end
    return token, err
  end
  return self
end

--- Goes on until it is ended.
---@param orders ChaosOrders
---@param new_store fun(): tokencache.Store
---@param keys string[]
function chaos_worker.run(orders, new_store, keys)
  local socket = require "socket"
  tokencache.set_logger(false)
  local worker = chaos_worker.new(orders, new_store())
  math.randomseed(orders.id)
  while true do
    worker.ask(keys[math.random(#keys)])
    socket.sleep(0.02)
  end
end

return chaos_worker
