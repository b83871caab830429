--- wrk, for some seconds at a time.

local process = require "support.process"

local wrk = {}

---@param url string
---@param connections integer
---@param arguments? string[]  more of wrk's
---@param seconds? integer      default 1
---@return Child
function wrk.start(url, connections, arguments, seconds)
  local command = { "wrk", "-t1", "-c" .. connections, ("-d%ds"):format(seconds or 1), url }
  for _, argument in ipairs(arguments or {}) do
    command[#command + 1] = argument
  end
  return process.start(command)
end

--- Every answer must be a success.
---@param child Child  a wrk that was started
---@return integer requests
function wrk.finish(child)
  child:wait()
  local text = child:output()
  child:stop()
  assert(not text:find("Non-2xx", 1, true) and not text:find("errors", 1, true), text)
  return assert(tonumber(text:match("(%d+) requests in")), text)
end

return wrk
