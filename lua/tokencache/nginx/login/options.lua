--- The options of the login gateway, and what they mean.

local core = require "tokencache._core"
local log = require "tokencache.log"
local options = require "tokencache.util.options"
local problem_of_store = require "tokencache.store.check"
local provider = require "tokencache.provider"
local user = require "tokencache.flow.user"

local gateway_options = {}

---@class tokencache.LoginGatewayOptions: tokencache.ClientOptions
---@field issuer? string          the provider, found by its metadata; or
---@field provider? tokencache.Provider  a preset, or a table of its endpoints
---@field public_url string       where browsers find this server: "https://app.example.com"
---@field path? string            of the location of serve(); default "/auth/". The redirect URI to
---                               register is PUBLIC_URL/auth/callback
---@field store? tokencache.Store  where sessions are kept: Redis, memcached, files; default: in
---                               cookies, which needs cookie_secret
---@field cookie_secret? string|string[]  16 bytes or more, the same on all machines: seals what a
---                               browser keeps; of several the first seals, and all open; default:
---                               random, for this nginx alone
---@field shared_dict? string     the lua_shared_dict of this nginx; default "tokencache"
---@field cookie? { name?: string, domain?: string, remember?: boolean, max_bytes?: integer }
---                               default: "tokencache", for this host alone; remember: it outlives
---                               the browser; max_bytes: of a session that is kept in cookies;
---                               default 7000
---@field idle_timeout? number    seconds without a request after which a session ends; default 3600
---@field lifetime? number        seconds after its login at which it ends; default 86400
---@field unauthorized? "login"|"401"|"pass"  what becomes of a request without a user; default
---                               "login": pages lead to the provider, all others get 401
---@field allow? fun(claims: table): boolean?  who may come in; default: all whom the provider knows
---@field headers? table<string, string>  of the requests passed on, by claim; default
---                               { ["X-User"] = "sub" }
---@field authorization? boolean  default true: they are passed on with the user's access token
---@field dpop? boolean           true, with authorization = false: tokens are bound to a key, which
---                               is kept with the session
---@field userinfo? boolean       true: the claims are also those of the userinfo endpoint
---@field end_session? boolean    default true: a log out ends the session at the provider, too,
---                               where it can be done
---@field after_logout? string    a path, or a URL: where that leads; default: a page of ours
---@field page? fun(status: integer, message: string, more: string): string  the HTML of what a
---                               browser is told, in place of ours; message and more are HTML
---@field authorize_params? table<string, string|string[]>  sent with each authorization request
---@field max_age? number         seconds ago that the user may have logged in at the provider
---@field acr_values? string|string[]  how the user should log in
---@field timeout? number         seconds that a request may wait for the provider; default 10

--- What of a flow's options is the gateway's own matter.
local OWN = { cache = true, redirect_uri = true, state = true, login = true, open_browser = true,
  authorize = true, show = true, show_dialog = true, login_timeout = true, pending_key = true,
  on_invalid_grant = true }

local of_flow = {}
for name, rule in pairs(user.rules) do
  of_flow[name] = not OWN[name] and rule or nil
end

local SECRET_MIN = 16 -- bytes

local RULES = options.merge(of_flow, {
  issuer = { "string" },
  provider = { "table" },
  timeout = { "number>0", default = 10 },
  public_url = { "string", required = true,
    hint = "give where browsers find this server, as https://app.example.com" },
  path = { "string", default = "/auth/" },
  cookie_secret = { { "string", "table" } },
  shared_dict = { "string", default = "tokencache" },
  cookie = { "table" },
  idle_timeout = { "number>0", default = 3600 }, -- NIST SP 800-63B §2.2.3, as is the other
  lifetime = { "number>0", default = 86400 },
  unauthorized = { "string", default = "login" },
  allow = { "callable" },
  headers = { "table" },
  authorization = { "boolean", default = true },
  userinfo = { "boolean" },
  end_session = { "boolean", default = true },
  after_logout = { "string" },
  page = { "callable" },
})

local COOKIE_RULES = {
  name = { "string", default = "tokencache" },
  domain = { "string" },
  remember = { "boolean" },
  max_bytes = { "number>0", default = 7000 }, -- nginx takes header lines of 8k
}

local MOST_BYTES = 32000 -- browsers take more, but few servers do

local LIKE = "must be like https://app.example.com, without a path"

local checks = {}

--- Browsers send no other form of it as Origin.
function checks.public_url(text, checked)
  local url = core.parse_url(text)
  if not url then
    return LIKE
  elseif url.scheme ~= "https" and url.scheme ~= "http" then
    return "must be an https URL"
  elseif url.path ~= "" and url.path ~= "/" or url.query or url.fragment then
    return LIKE
  end
  checked.is_https = url.scheme == "https"
  if not checked.is_https and not url.loopback then
    log.warning("nginx.login: public_url is http: who is on the way can take over sessions")
  end
  checked.public_url = text:lower():gsub("/$", ""):gsub(checked.is_https and ":443$" or ":80$", "")
