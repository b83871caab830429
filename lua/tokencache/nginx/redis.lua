--- Commands to Redis servers from nginx's event loop: the conversation is held in C, and cosockets
--- move its bytes. Connections that are not in use lie in nginx's pools, one for each server, user
--- and database.

local errors = require "tokencache.error"
local library = require "tokencache.util.library"
local ngx = require("tokencache.environment").nginx
local phase = require "tokencache.nginx.phase"
local pool = require "tokencache.nginx.pool"
local waited = require "tokencache.nginx.waited"
local worker = require "tokencache.worker.redis"

local redis = {}

local MOST_AT_ONCE = 65536 -- bytes
local MOST_IDLE = 64 -- conversations

---@class tokencache.RedisPeer
---@field known userdata   what all conversations with it know; see tokencache._redis
---@field number integer   the pools' names have it: the options' identity holds the password
---@field idle table[]      conversations that are over
---@field generation? number  of what `settings` are for
---@field settings? { pool: string }
---@field is_cluster boolean

local peers = {} -- by the options' identity
local peers_made = 0

local function new_peer(options)
  local codec, err = library("tokencache._redis", "hiredis", "give the cache a client=")
  if not codec then
    return nil, err
  end
  peers_made = peers_made + 1
  local peer = { known = codec.known(options), number = peers_made, idle = {},
    is_cluster = options.cluster ~= nil }
  peers[options.identity] = peer
  return peer
end

local function is_address(host)
  return host:find(":", 1, true) or not host:find "[^%d.]"
end

--- Cosockets trust whom nginx.conf says, have no certificate of their own, and compare names only,
--- while sentinels and nodes tell addresses.
local function is_beyond_cosockets(options)
  return (options.tls or options.sentinel_tls)
    and (options.ca_file or options.cert_file or not options.host or is_address(options.host))
end

-- connections -------------------------------------------------------------------------------------

local function milliseconds(seconds)
  return math.max(1, math.ceil(seconds * 1000))
end

--- A code, what is wrong, and the way out where it is not that of scripts: as `failed` takes them.
local function connect_failure(problem)
  if problem == "timeout" then
    return "TIMEOUT", "no connection in time"
  elseif problem:find("no resolver defined", 1, true) then
    return "CONNECT", "no connection: nginx has no resolver",
      "add the directive resolver to nginx.conf, or give an address"
  end
  return "CONNECT", "no connection: " .. problem
end

local function transfer_failure(problem)
  if problem == "timeout" then
    return "TIMEOUT", "no answer in time"
  elseif problem == "closed" then
    return "CLOSED", "the server closed the connection"
  end
  return "CLOSED", "the connection broke: " .. tostring(problem)
end

--- Where ngx_lua 0.10.23 refuses a certificate at once it says yes, and has closed the connection.
local function shake_hands(socket, host)
  local ok, problem = socket:sslhandshake(false, host, true)
  if ok and not socket:getreusedtimes() then
    ok, problem = nil, "the server's certificate is not trusted"
  end
  if ok then
    return nil
  elseif problem == "timeout" then
    return "TIMEOUT", "no TLS handshake in time, as from a server without TLS"
  end
  return "TLS", "no TLS: " .. tostring(problem),
    "check tls=, lua_ssl_trusted_certificate in nginx.conf, and the server's certificate"
end

local function connect(socket, host, port, settings)
  if port then
    return socket:connect(host:find(":", 1, true) and "[" .. host .. "]" or host, port, settings)
  end
  return socket:connect("unix:" .. host, settings)
end

--- The socket's own timeout does not count while nginx looks up a name.
local function dial(socket, seconds, host, port, settings)
  if not port or is_address(host) then
    return connect(socket, host, port, settings)
  end
  local done, ok, problem = waited(nil, seconds, connect, socket, host, port, settings)
  if not done then
    return nil, "timeout"
  end
  return ok, problem
end

--- Where its connections lie: those of an earlier generation are left to nginx, and those to
--- sentinels do not come back.
local function settings_of(peer, host, port, is_sentinel, generation)
  if is_sentinel then
    return { pool = "tokencache.redis.sentinels" }
  elseif peer.is_cluster then
    return { pool = ("tokencache.redis.%d.%s:%d.%d"):format(peer.number, host, port, generation) }
  elseif peer.generation ~= generation then
    peer.generation = generation
    peer.settings = { pool = ("tokencache.redis.%d.%d"):format(peer.number, generation) }
  end
  return peer.settings
