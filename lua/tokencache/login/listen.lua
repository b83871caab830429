--- Login through the browser of this machine (RFC 8252 §7.3): it is sent back to a listener that
--- lives only as long as the login.

local authorization = require "tokencache.authorization"
local core = require "tokencache._core"
local errors = require "tokencache.error"
local library = require "tokencache.util.library"

local POLL = 0.2 -- seconds; so often Ctrl-C and the browser are looked after

local function say(...)
  io.stderr:write(...)
end

--- Where the browser begins: an address of the listener, which sends it on. The command that opens
--- it can be read by every user of the machine, and must not hold what the answer is checked by.
local function start_url(flow, listener, url)
  local name, err = authorization.random_text(flow)
  if not name then
    return nil, err
  end
  local path = "/login/" .. name
  local ok
  ok, err = listener:send_to(path, url)
  local host = flow.redirect.host
  return ok and ("http://%s:%d%s"):format(host:find(":", 1, true) and "[" .. host .. "]" or host,
    listener:port(), path), err
end

local function open_browser(url, start)
  local browser = require("tokencache._browser").open(start)
  say(browser and "Log in in the browser that opens now. If none does, open" or "Open",
    " this address in a browser and log in:\n\n  ", url, "\n\n",
    "It must be a browser of this machine; with open_browser = false any will do.\n")
  return browser
end

local function warn_of(stranger)
  say("Another user of this machine", stranger >= 0 and (" (uid %d)"):format(stranger) or "",
    " has tried to take part in this login, and was turned away. If it was you, start again with ",
    "open_browser = false, and paste the address.\n")
end

--- Waits for the callback; the browser may turn out not to work meanwhile.
local function wait(flow, listener, browser)
  local deadline = core.monotonic() + flow.login_timeout
  local is_warned = false
  repeat
    local query, err = listener:poll(POLL)
    local stranger = listener:stranger()
    if stranger and not is_warned then
      is_warned = true
      warn_of(stranger)
    end
    if query or err then
      return query, err
    end
    if browser and browser:failed() then
      browser = nil
      say("The browser did not start; open the address yourself.\n")
    end
  until core.monotonic() >= deadline
  return nil, errors.new("timeout", "nobody logged in within " .. flow.login_timeout .. " seconds")
end

local function open(flow, redirect, state)
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
  local start, err = start_url(flow, listener, url)
  if not start then
    return nil, err
  end
  local browser = open_browser(url, start)
  local query
  query, err = wait(flow, listener, browser)
  if browser then
    browser:close()
  end
  return query, err
end

---@return table? response
---@return tokencache.Error?
local function log_in(flow, redirect, state)
  local auth, query
  local listener, err = open(flow, redirect, state)
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

---@param flow tokencache.UserFlow
---@param turn? table  from an earlier call
---@return table? response   nil without an error: this login has waited for another, which may have
---                          brought a token; call again with the turn if it has not
---@return tokencache.Error?
---@return table? turn       to be closed when the token is saved
return function(flow, turn)
  local redirect
  local state, err = authorization.new_state(flow)
  if state then
    redirect, err = library("tokencache._redirect", "libmicrohttpd", "give open_browser = false")
  end
  if not redirect then
    return nil, err
  end
  if not turn and not flow.any_port then
    local waited
    turn, err, waited = require("tokencache.login.turn")(flow, redirect,
      tonumber(flow.redirect.port or "80"))
    if waited or err then
      return nil, err, turn
    end
  end
  local response
  response, err = log_in(flow, redirect, state)
  return response, err, turn
end
