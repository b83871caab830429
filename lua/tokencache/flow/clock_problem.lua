local core = require "tokencache._core"
local endpoint = require "tokencache.transport.endpoint"

local MOST_CLOCKS_DIFFER = 30 -- seconds
local SIGNED = { private_key_jwt = true, client_secret_jwt = true }

--- What an answer should say of clocks: what is signed at the wrong time is refused, and few
--- providers say why.
---@param flow tokencache.Flow
---@param response tokencache.HttpResponse
---@return string?
return function(flow, response)
  local signs = SIGNED[flow.method] or flow.signs or flow.dpop
  local date = signs and endpoint.header(response, "date")
  local now = date and core.http_date(date)
  local ahead = now and flow.now() - now or 0
  return math.abs(ahead) > MOST_CLOCKS_DIFFER
    and ("this machine's clock is %.0f seconds %s the provider's, which may be why")
      :format(math.abs(ahead), ahead > 0 and "ahead of" or "behind") or nil
end