end

function checks.path(path)
  return not path:find "^/[%w/._~-]*/$" and "must be like /auth/"
    or path:find("//", 1, true) and "must not have two slashes in a row"
end

function checks.cookie_secret(given)
  local secrets = type(given) == "table" and given or { given }
  if #secrets == 0 or not options.is_list(secrets, "string") then
    return "must be a string, or a list of strings"
  end
  for _, secret in ipairs(secrets) do
    if #secret < SECRET_MIN then
      return "must have at least 16 bytes; make one with a random generator"
    end
  end
end

function checks.cookie(given, checked)
  checked.cookie = options.check("nginx.login: cookie", given, COOKIE_RULES, 4)
  if not checked.cookie.name:find "^[%w_-]+$" then
    return "name must be letters, digits, _ and -"
  elseif checked.cookie.domain and not checked.cookie.domain:find "^[%w.-]+$" then
    return "domain must be the name of a domain"
  elseif checked.cookie.max_bytes > MOST_BYTES then
    return ("max_bytes must not be above %d"):format(MOST_BYTES)
  end
end

function checks.store(store)
  local problem = problem_of_store(store) or store.may_be_stale and "store must not have a front "
    .. "of its own, which may be trusted for long; give the store behind"
  return problem and problem:gsub("^store ", "")
end

local IS_KIND = { login = true, ["401"] = true, pass = true }

function checks.unauthorized(kind)
  return not IS_KIND[kind] and 'must be "login", "401" or "pass"'
end

local CALL_RULES = {
  require_user = { unauthorized = { "string" }, allow = { "callable" } },
  check = { token = { "boolean" }, allow = { "callable" } },
}

--- Raises where an option of a method is wrong, and blames its caller.
---@param method "require_user"|"check"
---@param opts tokencache.RequireUserOptions|tokencache.CheckOptions
function gateway_options.check_call(method, opts)
  local problem = options.problem(opts, CALL_RULES[method])
  local why = not problem and opts.unauthorized and checks.unauthorized(opts.unauthorized)
  if problem or why then
    error(method .. ": " .. (problem or "unauthorized " .. why), 3)
  end
end

function checks.headers(headers)
  local problem = options.is_list(headers, "string") and next(headers) ~= nil
    and "headers must map names to claims"
  for name, claim in pairs(headers) do
    problem = problem or provider.problem_of_headers { [name] = claim }
      or name:lower() == "authorization" and "must not set Authorization; that is authorization"
      or name:lower() == "cookie" and "must not set Cookie"
  end
  return problem and problem:gsub("^headers ", "")
end

function checks.dpop(is_on, checked)
  return is_on and checked.authorization and "needs authorization = false: the application could "
    .. "not use the token, as only this gateway has the key that each request would have to prove"
end

function checks.after_logout(to)
  return not to:find "^/[^/\\]?" and not core.parse_url(to) and "must be a path, or a URL"
end

local DEFAULTS = { cookie = {}, headers = { ["X-User"] = "sub" } }

--- Raises where an option is wrong, and blames the caller's caller.
---@param given tokencache.LoginGatewayOptions
---@return table checked
---@return table flow_options  what of it is the flow's
function gateway_options.read(given)
  local preset = type(given) == "table" and provider.problem_of_preset(given.provider)
  if preset then
    error("nginx.login: " .. preset, 3)
  end
  local checked = options.check("nginx.login", given, RULES, 3)
  for name, value in pairs(DEFAULTS) do
    checked[name] = checked[name] or value
  end
  local problem = (checked.issuer == nil) == (checked.provider == nil)
    and "give issuer, or provider" or nil
  for name, check in pairs(checks) do
    local why = checked[name] ~= nil and check(checked[name], checked)
    problem = problem or why and name .. " " .. why
  end
  if problem then
    error("nginx.login: " .. problem, 3)
  end
  local server = options.merge(checked.provider or {}, { issuer = checked.issuer })
  checked.scope = checked.scope or server.issuer and "openid"
  local flow_options = {}
  for name in pairs(of_flow) do
    flow_options[name] = checked[name]
  end
  checked.provider_name = server.issuer or server.token_url
  server.refresh_token_lifetime = math.min(server.refresh_token_lifetime or math.huge,
    checked.lifetime)
  flow_options.provider = server
  flow_options.redirect_uri = checked.public_url .. checked.path .. "callback"
  flow_options.pkce, flow_options.authorize = true, false
  return checked, flow_options
end

return gateway_options
