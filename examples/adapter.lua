--- An adapter of one's own: keeps a token in the session of a web framework. Here that is an object
--- that reads its values when it is made, and must be told to write them:
---
---     session.values          -- a table
---     session:write()         -- true, or false and what went wrong; may yield
---
---     local cache = require("adapter")(session)
---     local flow = tokencache.flow.authorization_code { cache = cache, ... }
---
--- To tokencache it is a store that knows one key. from_store makes a cache handler of that: it
--- turns tokens into text and back, and tells a miss from a failure.

local tokencache = require "tokencache"

local Store = {}
Store.__index = Store

function Store:get(key)
  return self.session.values[key] -- nil is a miss
end

function Store:set(key, text)
  self.session.values[key] = text
  local ok, problem = self.session:write()
  if not ok then
    return nil, "the session could not be written: " .. problem -- never the text itself
  end
  return true
end

function Store:delete(key)
  return self:set(key, nil)
end

return function(session)
  return tokencache.cache.from_store(setmetatable({ session = session }, Store), "token_info")
end
