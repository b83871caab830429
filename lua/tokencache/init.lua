--- tokencache: OAuth access tokens from a cache, renewed when that is due.

local lazy = require "tokencache.util.lazy"
local log = require "tokencache.log"
local observer = require "tokencache.observer"
local settings = require "tokencache.nginx.settings"

--- A member of one of these tables is a line in its class, which editors read, and one below.

local tokencache = {
  _VERSION = "0.2.0",
}

---@class tokencache.Caches
---@field file fun(opts?: tokencache.FileOptions): tokencache.StoreHandler
---@field memory fun(opts?: tokencache.MemoryOptions): tokencache.Handler
---@field django_session fun(opts: tokencache.DjangoHandlerOptions): tokencache.Handler
---@field flask_session fun(opts: tokencache.SessionHandlerOptions): tokencache.Handler
---@field resty_session fun(opts: tokencache.SessionHandlerOptions): tokencache.Handler
---@field redis fun(opts?: tokencache.RedisCacheOptions): tokencache.StoreHandler
---@field from_store fun(store: tokencache.Store, key: string|string[],
---   opts?: tokencache.FromStoreOptions): tokencache.StoreHandler
---@field memcached fun(opts?: tokencache.MemcachedCacheOptions): tokencache.StoreHandler
---@field tiered fun(opts: tokencache.TieredOptions): tokencache.TieredHandler
tokencache.cache = lazy("tokencache.cache", {
  file = "tokencache.cache.file",
  memory = "tokencache.cache.memory",
  django_session = "tokencache.cache.django_session",
  flask_session = "tokencache.cache.flask_session",
  resty_session = "tokencache.cache.resty_session",
  redis = "tokencache.cache.redis",
  from_store = "tokencache.cache.from_store",
  memcached = "tokencache.cache.memcached",
  tiered = "tokencache.cache.tiered",
})

---@class tokencache.Stores
---@field encrypted fun(store: tokencache.Store,
---   opts: tokencache.EncryptionOptions): tokencache.EncryptedStore
---@field file fun(opts: tokencache.FileStoreOptions): tokencache.FileStore
---@field memcached fun(opts?: tokencache.MemcachedOptions): tokencache.MemcachedStore
---@field memory fun(opts?: tokencache.MemoryStoreOptions): tokencache.MemoryStore
---@field redis fun(opts?: tokencache.RedisOptions): tokencache.RedisStore
---@field secret_service fun(opts?: tokencache.SecretServiceOptions): tokencache.SecretServiceStore
---@field shared_dict fun(dict: table,
---   opts?: tokencache.SharedDictOptions): tokencache.SharedDictStore
---@field tiered fun(opts: tokencache.TieredStoreOptions): tokencache.TieredStore
tokencache.store = lazy("tokencache.store", {
  encrypted = "tokencache.store.encrypted",
  file = "tokencache.store.file",
  memcached = "tokencache.store.memcached",
  memory = "tokencache.store.memory",
  redis = "tokencache.store.redis",
  secret_service = "tokencache.store.secret_service",
  shared_dict = "tokencache.store.shared_dict",
  tiered = "tokencache.store.tiered",
})

---@class tokencache.Sessions
---@field django fun(opts: tokencache.DjangoSessionOptions): tokencache.Session?, tokencache.Error?
---@field flask fun(opts: tokencache.FlaskSessionOptions): tokencache.Session?, tokencache.Error?
---@field luasql fun(opts: tokencache.LuaSqlOptions): tokencache.SessionDatabase
---@field pgmoon fun(opts: tokencache.PgmoonOptions): tokencache.SessionDatabase
tokencache.session = lazy("tokencache.session", {
  django = "tokencache.session.django",
  flask = "tokencache.session.flask",
  luasql = "tokencache.session.luasql",
  pgmoon = "tokencache.session.pgmoon",
})

