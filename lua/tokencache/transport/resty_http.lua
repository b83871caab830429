--- An HTTP transport for nginx over lua-resty-http, which moves its bytes by cosockets: it takes no
--- threads, and so works in stream {} too. That library's timeouts are those of a single read; the
--- time of a whole request is kept here.

local core = require "tokencache._core"
local endpoint = require "tokencache.transport.endpoint"
local errors = require "tokencache.error"
local options = require "tokencache.util.options"
local protected = require "tokencache.util.protected"

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

--- The library's timeout for a read is no less than the time of the whole request.
local function read_failure(place, problem)
  return failure(problem == "timeout" and "timeout" or "transient", place, problem)
end

--- An untrusted certificate stays so; all else may pass.
local function connect_failure(place, problem)
  if tostring(problem):find("certificate", 1, true) then
    return failure("config", place, problem .. "; set lua_ssl_trusted_certificate in nginx.conf, "
      .. "and lua_ssl_verify_depth where there are authorities in between", false)
  end
  return failure("transient", place, problem, false)
end

--- The bytes that the answer says it has; nil: it does not say.
local function length_of(response)
  local headers = response.headers
  return not headers["Transfer-Encoding"] and tonumber(headers["Content-Length"]) or nil
end

--- Reads a piece. Where the connection ends too early, that library's reader drops what came last.
local function read_piece(http, response, left)
  if not left then
    return response.body_reader(PIECE)
  elseif left > 0 then
    return http.sock:receiveany(math.min(PIECE, left))
  end
end

--- Reads no more than an answer may have.
---@param begun table  gets the answer, and the pieces of its body
---@return true?
---@return tokencache.Error?
local function read_body(http, place, response, begun)
  local pieces, size, length = {}, 0, length_of(response)
  begun.response, begun.pieces = response, pieces
  while response.has_body do
    local piece, problem = read_piece(http, response, length and length - size)
    size = size + #(piece or "")
    if size > MOST then
      return nil, failure("protocol", place, "the answer is larger than 1 MiB")
    end
    pieces[#pieces + 1] = piece
    if problem and not (piece and not length) then -- else the connection's end is that of the body
      return nil, read_failure(place, problem)
    elseif problem or not piece then
      break
    end
  end
  return true
end

--- What has come of an answer.
---@return tokencache.HttpResponse
local function answer(begun)
  local headers = {}
  for name, value in pairs(begun.response.headers) do
    headers[tostring(name):lower()] = type(value) == "table" and value[1] or value
  end
  return { status = begun.response.status, headers = headers, body = table.concat(begun.pieces) }
end

--- A whole JSON object is an answer also where its end is wrong or does not come: there may be a
--- new refresh token in it.
local function is_usable(begun)
  return begun.response ~= nil and endpoint.object { body = table.concat(begun.pieces) } ~= nil
end

--- That library decodes nothing. An answer that asks to try again later is one all the same.
local function problem_of_encoding(place, begun)
  local encoding = core.printable(answer(begun).headers["content-encoding"] or "identity"):lower()
  local status = begun.response.status
  if encoding ~= "identity" and status < 500 and status ~= 429 and not is_usable(begun) then
    return failure("protocol", place, "the answer is encoded (" .. encoding .. "), though none was "
      .. "asked for, and lua-resty-http cannot read that; have the server heed Accept-Encoding: "
      .. "identity, or leave http= out for libcurl")
  end
end

---@return true?
---@return tokencache.Error?
local function exchange(http, place, request, target, begun)
  local response, problem = http:request {
    method = request.method, path = target, headers = request.headers, body = request.body,
  }
  if not response then
    return nil, read_failure(place, problem)
  end
  local done, err = read_body(http, place, response, begun)
  err = err or problem_of_encoding(place, begun)
  return not err and done or nil, err
end

local function milliseconds(seconds)
  return math.max(1, math.ceil(seconds * 1000))
end

--- Where a certificate is refused before anything had to be waited for, lua-resty-core raises.
local function connect(http, settings)
  local is_well, ok, problem = protected(http.connect, http, settings)
  if not is_well then
    return nil, "the server's certificate is not trusted"
  end
  return ok, problem
end

--- A connection is used once: one that the server has closed meanwhile could not be told from a
--- request that was lost.
local function send(self, http, url, host, place, request, seconds, begun)
  local most = milliseconds(seconds)
  http:set_timeouts(math.min(most, milliseconds(self.connect_timeout)), most, most)
  local ok, problem = connect(http, {
    scheme = url.scheme, host = host, ssl_verify = true, ssl_server_name = url.host,
    port = tonumber(url.port) or (url.scheme == "https" and 443 or 80),
  })
  if not ok then
    return nil, connect_failure(place, problem)
  end
  local target = (url.path ~= "" and url.path or "/") .. (url.query and "?" .. url.query or "")
  local done, err = exchange(http, place, request, target, begun)
  http:close()
  return done, err
end

--- The seconds that a request has.
local function time_of(request)
  if request.deadline then
    return math.min(request.timeout or math.huge, request.deadline - core.monotonic())
  end
  return request.timeout
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
  local seconds, begun = time_of(request), {}
  if seconds <= 0 then
    return nil, failure("timeout", place, "no time was left to ask", false)
  end
  local in_time, done
  in_time, done, err = require("tokencache.nginx.waited")(request, seconds, send, self, http.new(),
    url, host, place, request, seconds, begun)
  if done or (not err or err.kind ~= "protocol") and is_usable(begun) then
    return answer(begun)
  elseif not in_time then
    return nil, failure("timeout", place, "no answer within the time given")
  end
  return nil, err
end

return resty_http
