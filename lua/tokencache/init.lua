--- tokencache: OAuth access tokens from a cache, renewed when that is due.

local lazy = require "tokencache.lazy"
local log = require "tokencache.log"
local observer = require "tokencache.observer"

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
  shared_dict = "tokencache.store.shared_dict",
  tiered = "tokencache.store.tiered",
})

tokencache.flow = lazy("tokencache.flow", {
  client_credentials = "tokencache.flow.client_credentials",
  authorization_code = "tokencache.flow.authorization_code",
  pkce = "tokencache.flow.pkce",
  implicit = "tokencache.flow.implicit",
})

tokencache.provider = lazy("tokencache.provider", {
  spotify = "tokencache.provider.spotify",
})

tokencache.testing = lazy("tokencache.testing", {
  contract = "tokencache.testing.contract",
})

tokencache.set_logger = log.set_logger
tokencache.set_observer = observer.set_observer

return tokencache
