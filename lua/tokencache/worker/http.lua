--- HTTP requests by libcurl. The connections belong to the Lua state that makes the request; the
--- response is plain data.

local core = require "tokencache._core"
local transport = require("tokencache.io.blocking").transport

local http = {
  kept = {}, -- transports; or their connections would be closed with the next garbage collection
}

--- A request may have waited for its thread. What spends a refresh token is sent with all of its
--- time, or not at all: were it given up halfway, the answer would be lost.
local function with_all_its_time(request)
  local now = core.monotonic()
  if request.spends and now < request.deadline then
    request.deadline = now + request.timeout
  end
  return request
end

---@param options tokencache.CurlOptions
---@param request tokencache.HttpRequest
---@return tokencache.HttpResponse?
---@return tokencache.Error?
function http.request(options, request)
  local curl = transport(options)
  http.kept[curl] = true
  local response, err = curl:request(with_all_its_time(request))
  if not response then
    return nil, err
  end
  return { status = response.status, headers = response.headers, body = response.body }
end

return http
