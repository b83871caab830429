--- Sends many requests over a few connections, and counts what comes back.
---
---     local statuses = flood(port, 10000, function(i) return "/path", { Cookie = "a=" .. i } end)
---     statuses[401]    -- how many

local socket = require "socket"

local AT_ONCE = 20        -- requests that are sent before their answers are read
local A_CONNECTION = 500  -- nginx takes 1000

local function send(client, path, headers)
  local lines = { "GET " .. path .. " HTTP/1.1", "Host: 127.0.0.1" }
  for name, value in pairs(headers) do
    lines[#lines + 1] = name .. ": " .. value
  end
  assert(client:send(table.concat(lines, "\r\n") .. "\r\n\r\n"))
end

local function read(client)
  local status = tonumber(assert(client:receive "*l"):match "^HTTP/1.1 (%d+)")
  local length, is_chunked = 0, false
  repeat
    local line = assert(client:receive "*l"):lower()
    length = tonumber(line:match "^content%-length: (%d+)") or length
    is_chunked = is_chunked or line == "transfer-encoding: chunked"
  until line == ""
  while is_chunked and length >= 0 do
    length = tonumber(assert(client:receive "*l"), 16)
    assert(client:receive(length + 2))
    length = length == 0 and -1 or length
  end
  assert(length <= 0 or is_chunked or client:receive(length))
  return status
end

---@param port integer
---@param count integer
---@param request fun(i: integer): string, table<string, string>  a path, and headers
---@return table<integer, integer>  how often there was which status
return function(port, count, request)
  local statuses, client = {}, nil
  for first = 1, count, AT_ONCE do
    if (first - 1) % A_CONNECTION == 0 then
      client = assert(socket.connect("127.0.0.1", port))
      client:settimeout(30)
    end
    local last = math.min(first + AT_ONCE - 1, count)
    for i = first, last do
      send(client, request(i))
    end
    for _ = first, last do
      local status = read(client)
      statuses[status] = (statuses[status] or 0) + 1
    end
  end
  return statuses
end
