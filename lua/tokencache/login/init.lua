--- Lets the user log in, in the first way that there is: the program's own callback, the browser
--- with a listener on the loopback redirect URI, or a URL to open and an answer to paste.

local authorization = require "tokencache.authorization"
local errors = require "tokencache.error"

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

---@param flow tokencache.UserFlow
---@param turn? table       what an earlier call returned
---@return table? response  as from authorization.read; nil without an error: look into the cache,
---                         and call again with the turn if there is nothing
---@return tokencache.Error?
---@return table? turn      to be closed when the token is saved
function login.run(flow, turn)
  if flow.authorize then
    return by_callback(flow)
  end
  if flow.open_browser and flow.redirects[1].listens then
    return require("tokencache.login.listen")(flow, turn)
  end
  return require("tokencache.login.paste")(flow)
end

return login
