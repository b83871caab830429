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

local function silence() end

local default = ngx and to_error_log or to_stderr
local logger = default

--- Seconds after which what comes again and again is said once more.
local INTERVAL = 60

--- Seconds after which what has not come again counts as new.
local FORGET_AFTER = 600

--- Of more ids than this, the one that has not come for the longest time is forgotten.
local MOST_IDS = 1000

---@type tokencache.Lru?  by id, what `log.repeated` has said to this logger
local said

--- Returns seconds from some fixed point. A test may put a clock of its own here.
---@return number
function log.monotonic()
  return require("tokencache._core").monotonic() -- loaded with what first has something to say
end

--- Whoever logs from now on has heard nothing yet, so all that is repeated counts as new.
---@param fn? fun(level: tokencache.Level, message: string)|false  nil: the default; false: silence
function log.set_logger(fn)
  if fn == nil then
    logger = default
  elseif fn == false then
    logger = silence
  elseif type(fn) == "function" then
    logger = fn
  else
    error("set_logger: a function expected, or nil for the default, or false for silence; got "
      .. type(fn), 2)
  end
  said = nil
end

local function hears(fn, level)
  return fn ~= silence and (fn ~= to_stderr or ON_STDERR[level] or false)
end

--- Joins the parts of a message; a function stands for its result.
local function joined(...)
  local parts = { ... }
  for i = 1, #parts do
    local part = parts[i]
    parts[i] = tostring(type(part) == "function" and part() or part)
  end
  return table.concat(parts)
end

--- What has been said, by id.
local function memory()
  said = said or require("tokencache.util.lru")(MOST_IDS)
  return said
end

--- Notes that a message has come once more. Returns how often it has come since it was last
--- written, this time included, if it is due to be written now; else nil.
local function times_if_due(id)
  local now, entry = log.monotonic(), memory():get(id)
  if not entry or now - entry.came >= FORGET_AFTER then
    said:set(id, { came = now, written = now, times = 0 })
    return 1
  end
  entry.came, entry.times = now, entry.times + 1
  if now - entry.written < INTERVAL then
    return nil
  end
  local times = entry.times
  entry.written, entry.times = now, 0
  return times
end

--- Hands a message to the logger. One that raises must not cost the caller a token: its message
--- goes to the default logger.
local function write(level, message)
  local ok, err = require("tokencache.util.protected")(logger, level, message)
  if ok then
    return
  elseif times_if_due "logger" then
    default("warning", "the logger failed: " .. require("tokencache.util.text_of_error")(err))
  end
  if hears(default, level) then
    default(level, message)
  end
end

--- Of what nobody hears nothing is made: a part may be a function, for its result.
for _, level in ipairs { "debug", "info", "warning", "error" } do
  log[level] = function(...)
    if hears(logger, level) then
      write(level, joined(...))
    end
  end
end

--- Logs what may come again and again, such as "the cache cannot be written": at first, and then
--- once a minute at most, with the number of times that it has come since it was last written. What
--- has not come for ten minutes counts as new.
---@param level tokencache.Level
---@param id string   messages of one id count as the same: where it happens and what. An id is kept
---                   in memory and never shown
---@param ... any     the parts of the message, as for the other functions; a part that costs
---                   something to make should be a function, which is called only if it is written
function log.repeated(level, id, ...)
  local times = hears(logger, level) and times_if_due(id)
  if not times then
    return
  end
  write(level, joined(...) .. (times > 1 and (" (%d times since)"):format(times) or ""))
end

--- Logs what need not be said again to the same logger.
---@param level tokencache.Level
---@param id string   as for log.repeated
---@param ... any     the parts of the message
function log.once(level, id, ...)
  if hears(logger, level) and not memory():get(id) then
    said:set(id, true)
    write(level, joined(...))
  end
end

return log
