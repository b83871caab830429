--- What tokencache does, as Prometheus reads it: `tokencache.nginx.metrics`.
---
---     init_by_lua_block { metrics = require("tokencache").nginx.metrics() }
---     location = /metrics { content_by_lua_block { metrics:serve() } }
---
--- All workers count in one shared dictionary. Series are by flow and client, of which there are
--- MOST_CLIENTS at most, so the memory that they take has a bound. A client has a number there, its
--- slot, which all workers find by its name.

local core = require "tokencache._core"
local log = require "tokencache.log"
local ngx = require("tokencache.environment").nginx
local observer = require "tokencache.observer"
local options = require "tokencache.util.options"
local process = require "tokencache.account.process"

local PREFIX = "tokencache-metric:"
local MOST_CLIENTS = 100 -- the last one stands for all that come later
local OTHERS = "other\nother"
local SAME = 1 -- seconds: ends of tokens that are no further apart are those of one token

--- Prometheus' own defaults, in seconds.
local BUCKETS = { 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, math.huge }

local KINDS = { "reauthorize", "denied", "transient", "config", "state", "cache", "protocol",
  "timeout" }

---@class tokencache.Metric
---@field name string      without "tokencache_"
---@field help string
---@field type "counter"|"gauge"|"histogram"
---@field event? string    what it counts, or times
---@field label? string    what tells its series apart, beside flow and client_id
---@field values? table<integer, string>  of the label: each is the end of an entry's name

---@type tokencache.Metric[]
local METRICS = {
  { name = "requests_total", type = "counter", label = "outcome",
    values = { "hit", "miss", "refused" },
    help = "Calls for a token: the cache had it, it had none, or the API refused the one it had." },
  { name = "failures_total", type = "counter", label = "kind", values = KINDS,
    help = "Calls that ended with an error, by its kind." },
  { name = "refresh_duration_seconds", type = "histogram", event = "refresh",
    help = "Time for which the provider was asked for each new token without a user." },
  { name = "lock_wait_duration_seconds", type = "histogram", event = "wait",
    help = "Time that calls waited for another one's renewal." },
  { name = "save_duration_seconds", type = "histogram", event = "save",
    help = "Time in which tokens were saved in the cache." },
  { name = "save_failures_total", type = "counter", event = "owed",
    help = "Attempts to save a token that failed; it is kept and tried again." },
  { name = "logins_total", type = "counter", event = "login", help = "Users who logged in." },
  { name = "log_outs_total", type = "counter", event = "log_out", help = "Logins removed." },
  { name = "session_uses_total", type = "counter", event = "session",
    help = "Sessions in use, each counted once in a twentieth of the gateway's idle_timeout." },
  { name = "token_expiry_timestamp_seconds", type = "gauge", event = "expiry",
    help = "When the token seen last expires, of flows with one account." },
}

--- By event, what is to be timed.
local TIMED = {}
for _, metric in ipairs(METRICS) do
  if metric.type == "histogram" then
    TIMED[metric.event] = true
  end
end

---@class tokencache.Metrics
---@field package dict table  ngx.shared.NAME
---@field package find_slots fun()
local Metrics = {}
Metrics.__index = Metrics

-- counting ----------------------------------------------------------------------------------------

--- What is there of others is not put out.
local function warn(problem)
  log.repeated("warning", "metrics: " .. problem, "metrics: ", problem,
    problem == "no memory" and "; enlarge the lua_shared_dict" or "")
end

local function add(dict, key, value)
  local sum, problem = dict:incr(key, value)
  if not sum and problem == "not found" then
    sum, problem = dict:safe_add(key, 0)
    if sum or problem == "exists" then
      sum, problem = dict:incr(key, value)
    end
  end
  if not sum then
    warn(problem)
  end
end

local function put(dict, key, value)
  local ok, problem = dict:safe_set(key, value)
  if not ok then
    warn(problem)
  end
end

local function client_key(slot)
  return PREFIX .. "client:" .. slot
end

--- Returns the slot of a client, and takes a free one for it where it has none.
local function slot_of(dict, client)
  for slot = 1, MOST_CLIENTS do
    local wanted = slot < MOST_CLIENTS and client or OTHERS
    dict:safe_add(client_key(slot), wanted)
    local found = dict:get(client_key(slot))
    if found == wanted or found == nil then
      return slot
    end
  end
end

--- The names of a client's entries, each made when it is first used.
local function new_series(dict, flow)
  local client = core.printable(tostring(flow.name or "")) .. "\n"
    .. core.printable(tostring(flow.client_id or ""))
  local prefix = PREFIX .. slot_of(dict, client) .. ":"
  return setmetatable({}, { __index = function(self, name)
    local key = prefix .. name
    rawset(self, name, key)
    return key
  end })
end

local function bucket_of(seconds)
  local i = 1
  while seconds > BUCKETS[i] do
    i = i + 1
  end
  return i
end

--- Returns what notes that a worker owes tokens, and how many.
local function new_debt_counter(dict)
  local noted
  return function()
    local owing = process.own.owing
    local id = owing ~= noted and ngx.worker.id()
    if id then
      noted = owing
      put(dict, PREFIX .. "owing:" .. id, owing)
    end
  end
end

