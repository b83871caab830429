-- Puts an access token into requests on their way to an API. One of nginx's workers renews it
-- before it ends; all of them find it in a shared dictionary, and after a restart in a file.
local tokencache = require "tokencache"

local cache, store = tokencache.cache, tokencache.store
local token_url = os.getenv "TOKEN_URL"

local flow = tokencache.flow.client_credentials {
  provider = token_url and { token_url = token_url } or tokencache.provider.spotify,
  client_id = os.getenv "CLIENT_ID",
  client_secret = os.getenv "CLIENT_SECRET",
  scope = os.getenv "SCOPE",
  cache = cache.tiered {
    front = cache.from_store(store.shared_dict(ngx.shared.tokens, { evict = true }), "gateway"),
    back = cache.file { cache_path = ngx.config.prefix() .. "token.json" },
    -- Where there are several machines: back = cache.redis { host = "...", key = "gateway" }
  },
}

local gateway = {}

-- For init_worker_by_lua.
function gateway.keep_fresh()
  local ok, err = flow:keep_fresh()
  if not ok then
    error(tostring(err)) -- nginx shows strings only
  end
end

-- For set_by_lua, which cannot wait; without a fresh token it returns nothing.
function gateway.fresh_token()
  return (flow:peek_access_token())
end

-- For access_by_lua, which can.
function gateway.get_token()
  local token, err = flow:get_access_token()
  if token then
    ngx.var.access_token = token
    return
  end
  ngx.log(ngx.ERR, err.kind, ": ", err)
  local passes = err.kind == "transient" or err.kind == "timeout" or err.kind == "cache"
  ngx.header["Retry-After"] = passes and math.ceil(err.retry_after or 1) or nil
  return ngx.exit(passes and 503 or 500)
end

return gateway
