--- Which phases of nginx can wait. What blocks is refused in the others.

local errors = require "tokencache.error"
local ngx = require("tokencache.environment").nginx

local phase = {}

--- Those of TLS are not among them: ngx_lua does not come back to these from a thread, and a plain
--- nginx, without OpenResty's patches, not from anything.
local can_wait = {
  rewrite = true, server_rewrite = true, access = true, content = true, timer = true,
}

--- Why nothing can be waited for here and now; nil where it can.
---@return tokencache.Error?
function phase.refusal()
  local name = ngx.get_phase()
  if not can_wait[name] then
    return errors.new("config", "in nginx's phase " .. name .. " nothing can be waited for; get "
      .. "the token in rewrite_by_lua, access_by_lua, content_by_lua or a timer", { sent = false })
  end
end

return phase