end

-- what a conversation wants ---------------------------------------------------------------------

---@class tokencache.RedisConversation
---@field talk userdata  of tokencache._redis
---@field peer tokencache.RedisPeer
---@field options table
---@field socket? table
---@field time? integer  milliseconds to which its steps are limited

local perform = {} -- each returns what is to be done next

local function failed(self, code, message, remedy)
  if self.socket then
    self.socket:close()
    self.socket = nil
  end
  return self.talk:failed(code, message, remedy, ngx.now())
end

--- The socket's next step ends within the seconds that are left; false: there are none.
local function limit(self, seconds)
  local time = milliseconds(seconds)
  if time ~= self.time then
    self.socket:settimeout(time)
    self.time = time
  end
  return seconds > 0
end

--- Gives the socket up. A connection goes back to the pool only when there is nothing left to read.
local function leave(self, may_keep)
  local socket = self.socket
  if socket and not (may_keep and socket:setkeepalive()) then
    socket:close()
  end
  self.socket = nil
end

function perform.use(self, seconds, host, port, is_sentinel, generation, may_keep)
  local socket, deadline = ngx.socket.tcp(), ngx.now() + seconds
  leave(self, may_keep)
  self.time = milliseconds(self.options.timeout) -- that of most commands
  socket:settimeouts(milliseconds(seconds), self.time, self.time)
  local settings = settings_of(self.peer, host, port, is_sentinel, generation)
  local ok, problem = dial(socket, seconds, host, port, settings)
  if not ok then
    return failed(self, connect_failure(problem))
  end
  self.socket = socket
  local is_new = socket:getreusedtimes() == 0
  if is_new and self.options.tls then
    limit(self, deadline - ngx.now())
    local code, message, remedy = shake_hands(socket, host)
    if code then
      return failed(self, code, message, remedy)
    end
  end
  return self.talk:go_on(ngx.now(), is_new)
end

function perform.receive(self, seconds)
  local bytes, problem = nil, "timeout"
  if limit(self, seconds) then
    bytes, problem = self.socket:receiveany(MOST_AT_ONCE)
  end
  if not bytes then
    return failed(self, transfer_failure(problem))
  end
  return self.talk:go_on(ngx.now(), bytes)
end

function perform.send(self, seconds, bytes)
  local deadline = ngx.now() + seconds
  limit(self, seconds)
  local sent, problem = self.socket:send(bytes)
  if not sent then
    return failed(self, transfer_failure(problem))
  end
  return perform.receive(self, deadline - ngx.now())
end

function perform.sleep(self, seconds)
  ngx.sleep(seconds)
  return self.talk:go_on(ngx.now())
end

function perform.password(self, _, is_refused)
  local password, err = worker.password(self.options, is_refused)
  if not password then
    return "done", false, nil, err
  end
  return self.talk:go_on(ngx.now(), password)
end

local function finish(self, may_keep, ...)
  leave(self, may_keep)
  local idle = self.peer.idle
  if #idle < MOST_IDLE then
    idle[#idle + 1] = self
  end
  return ...
end

local function go_on(self, action, ...)
  if action == "done" then
    return finish(self, ...)
  end
  return go_on(self, perform[action](self, ...))
end

-- commands ----------------------------------------------------------------------------------------

local function call_in_thread(options, ...)
  if type(options.password) == "function" then
    return nil, errors.new("config", options.place .. ": Redis: this password cannot be had in a "
      .. "thread of nginx's; give password = { file = path }, or connect to a name, without "
      .. "ca_file and cert_file")
  end
  return pool.call("redis", "call", options, ...)
end

--- As tokencache.worker.redis has it, with nothing that blocks.
function redis.caller(options)
  if is_beyond_cosockets(options) then
    return function(...) return call_in_thread(options, ...) end
  end
  return function(...)
    local peer, err = peers[options.identity], phase.refusal()
    if not peer and not err then
      peer, err = new_peer(options)
    end
    if err then
      return nil, err
    end
    local self = table.remove(peer.idle)
      or { talk = peer.known:talk(), peer = peer, options = options }
    return go_on(self, self.talk:begin(ngx.now(), ...))
  end
end

return redis
