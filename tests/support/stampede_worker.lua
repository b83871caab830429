--- The process that becomes many, for support.stampede: forks who all want a token of one cache at
--- the same instant, and write down what they get, a line each.

local process = require "support.process"
local tokencache = require "tokencache"
local unix = require "support.unix"

---@class StampedeOrders
---@field cache string      Lua that returns the handler
---@field provider tokencache.Provider
---@field client table
---@field now number        Unix seconds
---@field processes integer
---@field ready string      the file to which each adds a byte once it is there
---@field gate string       a FIFO: its opening is the start
---@field busy string       the file to which each adds a byte where it finds the lock taken
---@field results string    the file for the lines
---@field refused? string  the token that the API has refused
---@field alone boolean      only one process, this one, and no waiting for others

local function append(path, text)
  local file = assert(io.open(path, "a"))
  assert(file:write(text))
  assert(file:close())
end

--- The handler, telling where its lock is taken by another.
local function watched(cache, path)
  return setmetatable({
    try_lock = function(_, ttl)
      local handle, more = cache:try_lock(ttl)
      if handle == false then
        append(path, ".")
      end
      return handle, more
    end,
  }, {
    __index = function(_, name)
      local field = cache[name]
      return type(field) == "function" and function(_, ...) return field(cache, ...) end or field
    end,
  })
end

local function new_flow(orders)
  local make_cache = assert((loadstring or load)(orders.cache)) -- luacheck: ignore 113
  return tokencache.flow.authorization_code {
    provider = orders.provider,
    client_id = orders.client.client_id,
    client_secret = orders.client.client_secret,
    redirect_uri = "http://127.0.0.1:8080/callback",
    scope = "read",
    cache = watched(make_cache(), orders.busy),
    clock = function() return orders.now end,
    authorize = false,
  }
end

--- One of the crowd.
local function take_part(orders)
  local flow = new_flow(orders)
  append(orders.ready, ".")
  assert(io.open(orders.gate, "r")):close() -- waits until it is opened at the other end
  local token, err = flow:get_access_token(orders.refused and { refused = orders.refused } or nil)
  append(orders.results, (token and "token " .. token or err.kind .. " " .. err) .. "\n")
end

---@param orders StampedeOrders
return function(orders)
  tokencache.set_logger(function(level, message)
    if level ~= "debug" then
      append(orders.results, level .. " " .. message .. "\n")
    end
  end)
  if orders.alone then
    return new_flow(orders):get_access_token()
  end
  local pids = {}
  for i = 1, orders.processes do
    pids[i] = unix.fork()
    if pids[i] == 0 then
      local ok, problem = pcall(take_part, orders)
      if not ok then
        append(orders.results, "raised " .. tostring(problem) .. "\n")
      end
      unix.exit(0)
    end
  end
  process.wait_until("all to be there", function()
    return #(process.read_file(orders.ready) or "") == orders.processes
  end, 60)
  local gate = assert(io.open(orders.gate, "w"))
  for _, pid in ipairs(pids) do
    unix.wait(pid)
  end
  gate:close()
end
