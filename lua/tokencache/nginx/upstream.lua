--- A client's token on the requests that nginx passes on: `tokencache.nginx.upstream`.
---
---     init_by_lua_block {
---       api = require("tokencache").nginx.upstream {
---         provider = ..., client_id = "...", client_secret = "...",
---       }
---     }
---     init_worker_by_lua_block { api:init_worker() }
---     location / {
---       access_by_lua_block { api:attach() }
---       proxy_pass https://api.example.com;
---       proxy_intercept_errors on;          # where the API refuses a token before its time:
---       error_page 401 = @again;
---     }
---     location @again {
---       access_by_lua_block { api:attach_again() }
---       proxy_pass https://api.example.com;
---     }
---
--- The access phase can wait, and comes after all else that may turn a request away. error_page is
--- nginx's only way to send a request once more with other headers: proxy_next_upstream knows no
--- 401, and repeats the bytes that it has sent.
---
--- Over a token_exchange flow each request carries the token that its own one was exchanged for.

local client_credentials = require "tokencache.flow.client_credentials"
local config = require "tokencache.flow.config"
local core = require "tokencache._core"
local dpop = require "tokencache.dpop"
local driver = require "tokencache.driver"
local keys = require "tokencache.key"
local log = require "tokencache.log"
local ngx = require("tokencache.environment").nginx
local observer = require "tokencache.observer"
local options = require "tokencache.util.options"
local passed = require "tokencache.nginx.login.passed"
local provider = require "tokencache.provider"
local settings = require "tokencache.nginx.settings"
local token_info = require "tokencache.token_info"

local TRUSTED = 1 -- seconds: then a worker looks again, as another may have renewed the token
local LEAST_PAUSE, MOST_PAUSE = 1, 8 -- seconds between two attempts of a worker; doubled each time

--- What is no reason for the next request not to try.
local OF_THE_CALLER = { denied = true, reauthorize = true }
local PASSES = { transient = true, timeout = true, cache = true }

--- What a provider says of a token that it does not exchange (RFC 8693 §2.2.2, and as some do).
local OF_THE_SUBJECT = { invalid_request = true, invalid_grant = true, invalid_token = true }

---@class tokencache.Upstream
---@field flow tokencache.Flow
---@field variable? string              of nginx, which gets the header in place of the request
---@field package has_variable? boolean  it was seen in nginx.conf
---@field package api_url? string       where the API is, as proofs of DPoP name it
---@field package passed? tokencache.PassedRequests  whose token each request was exchanged for
---@field package info? tokencache.TokenInfo  the last one; there is none for many accounts
---@field package header? string        of that
---@field package trusted_until number  by ngx.now(): until when it is taken without a look
---@field package expires_at? number    Unix seconds: its end
---@field package failure? tokencache.Error   of the last attempt; nil: it went well
---@field package retry_at number       by ngx.now(): when the next attempt is due
---@field package pause number          seconds until then, if the next one fails
local Upstream = {}

local metatable = {
  __index = Upstream,
  __name = "tokencache.nginx.upstream",
  __tostring = function(self)
    return "tokencache.nginx.upstream: " .. self.flow.client_id
  end,
}

--- To be called in init_worker_by_lua: tokens are renewed from then on before a request needs that.
function Upstream:init_worker()
  options.called_on(self, metatable, "init_worker")
  local ok, err = self.flow:keep_fresh()
  if not ok then
    log.warning("upstream: tokens will be renewed only when they are asked for: ", err)
  end
end

local function emit_hit(account, expires_at)
  if observer.on then
    observer.emit("hit", account, { left = expires_at and expires_at - account.now() })
  end
end

--- The token that the cache holds, if it has some seconds left.
local function working(account, refused)
  local info = token_info.checked(account.handler:get_cached_token(true))
  return info and info.access_token ~= refused
    and account.flow.client:works(account.now(), token_info.flat(info)) and info or nil
end

--- Between two attempts.
local function settle(self, account, old)
  if old then
    emit_hit(account, token_info.known_end(old))
    return old
  elseif observer.on then
    observer.emit("miss", account)
    observer.emit("failure", account, { kind = self.failure.kind, seconds = 0 })
  end
  return nil, self.failure
end

local function note_failure(self, account, err, refused)
  log.repeated(refused and err.kind == "denied" and "warning" or "error",
    "upstream: " .. tostring(err), "upstream: ", err.kind, ": ", err)
  local is_only = account == self.flow -- else it may be the trouble of one user
  if is_only and not OF_THE_CALLER[err.kind] or err.kind == "transient" then
    self.failure, self.retry_at = err, ngx.now() + math.max(self.pause, err.retry_after or 0)
    self.pause = math.min(2 * self.pause, MOST_PAUSE)
  end
