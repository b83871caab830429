--- HTTP requests by libcurl. The connections belong to the Lua state that makes the request; the
--- response is plain data.

local transport = require("tokencache.io.blocking").transport

local http = {
  kept = {}, -- transports; or their connections would be closed with the next garbage collection
}

---@param options tokencache.CurlOptions
---@param request tokencache.HttpRequest
---@return tokencache.HttpResponse?
---@return tokencache.Error?
function http.request(options, request)
  local curl = transport(options)
  http.kept[curl] = true
  local response, err = curl:request(request)
  if not response then
    return nil, err
  end
  return { status = response.status, headers = response.headers, body = response.body }
end

return http
