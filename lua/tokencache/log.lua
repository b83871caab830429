--- What tokencache has to say beside its results. Warnings and errors go to stderr, under nginx to
--- its error log, unless the program sets a logger; no line ever holds a token, a code or a secret.

local ngx = require("tokencache.environment").nginx

local log = {}

---@alias tokencache.Level "debug"|"info"|"warning"|"error"

local function to_stderr(level, message)
  if level == "warning" or level == "error" then
    io.stderr:write("tokencache: ", level, ": ", message, "\n")
  end
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

for _, level in ipairs { "debug", "info", "warning", "error" } do
  log[level] = function(...)
    local parts = { ... }
    for i = 1, #parts do
      parts[i] = tostring(parts[i])
    end
    logger(level, table.concat(parts))
  end
end

return log