end

--- Notes the only account's token, and for how long it is taken without another look.
local function note(self, account, info, left)
  if account == self.flow then
    self.info, self.header = info, "Bearer " .. info.access_token
    self.expires_at = token_info.known_end(info)
    self.trusted_until = ngx.now() + math.min(TRUSTED, left)
  end
end

--- Takes what came of an attempt, or of a look that found a fresh token.
local function take(self, account, is_attempt, refused, info, err)
  if not info then
    note_failure(self, account, err, refused)
    return nil, err
  end
  local _, until_ = account.flow.client:window(token_info.flat(info))
  local left = (until_ or 0) - account.now()
  note(self, account, info, left)
  if is_attempt and left > 0 then -- else it is the old one
    self.failure, self.retry_at, self.pause = nil, 0, LEAST_PAUSE
  end
  return info
end

--- Renews a token for which nobody waits, as keep_fresh does.
local function renew_aside(self, account, refused)
  local flow = account.flow
  return flow.io.after(0, function()
    take(self, account, true, refused, driver.run(account, flow.timeout,
      { refused = refused, stays_out = true, in_timer = true }))
  end)
end

--- Gets a token. While none is to be had, a worker tries once in each pause; all other requests
--- take the old one, or learn of the failure, at once.
---@param account tokencache.Account
---@param refused? string  a token that the API refuses
---@return tokencache.TokenInfo?
---@return tokencache.Error?
local function get(self, account, refused)
  local is_attempt = refused or not account:peek_access_token()
  if is_attempt then
    local old, is_due = working(account, refused), ngx.now() >= self.retry_at
    if is_due then
      self.retry_at = ngx.now() + self.pause
    end
    if old and (not is_due or renew_aside(self, account, refused))
      or self.failure and not is_due then
      return settle(self, account, old)
    end
  end
  return take(self, account, is_attempt, refused,
    account:get_token_info(refused and { refused = refused }))
end

local function turn_away(self, err)
  if err.kind == "reauthorize" then
    return ngx.exit(401)
  elseif self.passed and OF_THE_SUBJECT[err.code] then
    ngx.header["WWW-Authenticate"] = 'Bearer error="invalid_token"'
    return ngx.exit(401)
  elseif self.passed and err.kind == "denied" then
    return ngx.exit(403)
  end
  ngx.header["WWW-Authenticate"] = nil -- of the first answer, which is not the client's
  if not PASSES[err.kind] then
    return ngx.exit(500)
  end
  ngx.header["Retry-After"] = ("%d"):format(math.max(1, math.ceil(self.retry_at - ngx.now())))
  return ngx.exit(503)
end

local set_header = ngx and ngx.req.set_header

local function set_variable(name, value)
  ngx.var[name] = value
end

local function put(self, header)
  if self.has_variable then
    set_variable(self.variable, header)
  elseif self.variable then
    self.has_variable = pcall(set_variable, self.variable, header)
    if not self.has_variable then
      error(('upstream: nginx.conf has no such variable: add map "" $%s { default ""; } in http {}')
        :format(self.variable), 0)
    end
  else
    set_header("Authorization", header)
  end
end

--- The API as it knows itself, and the path that it is asked for.
local function url_at_api(self)
  return self.api_url .. ngx.var.request_uri:match "^[^?]*"
end

--- Puts a token into the request; one that is bound to a key with the proof for this request.
local function put_token(self, info)
  if not self.api_url then
    return put(self, "Bearer " .. info.access_token)
  end
  local headers, err = dpop.headers(self.flow, info, ngx.req.get_method(), url_at_api(self))
  if not headers then
    return turn_away(self, err)
  end
  put(self, headers.Authorization)
  set_header("DPoP", headers.DPoP)
end

--- The account of whoever sends this request, by the token in it.
---@param token? string
---@param is_again? boolean  attach() has put another one into it
---@return tokencache.Account?
---@return tokencache.Error?
local function account_of_subject(self, token, is_again)
  local header = not is_again and ngx.req.get_headers(0).authorization -- a table: several
  local scheme, text = (type(header) == "string" and header or ""):match "^(%a+) +(%S+)$"
  token = token or scheme and scheme:lower() == "bearer" and text
  if not token then
    ngx.header["WWW-Authenticate"] = "Bearer"
    return ngx.exit(401)
  end
  local account, err = self.flow:subject(token)
  if account then
    passed.note(self.passed, account)
  end
  return account, err
