--- Login without a listener: the URL is printed, and the address that the browser was sent to is
--- pasted back: whole, its query, or the code alone.

local authorization = require "tokencache.authorization"
local core = require "tokencache._core"
local errors = require "tokencache.error"

local LONGEST_LINE = 4095 -- bytes; a terminal of Linux drops what follows, without a word
local POLL = 0.2 -- seconds; so often Ctrl-C is looked after, which LuaJIT does not let end a read

local WRAPPINGS = { ['"'] = '"', ["'"] = "'", ["`"] = "`", ["<"] = ">", ["("] = ")", ["["] = "]" }

--- Takes away what people, mails and terminals put around an address or a code.
local function unwrapped(text)
  text = text:match("^%s*(.-)[%s,;]*$")
  local last = WRAPPINGS[text:sub(1, 1)]
  if last and #text > 1 and text:sub(-1) == last then
    return unwrapped(text:sub(2, -2))
  end
  return text
end

--- The code, where the text is one and no address: a code may hold a slash and end in equals signs,
--- as base64 does. Some pages show it percent-encoded.
local function bare_code(text)
  local code = text:gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end)
  return not text:find("[&?#%s]") and not text:find("://", 1, true) and not text:find("=+[^=]")
    and not code:find("[%c%%]") and code or nil
end

--- Some pages show both, "code#state".
local function code_with_state(text, state)
  local code, shown = text:match("^([^=&?#]+)#([^=&?#]+)$")
  return shown == state and code or nil
end

--- Why nobody listens for the answer, where somebody may wonder.
local function reason(flow)
  return flow.ways[1] == "browser" and not flow.redirects[1].listens
    and "\n\n(The browser will be sent to " .. core.printable(flow.redirect_uri) .. ", where this "
    .. "program cannot listen: it can at http://127.0.0.1, [::1] or localhost.)" or ""
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
    reason(flow), "\n\nThen paste the address that you were sent to: ")
  repeat until not core.is_keyboard_quiet(POLL)
  local text = io.stdin:read("*l")
  if not text then
    io.stderr:write("\n")
  end
  if not text or not text:find("%S") then
    return nil, errors.new("denied", "the login was given up: no answer was pasted",
      { code = "no_answer" })
  end
  if #text == LONGEST_LINE and core.is_keyboard_quiet(0) then
    return nil, errors.new("protocol", "the terminal cut the pasted address at " .. LONGEST_LINE
      .. " bytes; paste the code in it alone, or pass the address in from a file or a pipe")
  end
  text = unwrapped(text)
  local code = flow.response_type == "code"
    and (bare_code(text) or code_with_state(text, auth.state))
  if code then
    return authorization.complete(flow, auth, { code = code })
  elseif text:find("%s") and not text:find("=", 1, true) then
    return nil, errors.new("protocol", "what was pasted is not the address that the browser was "
      .. "sent to; copy all of it from the address bar")
  end
  return authorization.read(flow, auth, text)
end
