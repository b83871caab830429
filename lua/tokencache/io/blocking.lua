--- How the flow engine's actions are carried out in a plain Lua program: by blocking.

local core = require "tokencache._core"

---@class tokencache.Io
---@field now fun(): number              Unix seconds
---@field monotonic fun(): number        seconds from some fixed point; deadlines are kept by it
---@field sleep fun(seconds: number): any, any  nil, err where one may not wait
---@field pause? fun()                  lets others have their turn, where that is possible now
---@field refusal? fun(): tokencache.Error?      why one may not wait now
---@field after? fun(seconds: number, fn: fun(), at_end?: fun()): boolean?, any  calls fn then,
---                                   where it may yield; at_end instead if the process ends before;
---                                   false: the process is about to end; nil, err: it cannot
---@field new_waiter? fun(): tokencache.Waiter?  to be woken by, instead of looking again and again
---@field process? tokencache.Process  what is known beyond any object; default: the program's
---@field random fun(count: integer): string?, any  bytes nobody can guess; or nil and why not
---@field log_in? fun(flow: tokencache.UserFlow, turn?: table): table?, tokencache.Error?, table?
---                                   lets a user log in: as of tokencache.login
---@field pasting? string            what a user gives for a login by pasting; default: the option
---@field transport fun(options: table): tokencache.Transport

--- What coroutines wait for; it is woken once.
---@class tokencache.Waiter
---@field wait fun(self, seconds: number): boolean  false: it was not woken in that time
---@field wake fun(self)

local transports = setmetatable({}, { __mode = "v" })

--- Flows with the same connection options share a transport, and with it the open connections.
local function transport(options)
  local key = table.concat({
    tostring(options.proxy), tostring(options.ca_file), tostring(options.connect_timeout),
  }, "\0")
  if not transports[key] then
    transports[key] = require("tokencache.transport.curl").new(options)
  end
  return transports[key]
end

local function random(count)
  return require("tokencache.crypto").random(count)
end

local function log_in(flow, turn)
  return require("tokencache.login").run(flow, turn)
end

---@type tokencache.Io
return {
  now = core.now,
  monotonic = core.monotonic,
  sleep = core.sleep,
  random = random,
  log_in = log_in,
  transport = transport,
}
