-- What a program shows of the objects that it holds, in a debugger or in a log, has no credential
-- in it: whatever pairs() and metatables lead to is looked at.

local fake_endpoint = require "support.fake_endpoint"
local folder = require "support.folder"
local log = require "tokencache.log"
local memcached_server = require "support.memcached_server"
local redis_server = require "support.redis_server"
local tokencache = require "tokencache"

local CLIENT_SECRET, PENDING_KEY = "client-secret-4711", "pending-key-4711-4711"
local PASSWORD, SEAL = "redis-password-4711", "encryption-key-4711"
local HEADER_KEY = "header-key-4711"
local STATE, PROXY_WORD = "state-4711-4711", "proxy-word-4711"

--- The way to a text that has one of the secrets in it, which are found in keys, too.
local function find(value, secrets, way, seen)
  if type(value) == "string" then
    for _, secret in ipairs(secrets) do
      if value:find(secret, 1, true) then
        return way
      end
    end
    return nil
  end
  local metatable = debug.getmetatable(value)
  if seen[value] or type(value) == "function" then
    return nil
  end
  seen[value] = true
  local found = metatable and find(metatable, secrets, way .. "<metatable>", seen)
  if found or type(value) ~= "table" then
    return found
  end
  for name, member in next, value do
    found = find(name, secrets, way .. "<key>", seen)
      or find(member, secrets, way .. "." .. tostring(name), seen)
    if found then
      return found
    end
  end
end

local function expect_clean(objects, ...)
  local secrets = { CLIENT_SECRET, PENDING_KEY, PASSWORD, SEAL, STATE, PROXY_WORD,
    HEADER_KEY, ... }
  for name, object in pairs(objects) do
    local way = find(object, secrets, name, {})
    assert(way == nil, way and "a secret at " .. way)
  end
end

describe("no credential is found by walking through", function()
  local directory, endpoint, memcached, redis, stores

  setup(function()
    directory, endpoint = folder.new(), fake_endpoint.start()
    memcached, redis = memcached_server.start(), redis_server.start { "--requirepass", PASSWORD }
    local function new_redis()
      return tokencache.store.redis { port = redis.port, password = PASSWORD, username = "default" }
    end
    stores = {
      memory = function() return tokencache.store.memory {} end,
      file = function() return tokencache.store.file { directory = directory.path } end,
      memcached = function()
        return tokencache.store.memcached { servers = { memcached.address } }
      end,
      redis = new_redis,
      encrypted = function()
        return tokencache.store.encrypted(new_redis(), { keys = { one = SEAL }, use = "one" })
      end,
      tiered = function()
        return tokencache.store.tiered { front = tokencache.store.memory {}, back = new_redis() }
      end,
    }
  end)

  teardown(function()
    memcached:stop()
    redis:stop()
    endpoint:stop()
    directory:remove()
  end)

  before_each(function()
    log.set_logger(false)
    endpoint:clear()
  end)
  after_each(function() log.set_logger(nil) end)

  local function new_flow(options)
    local url = endpoint:url("token")
    options.provider = { token_url = url, authorize_url = url,
      headers = { ["X-Key"] = HEADER_KEY } }
    options.client_id, options.client_secret = "c", CLIENT_SECRET
    options.proxy = options.proxy or ""
    options.redirect_uri, options.pkce = "https://app.example/callback", true
    options.state, options.pending_key = STATE, PENDING_KEY
    return tokencache.flow.authorization_code(options)
  end

  for _, name in ipairs { "memory", "file", "memcached", "redis", "encrypted", "tiered" } do
    it("a flow over store." .. name .. ", its account, handler and errors", function()
      local store = stores[name]()
      local flow = new_flow { store = store }
      local account = flow:account "user"
      local url, pending = flow:get_authorize_url()
      local verifier = url:match "code_challenge=([%w_-]+)"
      endpoint:answer(200, { access_token = "a", refresh_token = "r", expires_in = 3600 })
      assert(account:exchange("https://app.example/callback?code=code-1&state=" .. STATE, pending))
      assert(account:get_access_token())
      endpoint:clear()
      endpoint:answer(400, { error = "invalid_scope", error_description = CLIENT_SECRET })
      local _, err = account:refresh_access_token()
      assert.equal("config", err and err.kind)
      expect_clean({ flow = flow, account = account, store = store, error = err,
        handler = tokencache.cache.from_store(store, "user") }, pending, verifier)
    end)
  end

  it("the session of a framework, and its handler", function()
    local opts = { secret_key = { SEAL, CLIENT_SECRET }, store = stores.redis() }
    for _, store in ipairs { opts.store, false } do
      opts.store = store or nil
      local session = assert(tokencache.session.flask(opts))
      local cache = tokencache.cache.flask_session { session = session }
      assert(cache:save_token_to_cache { access_token = "a", refresh_token = "r" })
      assert(session:set_cookie())
      local _, err = tokencache.session.flask { secret_key = SEAL, cookie = SEAL }
      expect_clean { session = session, cache = cache, error = err }
    end
  end)

  it("handlers and a flow behind a proxy", function()
    local word = "http://user:" .. PROXY_WORD .. "@127.0.0.1:1"
    local cache = tokencache.cache.redis { port = redis.port, password = PASSWORD }
    local flow = new_flow { cache = cache, proxy = word }
    assert(flow:get_authorize_url())
    local _, err = flow:get_access_token {
      response_url = "https://app.example/callback?code=code-1&state=" .. STATE }
    assert.equal("transient", err.kind, err)
    expect_clean { flow = flow, cache = cache, error = err,
      transport = require("tokencache.transport.curl").new { proxy = word } }
  end)
end)
