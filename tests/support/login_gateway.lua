--- A real nginx with tokencache.nginx.login, an application behind it, and browsers.
---
---     local gateway = login_gateway.start(provider, { lifetime = 5 })
---                     -- options: Lua source, or numbers and booleans; settings of support.nginx
---     local browser = gateway:new_browser()
---     browser:get("/things")                   -- { status=, body=, headers=, cookies= }
---     browser:request("POST", "/auth/logout", { Origin = gateway.url })
---     browser:go_to_provider("/things", { user = "bob" })   -- the path it comes back by
---     browser:log_in("alice"[, path])
---     browser:user()                           -- "alice": what the application was told
---     browser:told("X-Mail")                   -- the same, by the header's name
---     gateway:entry(browser)                   -- its token_info
---     gateway:change_entry(browser, { authorized_at = 1 })
---     gateway:advance(0.5)                     -- the clock of all workers
---     gateway:files()                          -- where sessions are kept, one a line
---     gateway:stop()

local digest = require("tokencache.key").digest
local json = require "tokencache.json"
local loopback = require "support.loopback"
local merged = require "support.merged"
local nginx = require "support.nginx"
local process = require "support.process"

local login_gateway = {}


local HTTP = [[
  lua_shared_dict tokencache 10m;
  lua_shared_dict clock 16k;
  init_by_lua_block {
    local real, clock = ngx.now, ngx.shared.clock
    function ngx.now() return real() + (clock:get "ahead" or 0) end
    function ngx.time() return math.floor(ngx.now()) end
    tokencache = require "tokencache"
    os.execute("mkdir -p -m 700 " .. ngx.config.prefix() .. "sessions")
    gateway = tokencache.nginx.login { $OPTIONS }
  }
  underscores_in_headers on;
  ignore_invalid_headers off;
  server {
    listen 127.0.0.1:$APPLICATION;
    location = /forget {
      content_by_lua_block {
        local dict = ngx.shared.tokencache
        for _, key in ipairs(dict:get_keys(0)) do
          if key:find "^session:" then dict:delete(key) end
        end
      }
    }
    location = /trusted_for {
      content_by_lua_block {
        local dict, most = ngx.shared.tokencache, 0
        for _, key in ipairs(dict:get_keys(0)) do
          if key:find "^session:" or key:find "^login%-left:" then
            local left = dict:ttl(key) or 0 -- nil: it is gone; 0: it stays
            most = math.max(most, left == 0 and dict:get(key) and math.huge or left)
          end
        end
        ngx.print(most)
      }
    }
    location = /later {
      content_by_lua_block {
        ngx.shared.clock:incr("ahead", tonumber(ngx.var.arg_seconds), 0)
      }
    }
    location / {
      content_by_lua_block {
        ngx.status = tonumber(ngx.var.arg_status) or 200
        ngx.header["WWW-Authenticate"] = ngx.var.arg_scheme
        ngx.print((ngx.req.raw_header()))
      }
    }
  }
]]

local SERVER = [[
  location /auth/ { content_by_lua_block { gateway:serve() } }
  location / {
    access_by_lua_block { gateway:require_user() }
    header_filter_by_lua_block { gateway:header_filter() }
    proxy_pass http://127.0.0.1:$APPLICATION;
  }
]]

local function source(value)
  return type(value) == "string" and value or tostring(value)
end