end

local function account_of(self, key, is_again)
  local flow = self.flow
  if self.passed then
    local account = is_again and passed.user(self.passed)
    if account then
      return account
    end
    -- the request's own token is not in it any more, but the one of attach()
    return account_of_subject(self, key, is_again)
  elseif key == nil and flow.store then
    error("upstream: this flow keeps many accounts (store=); call api:attach(key)", 4)
  end
  return key ~= nil and flow:account(key) or flow
end

local function attach_after_look(self, key, refused, is_again)
  local account, err = account_of(self, key, is_again)
  local info
  if account then
    info, err = get(self, account, refused)
  end
  if info then
    return put_token(self, info)
  elseif refused and err.kind == "denied" then
    return nil -- it is as good as new: the API's answer is meant for the client
  end
  return turn_away(self, err)
end

--- For access_by_lua: puts the token into the request, in place of one from outside. Without a
--- token the request ends here: with 503 and Retry-After, or 500 where waiting will not help.
---@param key? string|string[]|table  the account, of a flow with many: as for flow:account(); of
---                             a token_exchange flow the subject's token, default: the request's
function Upstream:attach(key)
  options.called_on(self, metatable, "attach")
  if key == nil and ngx.now() < self.trusted_until then
    if observer.on then
      emit_hit(self.flow, self.expires_at)
    end
    if self.api_url then
      return put_token(self, self.info)
    end
    return put(self, self.header)
  end
  return attach_after_look(self, key)
end

--- Reports whether a 401 may be about the token. Other challenges, and a Bearer's other errors
--- (RFC 6750 §3.1), are meant for the client.
---@return boolean
---@return string? code
local function is_about_token(challenge)
  challenge = challenge and challenge:lower()
  local code = challenge and challenge:match 'error%s*=%s*"?([%w_]+)'
  local is_ours = not challenge or challenge:find("bearer", 1, true) or challenge:find "dpop"
  return is_ours and (code or "invalid_token") == "invalid_token", code
end

--- What the API says of the first attempt: attaches another token, or another proof with the nonce
--- that it wants (RFC 9449 §9).
local function answer_challenge(self, key, refused)
  local is_due, code = is_about_token(ngx.var.upstream_http_www_authenticate)
  local nonce = self.api_url and ngx.var.upstream_http_dpop_nonce
  local is_new = nonce and dpop.note(self.flow, self.api_url, nonce)
  if is_due or is_new and code == "use_dpop_nonce" then
    attach_after_look(self, key, is_due and refused or nil, true)
  end
end

local BODILESS = { GET = true, HEAD = true, DELETE = true, OPTIONS = true, TRACE = true }

--- Reports whether nginx still has the body, if there is one. With proxy_request_buffering off it
--- does not.
local function has_whole_body()
  local var = ngx.var
  local length = tonumber(var.content_length)
  local may_have_one = length and length > 0
    or not length and (var.http_transfer_encoding or not BODILESS[ngx.req.get_method()])
  return not may_have_one or ngx.req.get_body_data() ~= nil or ngx.req.get_body_file() ~= nil
end

--- For access_by_lua of the location that error_page leads 401 to: attaches another token where the
--- API has refused the first one, for the request to be sent once more. What was answered 401 has
--- not been carried out (RFC 9110 §15.5.2), so that goes for each method. Where the 401 was meant
--- for the client, the request is sent as it was, and the client gets the API's own answer.
---@param key? string|string[]|table  as for attach
function Upstream:attach_again(key)
  options.called_on(self, metatable, "attach_again")
  local refused = (ngx.var[self.variable or "http_authorization"] or ""):match "^%a+ (.+)$"
  if not refused and (ngx.var.upstream_status or ""):find "401$" then
    log.warning("upstream: attach_again() found no token of attach() in the request; call that in ",
      "the location that error_page leads here from")
  end
  if not refused or not (ngx.var.upstream_status or ""):find "401$" then
    return ngx.exit(401) -- nginx itself has turned the request away
  end
  answer_challenge(self, key, refused)
  if not has_whole_body() then
    return ngx.exit(401)
  end
  ngx.header["WWW-Authenticate"] = nil -- nginx adds that of the first answer to the second
end

