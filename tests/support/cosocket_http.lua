--- A transport over nginx's cosockets, in lua-resty-http's place: what one's own looks like.

local cosocket_http = {}

---@param request tokencache.HttpRequest
function cosocket_http:request(request) -- luacheck: ignore 212
  local host, port, path = request.url:match("^http://([%d.]+):(%d+)(/.*)$")
  local socket = ngx.socket.tcp()
  socket:settimeouts(1000, 1000, request.timeout * 1000)
  local ok, message = socket:connect(host, tonumber(port))
  if not ok then
    return nil, { kind = "transient", message = "login server: " .. message, sent = false }
  end
  local lines = { ("%s %s HTTP/1.0"):format(request.method, path), "Host: " .. host,
    "Content-Length: " .. #request.body }
  for name, value in pairs(request.headers) do
    lines[#lines + 1] = name .. ": " .. value
  end
  socket:send(table.concat(lines, "\r\n") .. "\r\n\r\n" .. request.body)
  local text
  text, message = socket:receive("*a")
  socket:close()
  if not text then
    return nil, "login server: " .. message
  end
  local status, _, body = text:match("^HTTP/1.%d (%d+)(.-)\r\n\r\n(.*)$")
  return { status = tonumber(status), headers = {}, body = body }
end

return cosocket_http
