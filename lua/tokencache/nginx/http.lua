--- The HTTP transport for nginx: libcurl in the thread pool.

local ngx = require("tokencache.environment").nginx
local options = require "tokencache.util.options"
local pool = require "tokencache.nginx.pool"

---@class tokencache.PoolTransport: tokencache.Transport
---@field private options tokencache.CurlOptions
local Transport = {
  heartbeats = true, -- calls request.heartbeat while the request is under way
}
Transport.__index = Transport

local http = {}

---@param opts? tokencache.CurlOptions
---@return tokencache.PoolTransport
function http.new(opts)
  local rules = require("tokencache.transport.curl").rules
  return setmetatable({ options = options.check("nginx.http", opts, rules) }, Transport)
end

--- What of a request can go to a thread.
local function plain(request)
  local copy = {}
  for name, value in pairs(request) do
    copy[name] = type(value) ~= "function" and value or nil
  end
  return copy
end

local function after(seconds)
  ngx.sleep(seconds)
  return "pause"
end

local function send(self, request)
  return "answer", pool.call("http", "request", self.options, plain(request))
end

--- The heartbeat runs in the caller's coroutine: it may be a handler's, and may raise.
local function send_and_beat(self, request)
  local sending = ngx.thread.spawn(send, self, request)
  while true do
    local pause = ngx.thread.spawn(after, request.heartbeat_interval)
    local ok, event, response, err = ngx.thread.wait(sending, pause)
    if not ok then
      error(event, 0)
    elseif event == "answer" then
      ngx.thread.kill(pause)
      return response, err
    end
    request.heartbeat()
  end
end

---@param request tokencache.HttpRequest
---@return tokencache.HttpResponse?
---@return tokencache.Error?
function Transport:request(request)
  if request.heartbeat and not require("tokencache.nginx.phase").refusal() then
    return send_and_beat(self, request)
  end
  return pool.call("http", "request", self.options, plain(request))
end

return http