---@class tokencache.Flows
---@field client_credentials fun(opts: tokencache.FlowOptions): tokencache.Flow
---@field authorization_code fun(opts: tokencache.AuthorizationCodeOptions): tokencache.UserFlow
---@field pkce fun(opts: tokencache.UserFlowOptions): tokencache.UserFlow
---@field device fun(opts: tokencache.LoginOptions): tokencache.DeviceFlow
---@field implicit fun(opts: tokencache.UserFlowOptions): tokencache.UserFlow
---@field jwt_bearer fun(opts: tokencache.JwtBearerOptions): tokencache.Flow
---@field token_exchange fun(opts: tokencache.TokenExchangeOptions): tokencache.TokenExchangeFlow
---@field grant fun(opts: tokencache.GrantOptions): tokencache.Flow
tokencache.flow = lazy("tokencache.flow", {
  client_credentials = "tokencache.flow.client_credentials",
  authorization_code = "tokencache.flow.authorization_code",
  pkce = "tokencache.flow.pkce",
  device = "tokencache.flow.device",
  implicit = "tokencache.flow.implicit",
  jwt_bearer = "tokencache.flow.jwt_bearer",
  token_exchange = "tokencache.flow.token_exchange",
  grant = "tokencache.flow.grant",
})

---@class tokencache.Providers
---@field atlassian tokencache.Provider
---@field auth0 fun(opts: { domain: string }): tokencache.Provider
---@field discord tokencache.Provider
---@field dropbox tokencache.Provider
---@field github tokencache.Provider
---@field gitlab tokencache.Provider|fun(opts: { host?: string }): tokencache.Provider
---@field google tokencache.Provider
---@field keycloak fun(opts: { host: string, realm: string }): tokencache.Provider
---@field microsoft tokencache.Provider|fun(opts: { tenant?: string }): tokencache.Provider
---@field okta fun(opts: { domain: string, server?: string|false }): tokencache.Provider
---@field reddit tokencache.Provider
---@field slack tokencache.Provider
---@field spotify tokencache.Provider
---@field strava tokencache.Provider
---@field twitch tokencache.Provider
---@field zoom tokencache.Provider
tokencache.provider = lazy("tokencache.provider", {
  atlassian = "tokencache.provider.atlassian",
  auth0 = "tokencache.provider.auth0",
  discord = "tokencache.provider.discord",
  dropbox = "tokencache.provider.dropbox",
  github = "tokencache.provider.github",
  gitlab = "tokencache.provider.gitlab",
  google = "tokencache.provider.google",
  keycloak = "tokencache.provider.keycloak",
  microsoft = "tokencache.provider.microsoft",
  okta = "tokencache.provider.okta",
  reddit = "tokencache.provider.reddit",
  slack = "tokencache.provider.slack",
  spotify = "tokencache.provider.spotify",
  strava = "tokencache.provider.strava",
  twitch = "tokencache.provider.twitch",
  zoom = "tokencache.provider.zoom",
})

---@class tokencache.Testing
---@field contract fun(make_handler: (fun(name: string): table|userdata),
---   opts?: tokencache.ContractOptions)
tokencache.testing = lazy("tokencache.testing", {
  contract = "tokencache.testing.contract",
})

--- `tokencache.nginx.owed`: a lua_shared_dict, by which the workers know of each other's accounts.
---@type tokencache.NginxSettings
tokencache.nginx = settings

tokencache.set_logger = log.set_logger

--- Bounds what the process remembers of its accounts; what it owes to stores is never dropped.
---@param count integer  default 10,000
function tokencache.set_max_accounts(count)
  if type(count) ~= "number" or count < 1 or count % 1 ~= 0 then
    error("set_max_accounts: a whole number above zero expected, not "
      .. require("tokencache.util.in_words")(count, true), 2)
  end
  require("tokencache.account.process").own:set_limit(count)
end
tokencache.set_observer = observer.set_observer

return tokencache
