--- Lets the user log in: by the program's own callback; else in the first of the flow's ways that
--- can be had here: the browser with a listener on the loopback redirect URI, another device, or a
--- URL to open and an answer to paste.

local authorization = require "tokencache.authorization"
local errors = require "tokencache.error"
local log = require "tokencache.log"

local login = {}

local function by_callback(flow)
  local auth, err = authorization.new(flow, flow.redirect_uri)
  if not auth then
    return nil, err
  end
  local text
  text, err = flow.authorize(auth.url, flow.redirect_uri)
  if type(text) ~= "string" then
    return nil, errors.wrap("denied", err or "the authorize callback returned no response URL")
  end
  return authorization.read(flow, auth, text)
end

local function is_set(variable)
  return (os.getenv(variable) or "") ~= ""
end

--- Where a browser is shown; macOS names no display.
local function has_display()
  local system = io.open("/System/Library/CoreServices", "r")
  if system then
    system:close()
  end
  return system ~= nil
    or is_set "BROWSER" or is_set "DISPLAY" or is_set "WAYLAND_DISPLAY"
end

local can = {}

--- The error: why the provider has none, or could not be asked whether it does.
function can.device(flow)
  if flow.response_type == "token" then
    return false
  end
  local url, err = flow:_endpoint("device_authorization_url")
  return url ~= nil, err
end

--- Whether the browser of this machine can be sent back to this process. Where there seems to be
--- none, another device goes before it, if it is one of the ways that follow.
function can.browser(flow, rest)
  if not flow.redirects[1].listens then
    return false
  end
  return has_display() or not (rest:find("device", 1, true) and can.device(flow))
end

function can.paste()
  return true
end

local run = {}

function run.browser(flow, turn)
  return require("tokencache.login.listen")(flow, turn)
end

function run.device(flow)
  return require("tokencache.login.device").log_in(flow)
end

function run.paste(flow)
  return require("tokencache.login.paste")(flow)
end

--- Whether the provider does not know the client (RFC 6749 §5.2), whatever the way. Google says the
--- same of one whose type has no login by another device.
local function is_unknown(err)
  return err.code == "invalid_client" and not (err.description or ""):find "type"
end

--- Whether a way has turned out not to be had, and the next one is to be tried.
local function gives_way(flow, way, err)
  return err and err.kind == "config" and (flow.has_chosen or way == "device")
    and not is_unknown(err)
end

--- Why none of the ways can be had. Of one alone it is enough what that lacks.
local function no_way(ways, reason)
  if reason and (#ways == 1 or reason.kind ~= "config") then
    return reason
  end
  return errors.new("config", "there is no way to log in here; of " .. table.concat(ways, ", ")
    .. " none can be had (option login)" .. (reason and ": " .. reason.message or ""))
end

---@param flow tokencache.UserFlow
---@param turn? table       what an earlier call returned
---@param ways? string[]    default: the flow's
---@return table? response  as from authorization.read or login.device; nil without an error: look
---                         into the cache, and call again with the turn if there is nothing
---@return tokencache.Error?
---@return table? turn      to be closed when the token is saved
function login.run(flow, turn, ways)
  if flow.authorize then
    return by_callback(flow)
  end
  ways = ways or flow.ways
  if flow.discovers then -- what no way goes without
    local url, err = flow:_endpoint(flow.discovers)
    if not url then
      return nil, err
    end
  end
  local problem, lack
  for i, way in ipairs(ways) do
    local is_possible, reason = can[way](flow, table.concat(ways, " ", i + 1))
    lack = lack or reason
    if is_possible then
      if problem then
        log.warning("the login goes on in another way: ", problem)
      end
      local response, err, kept = run[way](flow, turn)
      if not gives_way(flow, way, err) then
        return response, err, kept
      elseif kept then
        kept:close()
      end
      problem, turn = err, nil
    end
  end
  return nil, problem or no_way(ways, lack)
end

return login
