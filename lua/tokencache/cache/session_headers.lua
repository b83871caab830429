--- Tells whether a session can still be saved: its cookie is a header of the answer.

local errors = require "tokencache.error"
local ngx = require("tokencache.environment").nginx

local function are_sent()
  return ngx.headers_sent
end

--- Returns why the session of this request cannot be saved any more, or nil.
---@param where string  the constructor's name
---@return tokencache.Error?
return function(where)
  if not ngx then
    return nil
  end
  local is_in_request, sent = pcall(are_sent)
  return is_in_request and sent and errors.new("cache", where .. ": the answer's headers are sent, "
    .. "so the session's cookie cannot be; get the token before the first byte of the answer")
    or nil
end
