--- Debian's Prometheus, for the length of a spec.
---
---     local server = prometheus.start(port)   -- scrapes http://127.0.0.1:PORT/metrics
---     server:value("sum(a_total)")             -- a number; nil: there is none
---     server:query("a_total{b=\"c\"}")         -- what its API answers; raises what it refuses
---     prometheus.problems(text)                -- what promtool finds wrong; nil: nothing
---     server:stop()

local folder = require "support.folder"
local http = require "socket.http"
local json = require "tokencache.json"
local loopback = require "support.loopback"
local process = require "support.process"
local url = require "socket.url"

local prometheus = {}

local CONFIGURATION = [[
global: { scrape_interval: 500ms, scrape_timeout: 500ms }
scrape_configs:
  - job_name: tokencache
    static_configs: [ { targets: [ "127.0.0.1:%d" ] } ]
]]

--- Why it cannot be had here; nil: it can.
---@return string?
function prometheus.missing()
  if process.run { "sh", "-c", "command -v prometheus && command -v promtool" } ~= 0 then
    return "Prometheus is not installed: apt-get install prometheus"
  end
end

---@param text string
---@return string?
function prometheus.problems(text)
  local directory = folder.new()
  local path = directory:file "metrics"
  process.write_file(path, text)
  local code, output = process.run { "sh", "-c", "promtool check metrics <" .. path }
  directory:remove()
  return code ~= 0 and output or nil
end

---@class Prometheus
local Prometheus = {}
Prometheus.__index = Prometheus

---@param query string
---@return table[]  the result
function Prometheus:query(query)
  local body, status = http.request(("http://127.0.0.1:%d/api/v1/query?query=%s")
    :format(self.port, url.escape(query)))
  assert(status == 200, query .. ": " .. tostring(body))
  return json.decode(body).data.result
end

---@param query string
---@return number?
function Prometheus:value(query)
  local result = self:query(query)[1]
  return result and tonumber(result.value[2])
end

function Prometheus:stop()
  self.child:stop()
  self.directory:remove()
end

---@param target integer  a port
---@return Prometheus
function prometheus.start(target)
  local self = setmetatable({ directory = folder.new(), port = loopback.free_port() }, Prometheus)
  local file = self.directory:file "prometheus.yml"
  process.write_file(file, CONFIGURATION:format(target))
  self.child = process.start { "prometheus", "--config.file=" .. file, "--log.level=warn",
    "--storage.tsdb.path=" .. self.directory:file "data",
    "--web.listen-address=127.0.0.1:" .. self.port }
  process.wait_until("Prometheus to be ready", function()
    assert(self.child:is_running(), self.child:output())
    return select(2, http.request(("http://127.0.0.1:%d/-/ready"):format(self.port))) == 200
  end, 60)
  return self
end

return prometheus
