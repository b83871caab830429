--- Which phases of nginx can wait. What blocks is refused in the others.

local errors = require "tokencache.error"
local ngx = require("tokencache.environment").nginx

local phase = {}

--- Those of TLS are not among them: ngx_lua does not come back to these from a thread, and a plain
--- nginx, without OpenResty's patches, not from anything.
local can_wait = {
  rewrite = true, server_rewrite = true, access = true, content = true, timer = true,
  preread = true, -- of stream {}, which knows content and timers too
}

local function places()
  return phase.is_stream() and "preread_by_lua, content_by_lua"
    or "rewrite_by_lua, access_by_lua, content_by_lua"
end

--- Reports whether this is nginx's stream {}, whose ngx_lua has less than that of http {}.
---@return boolean
function phase.is_stream()
  return ngx.config ~= nil and ngx.config.subsystem == "stream"
end

--- Why nothing can be waited for here and now; nil where it can.
---@return tokencache.Error?
function phase.refusal()
  local name = ngx.get_phase()
  if not can_wait[name] then
    return errors.new("config", "in nginx's phase " .. name .. " nothing can be waited for; get "
      .. "the token in " .. places() .. " or a timer", { sent = false })
  end
end

return phase
