--- Workers of one nginx that share the login of one user, at a real authorization server, for specs
--- of what comes of it when a store cannot be written, or a worker or a client goes away.
---
---     local stage = workers_with_login.start { store = "redis { port = 1234 }", workers = 2 }
---     local pid, text = stage:ask("/token")       -- by whichever worker: the token, or KIND: ...
---     stage:ask("/token", pid)                    -- by this one
---     stage:begin("/token?timeout=1"):finish()    -- not waited for
---     stage:expire()                              -- the token that is in the store
---     stage:entry().refresh_token                 -- what the store holds
---     stage:renewals()                            -- how many the provider was asked for
---     stage:stop()
---
--- Settings beside these: `owed = false` for no shared dictionary of debts; `login`, options of the
--- flow; `provider`, settings of support.oidc_provider; `clean_up`, called at the end; and http,
--- server, values of support.nginx.

local json = require "tokencache.json"
local loopback = require "support.loopback"
local merged = require "support.merged"
local nginx = require "support.nginx"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"
local tokencache = require "tokencache"

local workers_with_login = {}

local HTTP = [[
  lua_shared_dict owed 1m;
  lua_shared_dict tokens 100k;
  $MORE_HTTP
  init_by_lua_block {
    tokencache = require "tokencache"
    answer = require("support.in_nginx").answer
    local owed = $OWED
    tokencache.nginx.owed = owed and ngx.shared.owed or nil
    local s = tokencache.store
    store = s.$STORE
    account = tokencache.cache.from_store(store, "user")
    flow = tokencache.flow.authorization_code {
      provider = { authorize_url = "$URL/auth", token_url = "$URL/token", issuer = "$URL",
        revocation_url = "$URL/token/revocation" },
      client_id = "$ID", client_secret = "$SECRET", redirect_uri = "http://127.0.0.1:8080/callback",
      scope = "read", proxy = "", cache = account, authorize = false, $LOGIN
    }
    function call(method, ...) -- says by whom it is answered
      ngx.print(ngx.worker.pid(), " ")
      answer(method(flow, ...))
    end
    function options()
      return { timeout = tonumber(ngx.var.arg_timeout), refused = ngx.var.arg_refused }
    end
  }
]]

--- By the second port the kernel spreads connections over the workers.
local SERVER = [[
  listen 127.0.0.1:$SPREAD reuseport;
  rewrite_by_lua_block {
    if ngx.var.arg_by and tonumber(ngx.var.arg_by) ~= ngx.worker.pid() then
      ngx.print("another")
      return ngx.exit(200)
    end
  }
  location /token { content_by_lua_block { call(flow.get_access_token, options()) } }
  location /peek { content_by_lua_block { call(flow.peek_access_token) } }
  location /remove { content_by_lua_block { call(flow.remove, { timeout = 2 }) } }
  location /log_out { content_by_lua_block { call(flow.log_out, { timeout = 2 }) } }
  location /owing {
    content_by_lua_block {
      call(function() return require("tokencache.account.process").own.owing end)
    }
  }
  location /set {
    content_by_lua_block {
      ngx.req.read_body()
      answer(store:set("user", ngx.req.get_body_data()))
    }
  }
  location /get { content_by_lua_block { answer(store:get "user") } }
  location /debts { content_by_lua_block { answer(#ngx.shared.owed:get_keys()) } }
  $MORE_SERVER
]]

---@class WorkersWithLogin
---@field provider OidcProvider
---@field nginx Nginx
local Stage = {}
Stage.__index = Stage

---@param path string
---@param pid? integer  the worker that is to answer
---@return integer pid
---@return string text
function Stage:ask(path, pid)
  local url = pid and path .. (path:find("?", 1, true) and "&" or "?") .. "by=" .. pid or path
  local status, body
  process.wait_until("an answer by worker " .. tostring(pid), function()
    status, body = self.nginx:get(url, { port = self.port })
    return body ~= "another"
  end)
  assert(status == 200, body)
  local by, text = body:match("^(%d+) (.*)\n$")
  assert(by, body)
  return math.floor(tonumber(by)), text
end

---@param path string
---@return NginxRequest
function Stage:begin(path)
  return self.nginx:begin(path, { port = self.port })
end

function Stage:put(info)
  local _, body = self.nginx:get("/set", { method = "POST", body = json.encode(info) })
  assert(body == "true\n", body)
end

---@return tokencache.TokenInfo?
function Stage:entry()
  local _, body = self.nginx:get("/get")
  return body ~= "nil\n" and assert(json.decode(body)) or nil
end

function Stage:expire()
  local info = self:entry()
  info.expires_at = os.time() - 10
  self:put(info)
end

---@return integer
function Stage:renewals()
  return self.provider:counts().refresh_token or 0
end

--- Waits until the provider has begun to work on that many token requests since the start.
function Stage:wait_for_requests(count)
  process.wait_until("token request " .. count, function()
    return self.provider:token_requests() - self.before >= count
  end)
end

---@param pid integer
---@return integer
function Stage:owing(pid)
  return math.floor(tonumber((select(2, self:ask("/owing", pid)))))
end

--- Another worker than that.
function Stage:other(pid)
  for _, other in ipairs(self.nginx:worker_pids()) do
    if other ~= pid then
      return other
    end
  end
end

function Stage:stop()
  local ok, problem = pcall(self.nginx.stop, self.nginx)
  self.provider:stop()
  self.clean_up()
  assert(ok, problem)
end

---@param settings table
---@return WorkersWithLogin
function workers_with_login.start(settings)
  local self = setmetatable({ provider = oidc_provider.start(settings.provider),
    port = loopback.free_port(), clean_up = settings.clean_up or function() end }, Stage)
  local client = self.provider.clients.confidential
  self.nginx = nginx.start {
    workers = settings.workers or 2,
    http = HTTP,
    server = SERVER,
    main = settings.main,
    values = merged({
      URL = self.provider.url, ID = client.client_id, SECRET = client.client_secret,
      STORE = settings.store, OWED = tostring(settings.owed ~= false),
      LOGIN = settings.login or "", SPREAD = tostring(self.port),
      MORE_HTTP = settings.http or "", MORE_SERVER = settings.server or "",
    }, settings.values),
  }
  local cache = tokencache.cache.memory {}
  self.provider:log_in(cache, os.time())
  self:put(cache:get_cached_token())
  self:expire()
  self.before = self.provider:token_requests()
  return self
end

return workers_with_login
