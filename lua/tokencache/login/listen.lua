--- Login through the browser of this machine (RFC 8252 §7.3): it is sent back to a listener that
--- lives only as long as the login.

local authorization = require "tokencache.authorization"
local core = require "tokencache._core"
local errors = require "tokencache.error"
local library = require "tokencache.util.library"
local redirect_uri = require "tokencache.flow.redirect_uri"

local POLL = 0.2 -- seconds; so often Ctrl-C and the browser are looked after

local function say(...)
  io.stderr:write(...)
end

local function port_of(redirect)
  return tonumber(redirect.url.port or "80")
end

--- Where the browser begins: an address of the listener, which sends it on. The command that opens
--- it can be read by every user of the machine, and must not hold what the answer is checked by.
local function start_url(flow, listener, redirect, url)
  local name, err = authorization.random_text(flow)
  if not name then
    return nil, err
  end
  local path = "/login/" .. name
  local ok
  ok, err = listener:send_to(path, url)
  local host = redirect.url.host
  return ok and ("http://%s:%d%s"):format(host:find(":", 1, true) and "[" .. host .. "]" or host,
    listener:port(), path), err
end

--- What the user of this program is to give for a login by pasting.
local function pasting(flow)
  return flow.io.pasting or "open_browser = false"
end

local function open_browser(flow, url, start)
  local browser = require("tokencache._browser").open(start)
  say(browser and "Use the browser that opens now to log in. If none does, open" or "Open",
    " this address in a browser and log in:\n\n  ", url, "\n\n",
    "It must be a browser of this machine; with ", pasting(flow), " any will do.\n")
  return browser
end

local function warn_of(flow, stranger)
  say("Another user of this machine", stranger >= 0 and (" (uid %d)"):format(stranger) or "",
    " has tried to take part in this login, and was turned away. If it was you, start again with ",
    pasting(flow), ", and paste the address.\n")
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
      warn_of(flow, stranger)
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

--- Listens at the first of the redirect URIs whose port is free.
---@return userdata? listener
---@return tokencache.Error|tokencache.RedirectUri
local function open(flow, module, state)
  local mode, problem = flow.response_mode, nil
  for _, redirect in ipairs(flow.redirects) do
    local url = redirect.url
    local listener, err = module.open {
      host = url.host,
      port = port_of(redirect),
      path = url.path ~= "" and url.path or "/",
      state = state,
      fragment = mode == "fragment" or mode == nil and flow.response_type == "token",
      form_post = mode == "form_post",
    }
    if listener then
      return listener, redirect
    end
    problem = problem or err
  end
  return nil, problem
end

--- Sends the user away; what the browser brings back.
local function ask(flow, listener, redirect, url)
  local start, err = start_url(flow, listener, redirect, url)
  if not start then
    return nil, err
  end
  local browser = open_browser(flow, url, start)
  local query
  query, err = wait(flow, listener, browser)
  if browser then
    browser:close()
  end
  return query, err
end

---@return table? response
---@return tokencache.Error?
local function log_in(flow, module, state)
  local listener, redirect = open(flow, module, state)
  if not listener then
    return nil, redirect
  end
  local query
  local auth, err = authorization.new(flow, redirect_uri.at(redirect, listener:port()), state)
  if auth then
    query, err = ask(flow, listener, redirect, auth.url)
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
  local module
  local state, err = authorization.new_state(flow)
  if state then
    module, err = library("tokencache._redirect", "libmicrohttpd", "give " .. pasting(flow))
  end
  if not module then
    return nil, err
  end
  local first = flow.redirects[1]
  if not turn and not first.any_port then
    local waited
    turn, err, waited = require("tokencache.login.turn")(flow, port_of(first))
    if waited or err then
      return nil, err, turn
    end
  end
  local response
  response, err = log_in(flow, module, state)
  return response, err, turn
end
