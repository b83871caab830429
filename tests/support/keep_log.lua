--- Keeps what tokencache logs from now on. Whoever calls this gives the default logger back.
---
---     local logged
---     before_each(function() logged = keep_log() end)
---     after_each(function() log.set_logger(nil) end)
---     logged[1]      -- "debug 127.0.0.1:6379: the connection to Redis was lost; made a new one"

local log = require "tokencache.log"

---@return string[]  a line for each message, level first
return function()
  local lines = {}
  log.set_logger(function(level, message) lines[#lines + 1] = level .. " " .. message end)
  return lines
end
