--- What the transport over lua-resty-http uses of that library, for where it is not installed:
--- Debian has no package of it. Like that library, it has timeouts for each read alone.

local resty_http = {}

local Http = {}
Http.__index = Http

function resty_http.new()
  return setmetatable({ socket = ngx.socket.tcp() }, Http)
end

function Http:set_timeouts(connect, send, read)
  self.socket:settimeouts(connect, send, read)
end

function Http:connect(options)
  self.host = options.host .. ":" .. options.port
  local ok, problem = self.socket:connect(options.host, options.port)
  if ok and options.scheme == "https" then
    ok, problem = self.socket:sslhandshake(nil, options.ssl_server_name, options.ssl_verify)
  end
  return ok, problem
end

--- Reads until the end of the connection: the server is asked for HTTP/1.0.
local function new_body_reader(socket)
  local is_over = false
  return function(size)
    if is_over then
      return nil
    end
    local piece, problem, rest = socket:receive(size)
    is_over = piece == nil
    if not piece and problem ~= "closed" then
      return nil, problem
    end
    return piece or rest ~= "" and rest or nil
  end
end

function Http:request(params)
  local socket, body = self.socket, params.body or ""
  local lines = { ("%s %s HTTP/1.0"):format(params.method, params.path), "Host: " .. self.host,
    "Content-Length: " .. #body }
  for name, value in pairs(params.headers) do
    lines[#lines + 1] = name .. ": " .. value
  end
  socket:send(table.concat(lines, "\r\n") .. "\r\n\r\n" .. body)
  local line, problem = socket:receive("*l")
  if not line then
    return nil, problem
  end
  local response = { status = tonumber(line:match("^HTTP/1%.%d (%d+)")), headers = {},
    has_body = true, body_reader = new_body_reader(socket) }
  repeat
    line, problem = socket:receive("*l")
    if not line then
      return nil, problem
    end
    local name, value = line:match("^([^:]+): *(.*)$")
    if name then
      response.headers[name] = value
    end
  until line == ""
  return response
end

function Http:close()
  return self.socket:close()
end

return resty_http
