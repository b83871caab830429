--- What tokencache has to say beside its results. Warnings and errors go to stderr, under nginx to
--- its error log, unless the program sets a logger; no line ever holds a token, a code or a secret.

local ngx = require("tokencache.environment").nginx

local log = {}

---@alias tokencache.Level "debug"|"info"|"warning"|"error"

local ON_STDERR = { warning = true, error = true }

local function to_stderr(level, message)
  io.stderr:write("tokencache: ", level, ": ", message, "\n")
end

local function to_error_log(level, message)
  local levels = { debug = ngx.DEBUG, info = ngx.INFO, warning = ngx.WARN, error = ngx.ERR }
  ngx.log(levels[level], "tokencache: ", message)
end

local default = ngx and to_error_log or to_stderr
local logger = default

---@param fn? fun(level: tokencache.Level, message: string)|false  nil: the default; false: silence
function log.set_logger(fn)
  if fn == nil then
    logger = default
  elseif fn == false then
    logger = function() end
  elseif type(fn) == "function" then
    logger = fn
  else
    error("set_logger: a function expected, or nil for the default, or false for silence; got "
      .. type(fn), 2)
  end
end

--- Of what nobody hears nothing is made: a part may be a function, for its result.
for _, level in ipairs { "debug", "info", "warning", "error" } do
  log[level] = function(...)
    if logger == to_stderr and not ON_STDERR[level] then
      return
    end
    local parts = { ... }
    for i = 1, #parts do
      local part = parts[i]
      parts[i] = tostring(type(part) == "function" and part() or part)
    end
    logger(level, table.concat(parts))
  end
end

return log
