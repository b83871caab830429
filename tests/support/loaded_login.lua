--- The login gateway under load, all real: users of an authorization server whose tokens last
--- seconds, their sessions in Redis, and nginx with tokencache.nginx.login.
---
---     local scene = loaded_login.start { token_lifetime = 5, options = { timeout = 3 } }
---     local users = scene:log_in { "ann", "bob" }
---     local load = scene:begin_load_of(users, "/", 12)   -- and more arguments of wrk's
---     scene:renewals()             -- how many there were
---     scene:tokens()  scene:stop() -- and so on, as support.loaded has it

local folder = require "support.folder"
local loaded = require "support.loaded"
local loads = require "support.loads"
local login_gateway = require "support.login_gateway"
local merged = require "support.merged"

local loaded_login = {}

local SERVER = [[
  location /auth/ { content_by_lua_block { gateway:serve() } }
  location / {
    access_by_lua_block { gateway:require_user() }
]] .. loaded.LOCATION .. "}"

---@class LoadedLogin: LoadedScene
---@field gateway LoginGatewayServer
local Scene = setmetatable({}, { __index = loaded.methods })
Scene.__index = Scene

---@param settings { token_lifetime: integer, options?: table<string, any> }  options: as for
---   login_gateway.start
---@return LoadedLogin
function loaded_login.start(settings)
  local self = loaded.new(settings.token_lifetime, Scene)
  self.directory = folder.new()
  self.gateway = login_gateway.start(self.provider, merged({
    store = ("tokencache.store.redis { port = %d }"):format(self.redis.port),
    http = loads.TRANSPORT,
  }, settings.options), {
    workers = 4, http = loaded.HTTP, server = SERVER, values = { UPSTREAM = self.upstream.port },
  })
  self.server = self.gateway.server
  return self
end

---@param names string[]
---@return table[]  browsers: see support.login_gateway
function Scene:log_in(names)
  local browsers = {}
  for i, name in ipairs(names) do
    browsers[i] = self.gateway:new_browser()
    browsers[i]:log_in(name, "/any_token")
  end
  return browsers
end

---@param browsers table[]
---@param path string
---@param seconds number
---@param ... string  more of wrk's arguments
---@return Load
function Scene:begin_load_of(browsers, path, seconds, ...)
  local cookies = {}
  for i, browser in ipairs(browsers) do
    cookies[i] = browser:cookie_header()
  end
  local file = self.directory:file("cookies." .. #self.loads)
  return self:begin_load(path, seconds, loads.by(cookies, file, ...))
end

--- How often tokens were renewed.
---@param lifetime? integer  only for tokens that live for so many seconds
---@return integer
---@return table<string, integer>  by user
function Scene:renewals(lifetime)
  local count, by_user = 0, {}
  for user, seconds in self.provider:control("renewals"):gmatch("(%S+) (%d+)\n") do
    if not lifetime or tonumber(seconds) == lifetime then
      count, by_user[user] = count + 1, (by_user[user] or 0) + 1
    end
  end
  return count, by_user
end

function Scene:stop()
  local ok, problem = pcall(loaded.methods.stop, self)
  self.directory:remove()
  assert(ok, problem)
end

return loaded_login
