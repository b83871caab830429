--- A gateway where people log in, for the applications behind it: `tokencache.nginx.login`.
---
---     init_by_lua_block {
---       gateway = require("tokencache").nginx.login {
---         issuer = "https://login.example.com", client_id = "...", client_secret = "...",
---         public_url = "https://app.example.com",   -- redirect URI: .../auth/callback
---         store = tokencache.store.redis { host = "..." },
---       }
---     }
---     init_worker_by_lua_block { gateway:init_worker() }
---     location /auth/ { content_by_lua_block { gateway:serve() } }
---     location / { access_by_lua_block { gateway:require_user() } proxy_pass ...; }
---     location = /whose { content_by_lua_block { gateway:check() } }     -- for other servers
---
--- All options are in options.lua, told for users in docs/nginx.md. The parts: begin.lua and
--- callback.lua are the halves of a login, log_out.lua and back_channel.lua its ends; session.lua
--- finds the session of a request, headers.lua tells the application of it, and passed.lua knows
--- requests again that nginx sends on; store_sessions.lua and cookie_sessions.lua are where
--- sessions are kept.

local answer = require "tokencache.nginx.login.answer"
local back_channel = require "tokencache.nginx.login.back_channel"
local begin = require "tokencache.nginx.login.begin"
local cookie = require "tokencache.nginx.login.cookie"
local cookie_sessions = require "tokencache.nginx.login.cookie_sessions"
local crypto = require "tokencache.crypto"
local digest = require("tokencache.key").digest
local errors = require "tokencache.error"
local flow = require "tokencache.flow.authorization_code"
local gateway_options = require "tokencache.nginx.login.options"
local headers = require "tokencache.nginx.login.headers"
local log = require "tokencache.log"
local lru = require "tokencache.util.lru"
local ngx = require("tokencache.environment").nginx
local options = require "tokencache.util.options"
local passed = require "tokencache.nginx.login.passed"
local renewal = require "tokencache.nginx.login.renewal"
local sealer = require "tokencache.nginx.login.sealer"
local session = require "tokencache.nginx.login.session"
local settings = require "tokencache.nginx.settings"
local shared_dict = require "tokencache.store.shared_dict"
local store_sessions = require "tokencache.nginx.login.store_sessions"
local tiered = require "tokencache.store.tiered"
local timer = require "tokencache.nginx.timer"

local REMEMBERED = 10000 -- sessions, by a worker; or
local OF_LONG = 500      -- of headers Cookie that are long, as where sessions are kept in cookies

---@class tokencache.LoginGateway
---@field options table             checked
---@field flow tokencache.UserFlow
---@field sessions tokencache.StoreSessions  the place where they are kept
---@field cookies tokencache.CookieSettings
---@field dict table                ngx.shared.NAME
---@field name string               no other gateway of this nginx has it
---@field guarded tokencache.GuardedHeaders  headers that are ours alone
---@field sealer tokencache.LoginSealer  of what browsers keep
---@field memo tokencache.Lru       sessions by the header Cookie
---@field memo_of_long tokencache.Lru  the same, by those that are long
---@field passed tokencache.PassedRequests  whom this worker has let through lately
---@field renewing table<string, true>  ids of sessions whose token is being renewed
local Gateway = {}

local metatable = {
  __index = Gateway,
  __name = "tokencache.nginx.login",
  __tostring = function(self)
    return "tokencache.nginx.login: " .. self.options.public_url
  end,
}

--- To be called in init_worker_by_lua: tokens are renewed from then on before a request needs that.
--- Where no session could be kept, the error log says so at once.
function Gateway:init_worker()
  options.called_on(self, metatable, "init_worker")
  local ok, err = true, nil
  if not self.sessions.is_at_browser then
    ok, err = self.flow:keep_fresh()
  end
  if not ok then
    log.warning("tokens will be renewed only when they are asked for: ", err)
  end
  timer.after(0, function() -- who has set it up is to know before the first who logs in does
    local has_room, problem = self.sessions:try_room()
    if not has_room then
      answer.note(problem)
    end
  end)