--- Returns the function that gets all events; and one that finds the slots again, and puts their
--- names back where the dictionary was full and has lost them.
local function new_counter(dict)
  local all_series = setmetatable({}, { __mode = "k" }) -- by flow
  local ends = setmetatable({}, { __mode = "k" })       -- of tokens, by flow
  local count_debts = new_debt_counter(dict)

  local function note_end(flow, series, left)
    local expires_at, noted = ngx.now() + left, ends[flow]
    if not noted or math.abs(expires_at - noted) > SAME then
      ends[flow] = expires_at
      put(dict, series.expiry, expires_at)
    end
  end

  local function count(event, account, fields)
    local flow = account.flow
    if not flow then
      return
    end
    local series = all_series[flow]
    if not series then
      series = new_series(dict, flow)
      all_series[flow] = series
    end
    local seconds = TIMED[event] and (fields and fields.seconds or 0)
    if seconds then
      add(dict, series[event .. ":" .. bucket_of(seconds)], 1)
      add(dict, series[event .. ":sum"], seconds)
    else
      add(dict, event == "failure" and series[fields.kind] or series[event], 1)
    end
    if fields and fields.left and not account.key then
      note_end(flow, series, fields.left)
    end
    count_debts()
  end

  return count, function()
    for flow in pairs(all_series) do
      all_series[flow] = new_series(dict, flow)
    end
  end
end

-- what Prometheus reads ---------------------------------------------------------------------------

local ESCAPES = { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n" }

local function label(name, value)
  return ('%s="%s"'):format(name, (value:gsub('[\\"\n]', ESCAPES)))
end

---@class tokencache.MetricsClient
---@field slot integer
---@field labels string

---@return tokencache.MetricsClient[]
local function clients_of(dict)
  local clients = {}
  for slot = 1, MOST_CLIENTS do
    local flow, client_id = (dict:get(client_key(slot)) or ""):match "^([^\n]*)\n([^\n]*)$"
    if flow then
      clients[#clients + 1] = { slot = slot,
        labels = label("flow", flow) .. "," .. label("client_id", client_id) }
    end
  end
  return clients
end

local function number(value)
  return value == math.huge and "+Inf" or (value % 1 == 0 and "%d" or "%.14g"):format(value)
end

---@class tokencache.MetricsPage
---@field dict table
---@field lines string[]

local function add_head(page, metric)
  local name = "tokencache_" .. metric.name
  page.lines[#page.lines + 1] = ("# HELP %s %s"):format(name, metric.help)
  page.lines[#page.lines + 1] = ("# TYPE %s %s"):format(name, metric.type)
end

local function add_line(page, name, labels, value)
  page.lines[#page.lines + 1] = ("tokencache_%s{%s} %s"):format(name, labels, number(value))
end

local function value_of(page, client, name)
  return page.dict:get(PREFIX .. client.slot .. ":" .. name)
end

local function add_histogram(page, metric, client)
  local count = 0
  for i, most in ipairs(BUCKETS) do
    count = count + (value_of(page, client, metric.event .. ":" .. i) or 0)
    add_line(page, metric.name .. "_bucket", client.labels .. "," .. label("le", number(most)),
      count)
  end
  add_line(page, metric.name .. "_sum", client.labels,
    value_of(page, client, metric.event .. ":sum") or 0)
  add_line(page, metric.name .. "_count", client.labels, count)
end

local function add_series(page, metric, client)
  if metric.type == "histogram" then
    return add_histogram(page, metric, client)
  elseif metric.type == "gauge" then
    local value = value_of(page, client, metric.event)
    return value and add_line(page, metric.name, client.labels, value)
  elseif not metric.label then
    return add_line(page, metric.name, client.labels, value_of(page, client, metric.event) or 0)
  end
  for _, value in ipairs(metric.values) do
    add_line(page, metric.name, client.labels .. "," .. label(metric.label, value),
      value_of(page, client, value) or 0)
  end
end

--- All that was counted, in Prometheus' text format.
---@return string
function Metrics:text()
  options.called_on(self, Metrics, "text")
  local dict = self.dict
  self.find_slots()
  local page, clients = { dict = dict, lines = {} }, clients_of(dict)
  for _, metric in ipairs(METRICS) do
    add_head(page, metric)
    for _, client in ipairs(clients) do
      add_series(page, metric, client)
    end
  end
  local name = "unsaved_tokens"
  add_head(page, { name = name, type = "gauge", help = "Tokens that a worker could not save yet." })
  for id = 0, ngx.worker.count() - 1 do
    add_line(page, name, label("worker", tostring(id)), dict:get(PREFIX .. "owing:" .. id) or 0)
  end
  return table.concat(page.lines, "\n") .. "\n"
end

--- For content_by_lua of the location that Prometheus asks.
function Metrics:serve()
  options.called_on(self, Metrics, "serve")
  ngx.header["Content-Type"] = "text/plain; version=0.0.4; charset=utf-8"
  ngx.print(self:text())
end

local RULES = {
  shared_dict = { "string", default = "tokencache" },
}

--- Counts from now on, beside an observer of the program's. To be called in init_by_lua.
---@param opts? { shared_dict?: string }  the lua_shared_dict to count in; default "tokencache"
---@return tokencache.Metrics
return function(opts)
  local name = options.check("nginx.metrics", opts, RULES).shared_dict
  local dict = ngx and ngx.shared[name]
  if not dict then
    error("nginx.metrics: there is no lua_shared_dict " .. name .. " in http {}", 2)
  end
  local count, find_slots = new_counter(dict)
  observer.set_counter(count)
  return setmetatable({ dict = dict, find_slots = find_slots }, Metrics)
end