--- Options by name as Lua source.
local function in_lua(options)
  local list = {}
  for name, value in pairs(options) do
    list[#list + 1] = ("%s = %s"):format(name, source(value))
  end
  return table.concat(list, ", ")
end

---@class LoginGatewayServer
---@field server Nginx
---@field url string
---@field application integer  its port
local Gateway = {}
Gateway.__index = Gateway

local Browser = {}
Browser.__index = Browser

local function value_of(set_cookie)
  return set_cookie:match("^[^=]*=([^;]*)")
end

--- For the header Cookie.
---@return string?
function Browser:cookie_header()
  local cookies = {}
  for name, value in pairs(self.cookies) do
    cookies[#cookies + 1] = name .. "=" .. value
  end
  return cookies[1] and table.concat(cookies, "; ")
end

--- Keeps cookies, whatever their paths.
function Browser:request(method, path, headers)
  local answer = self.gateway:request(method, path, merged({ Accept = "text/html",
    Cookie = self:cookie_header() }, headers))
  for name, cookie in pairs(answer.cookies) do
    self.cookies[name] = not cookie:find("Max-Age=0", 1, true) and value_of(cookie) or nil
  end
  return answer
end

function Browser:get(path, headers)
  return self:request("GET", path, headers)
end

--- A form of a page of the gateway's.
function Browser:post(path)
  return self:request("POST", path, { Origin = self.gateway.url })
end

function Browser:go_to_provider(path, options)
  local answer = self:get(path or "/")
  assert(answer.status == 303 or answer.status == 302, answer.body) -- 302: a peer of the bench
  local url = self.provider:login(answer.headers.location, options)
  assert(url:sub(1, #self.gateway.url) == self.gateway.url, url)
  return url:sub(#self.gateway.url + 1)
end

function Browser:log_in(user, path)
  local answer = self:get(self:go_to_provider(path, { user = user }))
  assert(answer.headers.location, answer.body)
  return answer
end

--- What the application is told in a header; nil: nothing, or it is not reached.
function Browser:told(name, headers)
  local body = self:get("/", headers).body:lower()
  return body:match("\r\n" .. name:lower():gsub("%-", "%%-") .. ": ([^\r]*)")
end

function Browser:user()
  return self:told("X-User")
end

---@param gateway { url: string, request: function }  such as an NginxExample
---@param provider OidcProvider
---@return table
function login_gateway.new_browser(gateway, provider)
  return setmetatable({ gateway = gateway, provider = provider, cookies = {} }, Browser)
end

---@return table
function Gateway:new_browser()
  return login_gateway.new_browser(self, self.provider)
end

function Gateway:request(method, path, headers)
  local answer = {}
  answer.status, answer.body, answer.headers, answer.cookies = self.server:get(path,
    { method = method, headers = headers, body = method == "POST" and "" or nil })
  return answer
end

local function path_of_entry(self, browser)
  local issuer, client_id = self.provider.url, self.provider.clients.confidential.client_id
  local place = digest(("%d:%s0:0:%d:%s"):format(#issuer, issuer, #client_id, client_id))
  local id = digest(place .. browser.cookies.tokencache)
  return self.server.directory .. "/sessions/session%3a" .. id .. ".token"
end

---@return table? info  nil: the session is not there any more
function Gateway:entry(browser)
  local text = process.read_file(path_of_entry(self, browser))
  return text and json.decode(text)
end

--- A worker may remember it as it was for a second.
---@param changes? table  nil: it is removed
function Gateway:change_entry(browser, changes)
  local path = path_of_entry(self, browser)
  if changes then
    process.write_file(path, assert(json.encode(merged(self:entry(browser), changes))))
  else
    assert(os.remove(path))
  end
  assert(self.server:get("/forget", { port = self.application }) == 200)
end

--- Seconds for which what is in the dictionary of sessions, and of who has left, will be believed.
---@return number  0: there is none
function Gateway:trusted_for()
  return tonumber((select(2, self.server:get("/trusted_for", { port = self.application }))))
end

--- Shared dictionaries, and flows without `clock = "ngx.now"`, have another clock, which stays as
--- it is.
---@param seconds number
function Gateway:advance(seconds)
  assert(self.server:get("/later?seconds=" .. seconds, { port = self.application }) == 200)
end

function Gateway:files()
  local _, list = process.run { "ls", self.server.directory .. "/sessions" }
  return list
end

function Gateway:stop()
  self.server:stop()
end

---@param provider OidcProvider
---@param options? table<string, any>  of the gateway, as Lua source
---@param where? table  settings of support.nginx
---@return LoginGatewayServer
function login_gateway.start(provider, options, where)
  where = where or {}
  local client, port = provider.clients.confidential, loopback.free_port()
  local application = loopback.free_port()
  local url = "http://127.0.0.1:" .. port
  local server = nginx.start(merged(where, {
    port = port,
    http = HTTP .. (where.http or ""),
    server = where.server or SERVER,
    init_worker = "gateway:init_worker() " .. (where.init_worker or ""),
    values = merged({
      APPLICATION = tostring(application),
      OPTIONS = in_lua(merged({
        issuer = ("%q"):format(provider.url),
        client_id = ("%q"):format(client.client_id),
        client_secret = ("%q"):format(client.client_secret),
        public_url = ("%q"):format(url),
        store = "tokencache.store.file { directory = ngx.config.prefix() .. 'sessions' }",
      }, options)),
    }, where.values),
  }))
  return login_gateway.at(server, provider, application)
end

--- A gateway of another make, for the same browsers.
---@param server Nginx
---@param provider OidcProvider
---@param application? integer  its port
---@return LoginGatewayServer
function login_gateway.at(server, provider, application)
  return setmetatable({ server = server, url = "http://127.0.0.1:" .. server.port,
    provider = provider, application = application }, Gateway)
end

return login_gateway
