--- Login without a listener: the URL is printed, and the address that the browser was sent to is
--- pasted back: whole, its query, or the code alone.

local authorization = require "tokencache.authorization"
local core = require "tokencache._core"
local errors = require "tokencache.error"

local LONGEST_LINE = 4095 -- bytes; a terminal of Linux drops what follows, without a word
local POLL = 0.2 -- seconds; so often Ctrl-C is looked after, which LuaJIT does not let end a read

--- A code may hold a slash, an address holds more.
local function is_bare_code(text)
  return not text:find("[=&?#%%]") and not text:find("://", 1, true)
end

---@param flow tokencache.UserFlow
---@return table? response
---@return tokencache.Error?
return function(flow)
  local auth, err = authorization.new(flow, flow.redirect_uri)
  if not auth then
    return nil, err
  end
  io.stderr:write("Open this address in a browser and log in:\n\n  ", auth.url,
    "\n\nThen paste the address that you were sent to: ")
  repeat until not core.is_keyboard_quiet(POLL)
  local text = io.stdin:read("*l")
  if not text or not text:find("%S") then
    return nil, errors.new("denied", "the login was given up: no answer was pasted",
      { code = "no_answer" })
  end
  if #text == LONGEST_LINE and core.is_keyboard_quiet(0) then
    return nil, errors.new("protocol", "the terminal cut the pasted address at " .. LONGEST_LINE
      .. " bytes; paste the code in it alone, or pass the address in from a file or a pipe")
  end
  text = text:match("^%s*(.-)%s*$")
  if is_bare_code(text) and flow.response_type == "code" then
    return authorization.complete(flow, auth, { code = text })
  end
  return authorization.read(flow, auth, text)
end
