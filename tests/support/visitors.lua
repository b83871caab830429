--- Browsers that come to a gateway, whose users log in at an oidc_provider.
---
---     local visitor = visitors.new(server, provider, { user = "alice" })
---     visitor:log_in("/page")
---     visitor:get("/page")           -- status, body, headers
---     visitor:begin("/page")         -- likewise, a NginxRequest that is under way
---     visitor:cookies()              -- for the header Cookie
---     visitor:authorize("/page")     -- half of a login: the path that the provider sends it to

local visitors = {}

---@class Visitor
---@field jar table<string, string>  cookies
local Visitor = {}
Visitor.__index = Visitor

---@param server Nginx
---@param provider OidcProvider
---@param options? { user?: string, browser?: string }  for OidcProvider:login
---@return Visitor
function visitors.new(server, provider, options)
  return setmetatable({ server = server, provider = provider, options = options, jar = {} },
    Visitor)
end

---@return string
function Visitor:cookies()
  local pairs_of = {}
  for name, value in pairs(self.jar) do
    pairs_of[#pairs_of + 1] = name .. "=" .. value
  end
  table.sort(pairs_of)
  return table.concat(pairs_of, "; ")
end

---@param path string
---@param options? { method?: string, headers?: table<string, string> }  as for nginx.begin
---@return NginxRequest
function Visitor:begin(path, options)
  options = options or {}
  local headers = { Cookie = next(self.jar) and self:cookies() or nil }
  for name, value in pairs(options.headers or {}) do
    headers[name] = value
  end
  return self.server:begin(path, { method = options.method, headers = headers,
    body = options.method == "POST" and "" or nil })
end

---@param path string
---@param options? table  as for begin
---@return integer? status
---@return string body
---@return table<string, string> headers
function Visitor:get(path, options)
  local status, body, headers, cookies = self:begin(path, options):finish()
  for name, line in pairs(cookies) do
    local value = line:match("^[^=]*=([^;]*)")
    self.jar[name] = value ~= "" and value or nil
  end
  return status, body, headers
end

--- Asks for a page, is sent to the provider, and logs in there.
---@param path string
---@return string path  where the provider sends the browser back to
function Visitor:authorize(path)
  local provider = self.provider
  for _ = 1, 5 do
    local status, body, headers = self:get(path)
    path = assert(headers.location, ("%s: %s %s"):format(path, status, body))
    if path:sub(1, #provider.url) == provider.url then
      return (provider:login(path, self.options):match("^%w+://[^/]+(.+)$"))
    end
    path = path:gsub("^%w+://[^/]+", "")
  end
  error("the gateway sends its visitors around in circles", 0)
end

---@param path string
function Visitor:log_in(path)
  local status, body = self:get(self:authorize(path))
  assert(status == 302 or status == 303, body)
end

return visitors