end

--- A script cannot log in: only what fills the browser's window is sent to the provider.
local function is_a_page()
  local mode = ngx.var.http_sec_fetch_mode
  if ngx.req.get_method() ~= "GET" then
    return false
  elseif mode then
    return mode == "navigate"
  end
  return (ngx.var.http_accept or ""):find("text/html", 1, true) ~= nil
end

local routes = {
  login = function(self)
    local asked, to = ngx.var.args, ngx.var.arg_to
    if not (asked and asked:find "^/") then -- a page, as nginx has it in $request_uri
      asked = to and ngx.unescape_uri(to)
    end
    return begin.start(self, asked)
  end,
  callback = require "tokencache.nginx.login.callback",
  logout = require "tokencache.nginx.login.log_out",
  backchannel = back_channel.serve,
}

--- What of the gateway itself a request is for.
---@return fun(self: tokencache.LoginGateway)?
local function route_of(self)
  local path, uri = self.options.path, ngx.var.uri
  return uri:sub(1, #path) == path and routes[uri:sub(#path + 1)] or nil
end

local function deny(self)
  ngx.header["WWW-Authenticate"] = ('Bearer realm="%s%slogin"'):format(self.options.public_url,
    self.options.path)
  ngx.header["Cache-Control"] = "no-store"
  return ngx.exit(401)
end

local function turn_away(self, kind)
  if kind == "pass" then
    local list = headers.of(self.options, {})
    return headers.put(self.guarded, list, cookie.of_application(ngx.var.http_cookie or ""))
  elseif route_of(self) then
    return answer.unavailable(self, errors.new("config", "nginx.login: the location "
      .. self.options.path .. " does not call gateway:serve(), or inherits require_user()"))
  elseif kind == "login" and is_a_page() then
    return begin.start(self, ngx.var.request_uri)
  end
  return deny(self)
end

local function is_allowed(self, claims, opts)
  local allow = self.options.allow
  return (not allow or allow(claims)) and (not opts or not opts.allow or opts.allow(claims))
end

---@class tokencache.RequireUserOptions
---@field unauthorized? "login"|"401"|"pass"  default: the gateway's
---@field allow? fun(claims: table): boolean?  beside the gateway's

--- For access_by_lua: lets a request through that is a user's, and tells the application whose.
---@param opts? tokencache.RequireUserOptions
---@return table?  claims  what is known of the user; nil: nobody, which passes here
function Gateway:require_user(opts)
  options.called_on(self, metatable, "require_user")
  if opts then
    gateway_options.check_call("require_user", opts)
  end
  local user, current, err = passed.find(self.passed), nil, nil
  if not user then
    current, err = session.find(self, ngx.var.http_cookie)
    user = current and current.user
  end
  if not user then
    if err then
      return answer.unavailable(self, err, err.retry_after)
    end
    return turn_away(self, opts and opts.unauthorized or self.options.unauthorized)
  end
  local claims = user.claims
  if not is_allowed(self, claims, opts) then
    return answer.page(self, 403, "You have no access here.")
  end
  if current then
    headers.put(self.guarded, user.headers, current.cookie)
    passed.note(self.passed, user)
  end
  return claims
end

---@class tokencache.CheckOptions
---@field allow? fun(claims: table): boolean?  beside the gateway's
---@field token? boolean  true: the header Authorization as well, which a page's script can read

--- For content_by_lua of a location that other servers ask (nginx's auth_request, forward_auth):
--- 204 with the headers that an application would get, or 401, or 403.
---@param opts? tokencache.CheckOptions
function Gateway:check(opts)
  options.called_on(self, metatable, "check")
  if opts then
    gateway_options.check_call("check", opts)
  end
  local current, err = session.find(self, ngx.var.http_cookie)
  if err then
    return answer.unavailable(self, err, err.retry_after)
  elseif not current then
    return deny(self)
  elseif not is_allowed(self, current.user.claims, opts) then
    return ngx.exit(403)
  end
  local list = current.user.headers
  for i = 1, #list, 2 do
    if list[i] ~= "Authorization" or opts and opts.token then
      ngx.header[list[i]] = list[i + 1] or nil
    end
  end
  ngx.header["Cache-Control"] = "no-store"
  return ngx.exit(204)
end

--- For header_filter_by_lua, where the application may refuse a token before its time: a 401 of its
--- makes the session's next request get another one, once a minute at most.
function Gateway:header_filter()
  options.called_on(self, metatable, "header_filter")
  local token = ngx.var.upstream_status == "401" and self.options.authorization
    and passed.user(self.passed) and (ngx.var.http_authorization or ""):match "^Bearer (.+)$"
  local scheme = ngx.var.upstream_http_www_authenticate
  if token and (not scheme or scheme:find "[Bb]earer") then -- another is the application's own
    renewal.refuse(self, token)
  end
end

--- For content_by_lua of the location that the option `path` names.
function Gateway:serve()
  options.called_on(self, metatable, "serve")
  local route = route_of(self)
  if not route then
    return ngx.exit(404)
  end
  return route(self)
end

--- The sessions of a store are looked for in the shared dict first, unless that is the store.
local function with_front(store, dict)
  local identity = store.identity
  if type(identity) == "string" and identity:find "^shared_dict:" then
    return store
  end
  return tiered { front = shared_dict(dict, { evict = true }), back = store,
    front_time = session.FRONT_TIME }
end

--- What tells apart the gateways that share a dict, a store or a cookie_secret: the same client_id
--- may be another client's at another provider.
local function place_of(user_flow)
  local endpoints, parts = user_flow.endpoints, {}
  for i, part in ipairs { user_flow.issuer or "", endpoints.authorize_url or "",
    endpoints.token_url or "", user_flow.client_id } do
    parts[i] = #part .. ":" .. part
  end
  return digest(table.concat(parts))
end

--- The same in all workers, also over a reload.
local function shared_secret(dict)
  dict:add("login-secret", assert(crypto.random(32)))
  return dict:get "login-secret"
end

---@param given tokencache.LoginGatewayOptions
---@return tokencache.LoginGateway
return function(given)
  local checked, flow_options = gateway_options.read(given)
  local dict = ngx.shared[checked.shared_dict]
  if not dict then
    error("nginx.login: shared_dict: there is no lua_shared_dict " .. checked.shared_dict
      .. " in http {}", 2)
  elseif not checked.store and not checked.cookie_secret then
    error("nginx.login: store is required: give one of tokencache.store; or cookie_secret, and "
      .. "sessions are kept in cookies", 2)
  end
  settings.owed = settings.owed or dict
  flow_options.store = checked.store and with_front(checked.store, dict)
    or shared_dict(dict, { evict = true })
  local user_flow = flow(flow_options, "nginx.login", 3)
  checked.place = place_of(user_flow)
  local secret = checked.cookie_secret or shared_secret(dict)
  local self = {
    options = options.merge(checked, { client_secret = false, client_key = false,
      client_key_passphrase = false, client_assertion = false, cookie_secret = false }),
    flow = user_flow,
    cookies = cookie.settings(checked, checked.place),
    dict = dict,
    name = checked.place .. checked.public_url .. checked.path,
    guarded = headers.guarded(checked),
    sealer = sealer(type(secret) == "table" and secret or { secret }),
    memo = lru(REMEMBERED),
    memo_of_long = lru(OF_LONG),
    renewing = {},
    passed = passed.new(),
  }
  headers.warn_of_missing(checked, user_flow)
  self.sessions = checked.store and store_sessions.new(self.flow, dict, checked)
    or cookie_sessions(self.flow, dict, checked, self.sealer)
  return setmetatable(self, metatable)
end
