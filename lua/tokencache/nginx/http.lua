--- The HTTP transport for nginx: libcurl in the thread pool.

local hidden = require "tokencache.util.hidden"
local options = require "tokencache.util.options"
local phase = require "tokencache.nginx.phase"
local pool = require "tokencache.nginx.pool"
local waited = require "tokencache.nginx.waited"

---@class tokencache.PoolTransport: tokencache.Transport
---@field private options fun(): tokencache.CurlOptions
local Transport = {
  certificates = true,
  heartbeats = true, -- calls request.heartbeat while the request is under way
}
Transport.__index = Transport

local http = {}

---@param opts? tokencache.CurlOptions
---@return tokencache.PoolTransport
function http.new(opts)
  local rules = require("tokencache.transport.curl").rules
  return setmetatable({ options = hidden(options.check("nginx.http", opts, rules)) }, Transport)
end

--- What of a request can go to a thread.
local function plain(request)
  local copy = {}
  for name, value in pairs(request) do
    copy[name] = type(value) ~= "function" and value or nil
  end
  return copy
end

local function send(self, request)
  return pool.call("http", "request", self.options(), plain(request))
end

function Transport:request(request)
  if request.heartbeat and not phase.refusal() then
    return select(2, waited(request, nil, send, self, request))
  end
  return send(self, request)
end

--- The connections are those of the pool's threads, and stay.
function Transport:close() -- luacheck: ignore 212
end

return http
