--- A real authorization server, npm's oidc-provider, for the length of a spec.
---
---     local server = oidc_provider.start { token_lifetime = 2 }
---     local server = oidc_provider.at(url)   -- the same one, in another process
---     server.provider          -- for a flow: token_url, authorize_url, revocation_url and issuer
---     server.token_url         -- http://127.0.0.1:PORT/token
---     server.clients.basic     -- { client_id=, client_secret= }; likewise post and odd
---     server.clients.confidential, server.clients.public, server.clients.ES256, PS256
---                              -- for logins, at http://127.0.0.1:ANY/callback or [::1]
---     server:options("public", { scope = "read" })  -- of a flow that is that client
---     server:token_requests()  -- how many its token endpoint has had
---     server:counts()          -- the same by grant type; `authorize`: logins begun; `metadata`,
---                              -- `keys`
---     server:login(url)        -- goes through the login pages; the URL that they end at
---     server:log_in(cache, now)    -- a login of the confidential client, put into a cache
---     server:introspect(token).active
---     server:has_given(token)          -- it is active, or was until its time was over
---     server:owner(token)              -- "alice"
---     server:revoke(refresh_token)
---     server:log_out("alice")          -- at the provider, where the last login has been
---     server:tell_logouts(uri)         -- of the confidential client, by back-channel logout
---     server:next_token { status = 503, error = "server_error" }, { lost = true }, { held = true }
---     server:release()
---     server:stop()

local http = require "socket.http"
local json = require "tokencache.json"
local ltn12 = require "ltn12"
local merged = require "support.merged"
local mime = require "mime"
local node_server = require "support.node_server"
local query = require "support.query"
local tokencache = require "tokencache"

local oidc_provider = {}

---@class OidcProvider
---@field url string        the issuer
---@field token_url string
---@field provider tokencache.Provider
---@field clients table<string, { client_id: string, client_secret?: string }>
local OidcProvider = {}
OidcProvider.__index = OidcProvider

---@param settings? { token_lifetime?: integer, refresh_token_lifetime?: integer,
---   device_interval?: number }  seconds; an hour, a day, and unsaid unless told
---@return OidcProvider
function oidc_provider.start(settings)
  local server = node_server.start("oidc_provider", settings)
  local self = oidc_provider.at(server.ready)
  self.server = server
  return self
end

---@param url string
---@return OidcProvider  one that has been started elsewhere
function oidc_provider.at(url)
  return setmetatable({
    url = url,
    token_url = url .. "/token",
    provider = { authorize_url = url .. "/auth", token_url = url .. "/token",
      revocation_url = url .. "/token/revocation",
      introspection_url = url .. "/token/introspection",
      userinfo_url = url .. "/me", end_session_url = url .. "/session/end",
      jwks_url = url .. "/jwks", issuer = url,
      device_authorization_url = url .. "/device/auth" },
    clients = {
      basic = { client_id = "basic", client_secret = "basic-secret-8d1f" },
      post = { client_id = "post", client_secret = "post-secret-27ae" },
      odd = { client_id = "odd:client/%", client_secret = "odd +secret&=:%20" },
      public = { client_id = "public" },
      ES256 = { client_id = "ES256" },
      PS256 = { client_id = "PS256" },
      confidential = { client_id = "confidential", client_secret = "confidential-secret-51c9" },
    },
  }, OidcProvider)
end

--- Options of a flow that is the client of that name, over a cache of its own in memory.
---@param name string
---@param ... table  options besides and instead, the last ones first
---@return table
function OidcProvider:options(name, ...)
  local client = self.clients[name]
  return merged({
    provider = self.provider,
    client_id = client.client_id,
    client_secret = client.client_secret,
    cache = tokencache.cache.memory {},
  }, ...)
end

---@param name string      of the control
---@param options? table   its query
---@param body? string     then it is a POST
function OidcProvider:control(name, options, body)
  local answer, status = http.request(
    ("%s/test/%s?%s"):format(self.url, name, query.write(options)), body)
  assert(status == 200, answer)
  return answer
end

---@return integer
function OidcProvider:token_requests()
  return tonumber(self:control("token_requests"))
end

