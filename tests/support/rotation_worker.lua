--- The process that renews a login until it dies, for support.rotation. It writes down each thing
--- that happens, a word a line: a journal outlives its writer.

local random_numbers = require "support.random_numbers"
local tokencache = require "tokencache"
local unix = require "support.unix"

---@class RotationOrders  all strings: they come as arguments
---@field journal string
---@field cache_path string
---@field provider tokencache.Provider
---@field client table
---@field now number       Unix seconds, later than any other worker's
---@field seed integer
---@field refreshes integer  it ends after so many

local SAVES_THAT_FAIL = 20 -- percent
local DEATHS = 5           -- percent, before each action and after the last

---@param orders RotationOrders
return function(orders)
  local file = assert(io.open(orders.journal, "a"))
  file:setvbuf("no")
  local function note(word)
    assert(file:write(word, "\n"))
  end

  local random = random_numbers(orders.seed)
  local function chance(percent)
    return random(100) <= percent
  end
  local function perhaps_die()
    if chance(DEATHS) then
      note("killed")
      unix.die()
    end
  end

  local handler = tokencache.cache.file { cache_path = orders.cache_path }
  local cache = {}
  function cache.get_cached_token()
    perhaps_die()
    return handler:get_cached_token()
  end
  function cache.save_token_to_cache(_, info)
    perhaps_die()
    if chance(SAVES_THAT_FAIL) then
      note("failed")
      return nil, "the disk is full"
    end
    local ok, err = handler:save_token_to_cache(info)
    note(ok and "saved" or "failed")
    return ok, err
  end
  function cache.remove_cached_token()
    perhaps_die()
    note("removed")
    return handler:remove_cached_token()
  end
  cache.try_lock = function()
    perhaps_die()
    return {}
  end
  cache.unlock = perhaps_die

  local curl = require("tokencache.transport.curl").new {}
  local transport, refreshes = {}, 0
  function transport.request(_, request)
    perhaps_die()
    local response, err = curl:request(request)
    if response and response.status == 200 then
      refreshes = refreshes + 1
      note("answered")
    end
    return response, err
  end

  local now = orders.now
  local flow = tokencache.flow.pkce {
    provider = orders.provider,
    client_id = orders.client.client_id,
    redirect_uri = "http://127.0.0.1:8080/callback",
    scope = "read",
    cache = cache,
    http = transport,
    clock = function() return now end,
    authorize = false,
  }
  tokencache.set_logger(false)
  while refreshes < orders.refreshes do
    local token, err = flow:get_access_token()
    perhaps_die()
    if not token then
      note(err.kind .. " " .. tostring(err))
      return
    end
    if chance(75) then -- else the call looks at what the last one left
      now = now + 4000
    end
  end
end
