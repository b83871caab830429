--- A cache handler of one's own: keeps a token as text under a key of any Lua table, and in the
--- same way would keep it in a database column or a cookie.
---
---     local cache = require("handler")(rows, "token:" .. user_id)
---     local flow = tokencache.flow.client_credentials { cache = cache, ... }

local json = require "tokencache.json"

local Handler = {}
Handler.__index = Handler

function Handler:get_cached_token()
  local text = self.rows[self.key]
  if text == nil then
    return nil -- a miss
  end
  return json.decode(text) -- the token_info, or nil and what is wrong with the text
end

function Handler:save_token_to_cache(token_info)
  local text, problem = json.encode(token_info)
  if not text then
    return nil, problem
  end
  self.rows[self.key] = text
  return true
end

return function(rows, key)
  return setmetatable({ rows = rows, key = key }, Handler)
end
