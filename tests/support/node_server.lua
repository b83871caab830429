--- The servers of tests/servers/ that are written for Node, in one process of Node for all of a
--- suite: each starts with a state of its own, and its ports are closed when it is stopped.
---
---     local server = node_server.start("oidc_provider", { token_lifetime = 2 })
---     server.ready      -- what it says of where it is
---     server:output()   -- of the process, for messages
---     server:stop()

local http = require "socket.http"
local json = require "tokencache.json"
local kept = require "support.kept"
local process = require "support.process"
local query = require "support.query"

local node_server = {}

---@class NodeServer
---@field ready string
---@field private number integer
---@field private host Child
local NodeServer = {}
NodeServer.__index = NodeServer

local function control(host, path, settings)
  local answer, status = http.request(
    ("%s/%s?%s"):format(host.ready, path, query.write(settings)), "")
  if status ~= 200 then
    error(("%s: %s\n%s"):format(path, answer or status, host:output()), 0)
  end
  return assert(json.decode(answer))
end

--- Starts one of them, by its file's name.
---@param name string
---@param settings? table<string, string|number>
---@return NodeServer
function node_server.start(name, settings)
  if not kept.node or not kept.node:is_running() then
    kept.node = process.start({ "node", "tests/servers/run.mjs" },
      { ready = true, directory = os.getenv("PWD") })
  end
  local self = control(kept.node, name, settings)
  self.host = kept.node
  return setmetatable(self, NodeServer)
end

--- What the process has printed that it and others are in.
---@return string
function NodeServer:output()
  return self.host:output()
end

--- The process, which it shares with others.
---@param name string  "STOP", "CONT"
function NodeServer:signal(name)
  self.host:signal(name)
end

--- Closes its ports and connections; the second call does nothing.
function NodeServer:stop()
  if self.number and self.host:is_running() then
    control(self.host, "stop", { number = self.number })
  end
  self.number = nil
end

return node_server