---@class tokencache.UpstreamOptions: tokencache.ClientOptions
---@field provider? tokencache.Provider
---@field cache? tokencache.Handler
---@field store? tokencache.Store
---@field issuer? string        in place of provider: it is found by its metadata
---@field flow? tokencache.Flow  a flow of yours, in place of all these but variable and api_url
---@field dpop? boolean         true: tokens are bound to a key; needs api_url
---@field api_url? string       with dpop: where the API is, "https://api.example.com", which the
---                             proofs name together with the path that nginx was asked for
---@field variable? string      of nginx: it gets the header Authorization in place of the request,
---                             which is faster; proxy_set_header puts it there
---@field shared_dict? string   the lua_shared_dict of this nginx, where the token is kept if there
---                             is no cache; default "tokencache"

local OF_FLOW = { flow = { "table" }, variable = { "string" }, api_url = { "string" } }

local RULES = options.merge(config.rules, {
  provider = { "table" },
  issuer = { "string" },
  variable = OF_FLOW.variable,
  api_url = OF_FLOW.api_url,
  shared_dict = { "string", default = "tokencache" },
  timeout = { "number>0", default = 10 },
})

--- Clients that want other tokens have entries of their own.
local function entry_name(checked, server)
  local parts = { "upstream", checked.client_id or "", server.issuer or "", server.token_url or "" }
  local params, problem = config.params("token_params", checked.token_params, {})
  if problem then
    return nil, problem
  end
  parts[#parts + 1] = type(checked.scope) == "table" and table.concat(checked.scope, " ")
    or checked.scope or ""
  for _, param in ipairs(params) do
    parts[#parts + 1] = param
  end
  return keys.digest(keys.join(parts))
end

--- What is given in place of all else.
local function problem_of_flow(given)
  for name in pairs(given) do
    if not OF_FLOW[name] then
      return "with flow, only variable and api_url are options; leave out " .. tostring(name)
    end
  end
  return options.problem(given, OF_FLOW)
    or config.misused(given.flow) and "flow must be one of tokencache.flow"
end

--- Blames the caller's caller.
local function new_flow(given)
  local preset = type(given) == "table" and provider.problem_of_preset(given.provider)
  if preset then
    return nil, preset
  end
  local checked, problem = options.read(given, RULES)
  if problem then
    return nil, problem
  elseif checked.issuer == nil and checked.provider == nil then
    return nil, "give issuer, or provider"
  end
  local name, dict = checked.shared_dict, ngx.shared[checked.shared_dict]
  settings.owed = settings.owed or dict
  checked.provider = options.merge(checked.provider or {}, { issuer = checked.issuer })
  checked.issuer, checked.shared_dict, checked.variable, checked.api_url = nil, nil, nil, nil
  if not checked.cache and not checked.store then
    if not dict then
      return nil, "there is no lua_shared_dict " .. name .. " in http {}; add one, or give cache"
    end
    local entry
    entry, problem = entry_name(checked, checked.provider)
    if problem then
      return nil, problem
    end
    checked.cache = require "tokencache.cache.from_store"(
      require "tokencache.store.shared_dict"(dict), entry)
  end
  local flow = client_credentials(checked, "nginx.upstream", 4)
  return flow
end

--- What is wrong with how tokens are to be proven, if anything.
local function problem_of_proofs(flow, given)
  local url = given.api_url
  if not flow.dpop then
    return url and "api_url is for flows with dpop = true; leave it out" or nil
  elseif given.variable then
    return "with dpop there are two headers; leave out variable"
  elseif not url then
    return "with dpop give api_url, where the API is, as https://api.example.com: proofs name it"
  end
  local parsed = core.parse_url(url)
  return (not parsed or parsed.query or parsed.fragment or url:find "/$")
    and "api_url must be like https://api.example.com, with nothing behind it" or nil
end

--- Raises where an option is wrong.
---@param given tokencache.UpstreamOptions|{ flow: tokencache.Flow }
---@return tokencache.Upstream
return function(given)
  local flow, problem
  if type(given) == "table" and given.flow then
    flow, problem = given.flow, problem_of_flow(given)
  else
    flow, problem = new_flow(given)
  end
  problem = problem or problem_of_proofs(flow, given)
  if problem then
    error("nginx.upstream: " .. problem, 2)
  end
  return setmetatable({ flow = flow, variable = given.variable, api_url = given.api_url,
    passed = flow.subject and flow.store and passed.new() or nil, trusted_until = 0, retry_at = 0,
    pause = LEAST_PAUSE }, metatable)
end
