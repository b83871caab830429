--- An HTTP transport for nginx over lua-resty-http, which moves its bytes by cosockets: it takes no
--- threads, and so works in stream {} too. That library's timeouts are those of a single read; the
--- time of a whole request is kept here.

local core = require "tokencache._core"
local errors = require "tokencache.error"
local options = require "tokencache.util.options"

local PIECE = 8192 -- bytes
local MOST = 1048576 -- bytes of an answer

local resty_http = {}

resty_http.rules = {
  connect_timeout = { "number>0", default = 10 },
}

---@class tokencache.RestyHttpOptions
---@field connect_timeout? number  seconds, default 10

---@class tokencache.RestyHttpTransport: tokencache.Transport
local Transport = { heartbeats = true }
Transport.__index = Transport

---@param opts? tokencache.RestyHttpOptions
---@return tokencache.RestyHttpTransport
function resty_http.new(opts)
  if not require("tokencache.environment").nginx then
    error("transport.resty_http: it works inside nginx only; leave http= out for libcurl", 2)
  end
  return setmetatable(options.check("transport.resty_http", opts, resty_http.rules), Transport)
end

local function failure(kind, place, problem, sent)
  return errors.new(kind, place .. ": " .. tostring(problem), { sent = sent })
end

--- An untrusted certificate stays so; all else may pass.
local function connect_failure(place, problem)
  if tostring(problem):find("certificate", 1, true) then
    return failure("config", place, problem .. "; set lua_ssl_trusted_certificate in nginx.conf, "
      .. "and lua_ssl_verify_depth where there are authorities in between", false)
  end
  return failure("transient", place, problem, false)
end

--- Reads no more than an answer may have.
---@return string?
---@return tokencache.Error?
local function read_body(place, response)
  local pieces, size = {}, 0
  while response.has_body do
    local piece, problem = response.body_reader(PIECE)
    if problem then
      return nil, failure("transient", place, problem)
    elseif not piece then
      break
    end
    size = size + #piece
    if size > MOST then
      return nil, failure("protocol", place, "the answer is larger than 1 MiB")
    end
    pieces[#pieces + 1] = piece
  end
  return table.concat(pieces)
end

---@return tokencache.HttpResponse?
---@return tokencache.Error?
local function exchange(http, place, request, target)
  local response, problem = http:request {
    method = request.method, path = target, headers = request.headers, body = request.body,
  }
  if not response then
    return nil, failure("transient", place, problem)
  end
  local body, err = read_body(place, response)
  if not body then
    return nil, err
  end
  local headers = {}
  for name, value in pairs(response.headers) do
    headers[tostring(name):lower()] = type(value) == "table" and value[1] or value
  end
  return { status = response.status, headers = headers, body = body }
end

local function milliseconds(seconds)
  return math.max(1, math.ceil(seconds * 1000))
end

--- A connection is used once: one that the server has closed meanwhile could not be told from a
--- request that was lost.
local function send(self, http, url, host, place, request)
  local most = milliseconds(request.timeout)
  http:set_timeouts(math.min(most, milliseconds(self.connect_timeout)), most, most)
  local ok, problem = http:connect {
    scheme = url.scheme, host = host, ssl_verify = true, ssl_server_name = url.host,
    port = tonumber(url.port) or (url.scheme == "https" and 443 or 80),
  }
  if not ok then
    return nil, connect_failure(place, problem)
  end
  local target = (url.path ~= "" and url.path or "/") .. (url.query and "?" .. url.query or "")
  local response, err = exchange(http, place, request, target)
  http:close()
  return response, err
end

function Transport:request(request)
  local refusal = require("tokencache.nginx.phase").refusal()
  if refusal then
    return nil, refusal
  end
  local url, problem = core.parse_url(request.url)
  if not url then
    return nil, errors.new("config", "url: " .. problem, { sent = false })
  end
  local http, err = require("tokencache.util.library")("resty.http", "lua-resty-http")
  if not http then
    return nil, err
  end
  local host = url.host:find(":", 1, true) and "[" .. url.host .. "]" or url.host
  local place = ("%s://%s%s"):format(url.scheme, host, url.port and ":" .. url.port or "")
  local done, response
  done, response, err = require("tokencache.nginx.waited")(request, request.timeout, send, self,
    http.new(), url, host, place, request)
  if not done then
    return nil, failure("timeout", place, "no answer within the time given")
  end
  return response, err
end

return resty_http
