--- tokencache: OAuth access tokens from a cache, renewed when that is due.

local lazy = require "tokencache.util.lazy"
local log = require "tokencache.log"
local observer = require "tokencache.observer"
local settings = require "tokencache.nginx.settings"

local tokencache = {
  _VERSION = "0.1.0",
}

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

tokencache.session = lazy("tokencache.session", {
  django = "tokencache.session.django",
  flask = "tokencache.session.flask",
  luasql = "tokencache.session.luasql",
  pgmoon = "tokencache.session.pgmoon",
})

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

tokencache.testing = lazy("tokencache.testing", {
  contract = "tokencache.testing.contract",
})

--- `tokencache.nginx.owed`: a lua_shared_dict, by which the workers know of each other's accounts.
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
