-- ID tokens in nginx: the signature is checked in the worker, and nobody is held up by the keys,
-- which the workers have from each other.

local core = require "tokencache._core"
local fake_endpoint = require "support.fake_endpoint"
local http = require "socket.http"
local json = require "tokencache.json"
local nginx = require "support.nginx"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"

local HTTP = [[
  lua_shared_dict owed 1m;
  lua_shared_dict tokens 1m;
  init_by_lua_block {
    tokencache = require "tokencache"
    answer = require("support.in_nginx").answer
    if "$OWED" == "yes" then
      tokencache.nginx.owed = ngx.shared.owed
    end
    flow = tokencache.flow.pkce {
      provider = { issuer = "$ISSUER", jwks_url = $KEYS }, client_id = "public", proxy = "",
      scope = "openid", redirect_uri = "http://127.0.0.1:8123/callback", timeout = 60,
      store = tokencache.store.shared_dict(ngx.shared.tokens),
    }
  }
]]

local SERVER = [[
  listen 127.0.0.1:$SPREAD reuseport;
  location /begin {
    content_by_lua_block {
      local url, pending = flow:get_authorize_url()
      ngx.say(require("tokencache.json").encode { url = url, pending = pending })
    }
  }
  location /finish {
    content_by_lua_block {
      local args = ngx.req.get_uri_args()
      local info, err = flow:exchange(args.url, args.pending, "user")
      answer(info and flow:account("user"):id_token_claims().sub .. " " .. ngx.worker.pid(), err)
    }
  }
  location /quick { content_by_lua_block { ngx.say("here") } }
]]

describe("in nginx an ID token", function()
  local provider, port, server

  setup(function() provider = oidc_provider.start() end)
  teardown(function() provider:stop() end)
  after_each(function() server:stop() end)

  local function start(workers, owed, keys)
    port = require("support.loopback").free_port()
    server = nginx.start { workers = workers, http = HTTP, server = SERVER, values = {
      ISSUER = provider.url, OWED = owed and "yes" or "no", SPREAD = tostring(port),
      KEYS = keys and ("%q"):format(keys) or "nil" } }
  end

  --- A user has logged in; the path that finishes it.
  local function log_in()
    local _, body = server:get("/begin", { port = port })
    local begun = assert(json.decode(body))
    return "/finish?" .. core.form_encode { "url", provider:login(begun.url, { user = "bob" }),
      "pending", begun.pending }
  end

  for owed, asked in pairs { [true] = 1, [false] = 2 } do
    it("is checked by keys that " .. (owed and "one worker asks for, by the shared dictionary"
      or "each worker asks for without a shared dictionary"), function()
      start(2, owed)
      local before, pids = provider:counts().keys, {}
      process.wait_until("a login by each worker", function()
        local _, body = server:get(log_in(), { port = port })
        pids[assert(body:match "^bob (%d+)\n$", body)] = true
        return next(pids, next(pids)) ~= nil
      end)
      assert.equal(before + asked, provider:counts().keys)
    end)
  end

  it("holds nobody up while the keys are waited for, which a broken connection does not end",
    function()
      local endpoint = fake_endpoint.start()
      start(1, false, endpoint:url "token")
      endpoint:behave "silent"
      endpoint:answer(200, (http.request(provider.url .. "/jwks")))
      local request = server:begin(log_in())
      process.wait_until("a request for the keys", function()
        return #endpoint:requests() == 1
      end)
      for _ = 1, 20 do
        assert.equal("here\n", (select(2, server:get("/quick", { port = port }))))
      end
      assert.is_false(request:is_answered())
      endpoint:close_connections()
      local _, body = request:finish()
      endpoint:stop()
      assert.matches("^bob %d+\n$", body)
    end)
end)
