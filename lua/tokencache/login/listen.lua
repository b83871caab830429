--- Login through the browser of this machine (RFC 8252 §7.3): it is sent back to a listener that
--- lives only as long as the login.

local authorization = require "tokencache.authorization"
local core = require "tokencache._core"
local errors = require "tokencache.error"
local library = require "tokencache.util.library"

local POLL = 0.2 -- seconds; so often Ctrl-C and the browser are looked after

local function print_url(url)
  io.stderr:write("Open this address in a browser and log in:\n\n  ", url, "\n\n",
    "It must be a browser of this machine; with open_browser = false any will do.\n")
end

--- Waits for the callback; the browser may turn out not to work meanwhile.
local function wait(flow, listener, browser, url)
  local deadline = core.monotonic() + flow.login_timeout
  repeat
    local query, err = listener:poll(POLL)
    if query or err then
      return query, err
    end
    if browser and browser:failed() then
      browser = nil
      print_url(url)
    end
  until core.monotonic() >= deadline
  return nil, errors.new("timeout", "nobody logged in within " .. flow.login_timeout .. " seconds")
end

local function listen(flow, state)
  local redirect, err = library("tokencache._redirect", "libmicrohttpd",
    "give open_browser = false")
  if not redirect then
    return nil, err
  end
  local url = flow.redirect
  return redirect.open {
    host = url.host,
    port = tonumber(url.port or "80"),
    path = url.path ~= "" and url.path or "/",
    state = state,
    fragment = flow.response_type == "token",
  }
end

--- Sends the user away; what the browser brings back.
local function ask(flow, listener, url)
  local browser = require("tokencache._browser").open(url)
  if browser then
    io.stderr:write("Log in in the browser that opens now.\n")
  else
    print_url(url)
  end
  local query, err = wait(flow, listener, browser, url)
  if browser then
    browser:close()
  end
  return query, err
end

---@param flow tokencache.UserFlow
---@return table? response
---@return tokencache.Error?
return function(flow)
  local state, err = authorization.new_state(flow)
  if not state then
    return nil, err
  end
  local listener, auth, query
  listener, err = listen(flow, state)
  if not listener then
    return nil, err
  end
  auth, err = authorization.new(flow, flow:_redirect_uri_at(listener:port()), state)
  if auth then
    query, err = ask(flow, listener, auth.url)
  end
  listener:close()
  if not query then
    return nil, err
  end
  return authorization.read(flow, auth, query)
end
