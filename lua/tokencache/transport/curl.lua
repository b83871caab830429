--- The default HTTP transport, over libcurl. It blocks the thread, but for the heartbeats that a
--- request may ask for; so in nginx it is sent to the thread pool. Connections are kept between
--- requests; a forked process makes its own.

local environment = require "tokencache.environment"
local hidden = require "tokencache.util.hidden"
local options = require "tokencache.util.options"

--- What any object given as the option `http` must be able to do. `request` may yield.
---@class tokencache.Transport
---@field request fun(self, request: tokencache.HttpRequest): tokencache.HttpResponse?, any  ours
---   return errors of the kinds transient, timeout, config (TLS, URL), protocol (too large)
---@field close? fun(self)
---@field heartbeats? boolean  it honours the fields of that name in requests
---@field certificates? boolean  likewise `certificate`

---@class tokencache.HttpRequest
---@field method "GET"|"POST"
---@field url string
---@field headers? table<string, string>
---@field body? string
---@field deadline? number  seconds on the clock of `tokencache._core`'s monotonic()
---@field timeout? number   seconds from now; the earlier of the two counts
---@field certificate? { certificate: string, key: string, passphrase?: string }  in PEM: what the
---                         client shows by TLS (RFC 8705)
---@field spends? boolean   it sends a refresh token: once begun, it has all of `timeout`
---@field heartbeat? fun()              to be called while the answer is awaited; may yield
---@field heartbeat_interval? number    seconds from one heartbeat to the next

--- Every answer is one, whatever its status. Redirects must not be followed, and nothing may be
--- sent twice. A failure is `nil, err`; with `err.sent == false` the server has certainly not seen
--- the request, so that it may be tried again.
---@class tokencache.HttpResponse
---@field status integer
---@field headers table<string, string>  names in lower case
---@field body string

local curl = {}

curl.rules = {
  proxy = { "string" },
  ca_file = { "string" },
  connect_timeout = { "number>0", default = 10 },
}

---@class tokencache.CurlTransport: tokencache.Transport
local Transport = { heartbeats = true, certificates = true }
Transport.__index = Transport

---@class tokencache.CurlOptions
---@field proxy? string            URL; "" for none; default: what the environment says
---@field ca_file? string          PEM file of trusted authorities; default: the system's
---@field connect_timeout? number  seconds, default 10

--- libcurl is loaded at the first request.
---@param opts? tokencache.CurlOptions
---@return tokencache.CurlTransport|tokencache.PoolTransport
function curl.new(opts)
  if environment.nginx then
    return require("tokencache.nginx.http").new(opts)
  end
  local checked = options.check("transport.curl", opts, curl.rules)
  return setmetatable({ options = hidden(checked), handle = nil, closed = false }, Transport)
end

--- Few look at the headers, so the table is made when somebody does.
local Response = {}

function Response.__index(self, name)
  if name == "headers" then
    self.headers = require("tokencache._http").headers(self.header_text)
    return self.headers
  end
end

local function open(self)
  local opts = self.options() -- a proxy may have a password
  local http, err = require("tokencache.util.library")("tokencache._http", "libcurl",
    "give the flow another transport as http=")
  if not http then
    return nil, err
  end
  return http.new(opts.proxy, opts.ca_file, opts.connect_timeout)
end

local WHOLE_DAY = 86400 -- seconds: the request ends before

--- Calls back in between; from here and not from C, for that may yield.
local function send(handle, request)
  local pair = request.certificate or {}
  local started, err = handle:start(request.method, request.url, request.headers, request.body,
    request.timeout, request.deadline, pair.certificate, pair.key, pair.passphrase)
  if not started then
    return nil, err
  end
  local interval = request.heartbeat and request.heartbeat_interval or WHOLE_DAY
  while true do
    local status, header_text, body, part_headers, part = handle:continue(interval)
    if status ~= false then
      return status, header_text, body, part_headers, part
    elseif request.heartbeat then
      request.heartbeat()
    end
  end
end

--- The caller's alone: should a heartbeat raise, it has a request under way, and the collector may
--- have it. Finalizers that run while an answer is made into strings may make requests, too.
local function take_handle(self)
  if self.closed then
    error("request: the transport is closed", 3)
  end
  local handle = self.handle
  if handle then
    self.handle = nil
    return handle
  end
  return open(self)
end

--- One is kept. There are more only while a heartbeat yields.
local function give_back(self, handle)
  if self.closed or self.handle then
    handle:close()
  else
    self.handle = handle
  end
end

local function response_of(status, header_text, body)
  return setmetatable({ status = status, header_text = header_text, body = body }, Response)
end

--- An answer whose length or last chunk is wrong, or whose end does not come, is one if its body is
--- a whole JSON object: there may be a new refresh token in it.
function Transport:request(request)
  local handle, err = take_handle(self)
  if not handle then
    return nil, err
  end
  local status, header_text, body, part_headers, part = send(handle, request)
  give_back(self, handle)
  if status then
    return response_of(status, header_text, body)
  end
  local begun = part and response_of(body, part_headers, part)
  if begun and require("tokencache.transport.endpoint").object(begun) then
    return begun
  end
  return nil, header_text
end

--- Closes the connections; the second call does nothing.
function Transport:close()
  self.closed = true
  if self.handle then
    self.handle:close()
    self.handle = nil
  end
end

return curl
