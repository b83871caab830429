--- Many processes over one cache that holds an expired login.
---
---     local crowd = stampede.new { cache = code, provider = , client = , now = , processes = 64 }
---     crowd:run()             -- to its end; or crowd:start(), and then
---     crowd:wait_for_busy()   -- until one has found the lock taken
---     crowd:wait(seconds)
---     crowd:results()         -- { ["token abc"] = 64 }: what they got, and how often
---     crowd:remove()

local folder = require "support.folder"
local process = require "support.process"

local stampede = {}

local Crowd = {}
Crowd.__index = Crowd

---@param orders { cache: string, provider: tokencache.Provider, client: table, now: number,
---   processes?: integer, alone?: boolean, refused?: string }  see StampedeOrders
function stampede.new(orders)
  local self = setmetatable({ folder = folder.new(), orders = orders }, Crowd)
  self.folder:shell("mkfifo gate; touch ready busy results")
  return self
end

local function command(self)
  local orders = self.orders
  local provider, client = orders.provider, orders.client
  return process.lua(([[require("support.stampede_worker") {
    cache = %q, provider = { authorize_url = %q, token_url = %q, issuer = %q },
    client = { client_id = %q, client_secret = %q }, now = %d, processes = %d,
    ready = %q, gate = %q, busy = %q, results = %q, alone = %s,
    refused = %s }]]):format(orders.cache,
    provider.authorize_url, provider.token_url, provider.issuer or provider.token_url,
    client.client_id, client.client_secret, orders.now, orders.processes or 1,
    self.folder:file("ready"), self.folder:file("gate"), self.folder:file("busy"),
    self.folder:file("results"), tostring(orders.alone == true),
    orders.refused and ("%q"):format(orders.refused) or "nil"))
end

function Crowd:run()
  local code, output = process.run(command(self))
  assert(code == 0, output)
end

function Crowd:start()
  local line = command(self)
  self.child = process.start(line, { environment = line.environment })
end

--- Until `count` tries in all have found the lock taken.
---@param count integer
function Crowd:wait_for_busy(count)
  process.wait_until("the lock to be found taken", function()
    return #process.read_file(self.folder:file("busy")) >= count
  end, 60)
end

---@param seconds number
function Crowd:wait(seconds)
  self.child:wait(seconds)
end

---@return table<string, integer>
function Crowd:results()
  local counts = {}
  for line in io.lines(self.folder:file("results")) do
    counts[line] = (counts[line] or 0) + 1
  end
  return counts
end

function Crowd:remove()
  if self.child then
    self.child:stop()
  end
  self.folder:remove()
end

--- Renews one login again and again, each time by many processes at once.
---@param server OidcProvider
---@param cache SharedCache
---@param settings { rounds: integer, processes: integer }
---@return { refreshes: integer[], results: table<string, integer>[], tokens: string[],
---   active: integer }  by round; tokens: what the cache holds after it; active: how many of these
---   the server took for good
function stampede.rounds(server, cache, settings)
  local client, now = server.clients.confidential, os.time()
  local handler = cache.new()
  server:log_in(handler, now)
  local report = { refreshes = {}, results = {}, active = 0, tokens = {} }
  for round = 1, settings.rounds do
    now = now + 4000
    local crowd = stampede.new { cache = cache.code, provider = server.provider, client = client,
      now = now, processes = settings.processes }
    local before = server:counts().refresh_token or 0
    crowd:run()
    report.refreshes[round] = server:counts().refresh_token - before
    report.results[round] = crowd:results()
    crowd:remove()
    local token = handler:get_cached_token().access_token
    report.tokens[round] = token
    report.active = report.active + (server:introspect(token).active and 1 or 0)
  end
  return report
end

return stampede