---@return { authorize: integer, metadata: integer, keys: integer, revocations: integer,
---   authorization_code?: integer, refresh_token?: integer }
function OidcProvider:counts()
  return assert(json.decode(self:control("counts")))
end

--- What a person at a browser would do: log in and consent.
---@param authorize_url string  or a device's verification_uri_complete
---@param options? { user?: string, deny?: boolean, browser?: string }  browser: a name; logs in
---   without pages from the second time on
---@return string response_url  where the browser is sent to; or what a device's page says
function OidcProvider:login(authorize_url, options)
  return self:control("login", options, authorize_url)
end

--- A login of the confidential client, put into a cache.
---@param cache table|userdata  a cache handler
---@param now number  Unix seconds
function OidcProvider:log_in(cache, now)
  local flow = tokencache.flow.authorization_code(self:options("confidential", {
    redirect_uri = "http://127.0.0.1:8080/callback",
    scope = "read",
    cache = cache,
    clock = function() return now end,
    authorize = false,
  }))
  local url, pending = flow:get_authorize_url()
  assert(flow:exchange(self:login(url), pending))
end

--- What the server says of an access token (RFC 7662).
---@param token string
---@return { active: boolean, client_id?: string, scope?: string, exp?: integer }
function OidcProvider:introspect(token)
  local body, answer, client = "token=" .. token, {}, self.clients.basic
  local ok, status = http.request {
    method = "POST",
    url = self.token_url .. "/introspection",
    source = ltn12.source.string(body),
    sink = ltn12.sink.table(answer),
    headers = {
      ["Content-Length"] = #body,
      ["Content-Type"] = "application/x-www-form-urlencoded",
      Authorization = "Basic " .. mime.b64(client.client_id .. ":" .. client.client_secret),
    },
  }
  assert(ok and status == 200, status)
  return assert(json.decode(table.concat(answer)))
end

--- Whether it has given this access token, which may have ended on the way here by its time alone.
---@param token string
---@return boolean
function OidcProvider:has_given(token)
  return self:introspect(token).active or self:control("ended", { token = token }) ~= ""
end

--- Whose a token is, as the server says, that was got for the scope openid.
---@param token string
---@return string
function OidcProvider:owner(token)
  local answer = {}
  local _, status = http.request { url = self.url .. "/me",
    headers = { authorization = "Bearer " .. token }, sink = ltn12.sink.table(answer) }
  assert(status == 200, status)
  return json.decode(table.concat(answer)).sub
end

--- Ends the login that a refresh token is of, at the server alone.
---@param refresh_token string
function OidcProvider:revoke(refresh_token)
  self:control("revoke", nil, refresh_token)
end

--- Decides what comes of the next token request: an answer in place of its being processed; with
--- `lost` its being processed and no answer; with `held` its being processed once it is released.
---@param fault { status?: integer, error?: string, lost?: boolean, held?: true }
function OidcProvider:next_token(fault)
  self:control("next_token", fault, "")
end

--- Has the token request processed that is held; it must have come.
function OidcProvider:release()
  self:control("release", nil, "")
end

--- Logs out of the provider, in the browser that the user has logged in by last.
---@param user string
function OidcProvider:log_out(user)
  self:control("log_out", { user = user }, "")
end

--- Changes a client, or makes one that asks for itself.
---@param changes table  of its metadata (OpenID Connect Dynamic Client Registration §2)
---@param id? string     default: the confidential one
function OidcProvider:change_client(changes, id)
  self:control("client", { id = id }, assert(json.encode(changes)))
end

--- Has the confidential client told of logouts.
---@param uri string
---@param by_sessions? boolean  else by users
function OidcProvider:tell_logouts(uri, by_sessions)
  self:change_client { backchannel_logout_uri = uri,
    backchannel_logout_session_required = by_sessions or false }
end

--- Makes it leave all requests without an answer; false: those are dropped, and it is back.
---@param is_silent boolean
function OidcProvider:be_silent(is_silent)
  self:control("silent", { on = is_silent and 1 or 0 }, "")
end

--- Of the access tokens that it gives from now on.
---@param seconds integer
function OidcProvider:set_token_lifetime(seconds)
  self:control("token_lifetime", { seconds = seconds }, "")
end

function OidcProvider:stop()
  self.server:stop()
end

return oidc_provider
