local core = require "tokencache._core"
local endpoint = require "tokencache.transport.endpoint"
local secret = require "tokencache.util.secret"

local MOST_CLOCKS_DIFFER = 30 -- seconds
local SIGNED = { private_key_jwt = true, client_secret_jwt = true }

local READY_MADE = { "client_assertion", "assertion", "subject_token", "actor_token" }

--- What was given, ready-made, and has ended since.
local function ended(given, now)
  for _, name in ipairs(READY_MADE) do
    local source = given[name]
    local text = type(source) ~= "function" and secret.read(source, false)
    local jws = text and require("tokencache.id_token").read(text)
    local over = jws and type(jws.claims.exp) == "number" and now - jws.claims.exp or 0
    if over > 0 then
      return ("%s%s ended %.0f seconds ago; have it made anew"):format(name,
        type(source) == "table" and ", " .. source.file .. "," or "", over)
    end
  end
end

--- What an answer should say of clocks: what is signed at the wrong time, or too old, is refused,
--- and few providers say why.
---@param flow tokencache.Flow
---@param response tokencache.HttpResponse
---@return string?
return function(flow, response)
  local old = ended(flow.credentials(), flow.now())
    or flow.grant and ended(flow.grant(), flow.now())
  if old then
    return old
  end
  local signs = SIGNED[flow.method] or flow.signs or flow.dpop
  local date = signs and endpoint.header(response, "date")
  local now = date and core.http_date(date)
  local ahead = now and flow.now() - now or 0
  return math.abs(ahead) > MOST_CLOCKS_DIFFER
    and ("this machine's clock is %.0f seconds %s the provider's, which may be why")
      :format(math.abs(ahead), ahead > 0 and "ahead of" or "behind") or nil
end
