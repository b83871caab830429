-- A provider that is known by its issuer, in nginx: nobody is held up by its document, one request
-- of a worker asks for it, and the workers tell each other what it says.

local fake_endpoint = require "support.fake_endpoint"
local nginx = require "support.nginx"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"

local HTTP = [[
  lua_shared_dict owed 1m;
  init_by_lua_block {
    tokencache = require "tokencache"
    local in_nginx = require "support.in_nginx"
    answer = in_nginx.answer
    if "$OWED" == "yes" then
      tokencache.nginx.owed = ngx.shared.owed
    end
    provider = { issuer = "$ISSUER" }
    function new_flow(http)
      return in_nginx.new_flow(nil, tokencache.cache.memory {}, { provider = provider, http = http,
        scope = "read", client_id = "basic", client_secret = "basic-secret-8d1f" })
    end
    flow = new_flow()
  }
]]

local SERVER = [[
  listen 127.0.0.1:$SPREAD reuseport;
  location /token {
    content_by_lua_block {
      local token, err = flow:get_access_token()
      answer(token and tostring(ngx.worker.pid()), err)
    }
  }
  location /many {
    content_by_lua_block { answer(new_flow():get_access_token()) }
  }
  location /resty {
    content_by_lua_block {
      package.path = "$ROOT/tests/vendor/lua-resty-http/?.lua;" .. package.path
      package.loaded["resty.string"] = {} -- for client certificates alone
      answer(new_flow(require("tokencache.transport.resty_http").new()):get_access_token())
    }
  }
  location /login {
    content_by_lua_block {
      answer(tokencache.flow.pkce({ provider = provider, client_id = "public",
        redirect_uri = "http://127.0.0.1:8123/callback",
        cache = tokencache.cache.memory {} }):get_authorize_url())
    }
  }
  location /quick { content_by_lua_block { ngx.say("here") } }
]]

describe("in nginx a provider's metadata", function()
  local provider, port, server

  setup(function()
    provider = oidc_provider.start()
  end)

  teardown(function()
    provider:stop()
  end)

  after_each(function()
    server:stop()
  end)

  local function start(workers, issuer, owed, thread_pool)
    port = require("support.loopback").free_port()
    server = nginx.start { workers = workers, http = HTTP, server = SERVER,
      thread_pool = thread_pool,
      values = { ISSUER = issuer, OWED = owed and "yes" or "no", SPREAD = tostring(port) } }
  end

  local function ask(path, pattern)
    local _, body = server:get(path, { port = port })
    assert.matches(pattern, body)
    return body
  end

  it("holds nobody up while it is waited for", function()
    local endpoint = fake_endpoint.start()
    start(1, endpoint:url("silent"))
    local request = server:begin("/token")
    process.wait_until("a request for the document", function()
      return #endpoint:requests() == 1
    end)
    for _ = 1, 20 do
      ask("/quick", "^here\n$")
    end
    assert.is_false(request:is_answered())
    endpoint:close_connections()
    local _, body = request:finish()
    endpoint:stop()
    assert.matches("^transient: .*/silent/%.well%-known/openid%-configuration", body)
  end)

  it("is asked for by one of many requests at once", function()
    start(1, provider.url)
    local before, requests = provider:counts().metadata, {}
    for i = 1, 20 do
      requests[i] = server:begin("/many")
    end
    for _, request in ipairs(requests) do
      local _, body = request:finish()
      assert.matches("^[%w_-]+\n$", body)
    end
    ask("/login", "^http://127%.0%.0%.1:%d+/auth%?client_id=public")
    assert.equal(before + 1, provider:counts().metadata)
  end)

  it("is read over lua-resty-http too", function()
    start(1, provider.url)
    ask("/resty", "^[%w_-]+\n$")
  end)

  it("cannot be had without a thread pool, which is all that the error is about", function()
    start(1, provider.url, false, false)
    local body = ask("/token", "add \"thread_pool tokencache threads=16;\" at the top level of "
      .. "nginx%.conf, outside of http {}")
    assert.is_nil(body:find("check issuer", 1, true), body)
  end)

  for owed, asked in pairs { [true] = 1, [false] = 2 } do
    it("is asked for by " .. (owed and "one worker, by way of the shared dictionary"
      or "each worker without a shared dictionary"), function()
      start(2, provider.url, owed)
      local before, pids = provider:counts().metadata, {}
      process.wait_until("a token from each worker", function()
        pids[ask("/token", "^%d+\n$")] = true
        return next(pids, next(pids)) ~= nil
      end)
      assert.equal(before + asked, provider:counts().metadata)
    end)
  end
end)
