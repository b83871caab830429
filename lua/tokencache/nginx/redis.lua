--- Commands to Redis servers from nginx's event loop: hiredis writes commands and reads replies,
--- cosockets move the bytes. Connections that are not in use lie in nginx's pools, one for each
--- server, user and database.

local errors = require "tokencache.error"
local library = require "tokencache.util.library"
local ngx = require("tokencache.environment").nginx
local phase = require "tokencache.nginx.phase"
local pool = require "tokencache.nginx.pool"
local waited = require "tokencache.nginx.waited"

local redis = {}

local MOST_AT_ONCE = 65536 -- bytes

local remedies = {
  CONNECT = "check that the server runs, and the address",
  CLOSED = "try again later",
  TIMEOUT = "try again later, or raise the timeout",
  TLS = "check tls=, lua_ssl_trusted_certificate in nginx.conf, and the server's certificate",
}

local function failure(options, code, message, remedy)
  return errors.new("cache", ("%s: Redis: %s; %s"):format(options.place, message,
    remedy or remedies[code]), { code = code })
end

local codec -- tokencache._redis, once it is loaded

local function load_codec()
  local err
  codec, err = library("tokencache._redis", "hiredis", "give the cache a client=")
  return err
end

-- peers -------------------------------------------------------------------------------------------

---@class tokencache.RedisPeer
---@field host string
---@field port? integer
---@field settings { pool: string }
---@field is_name boolean   the host is to be looked up
---@field prepares boolean  a new connection needs more than to be made
---@field is_beyond_cosockets boolean

local peers = {} -- by the options' identity
local peers_made = 0

--- Cosockets trust whom nginx.conf says, have no certificate of their own, and compare names only.
local function is_beyond_cosockets(options)
  return options.tls and (options.ca_file or options.cert_file
    or options.host:find(":", 1, true) or not options.host:find("[^%d.]")) and true or false
end

local function new_peer(options)
  local host = options.path and "unix:" .. options.path or options.host
  peers_made = peers_made + 1
  return {
    host = not options.path and host:find(":", 1, true) and "[" .. host .. "]" or host,
    port = options.port,
    settings = { pool = "tokencache.redis." .. peers_made }, -- the identity holds the password
    is_name = not options.path and host:find "[^%d.]" and not host:find(":", 1, true) or false,
    prepares = (options.tls or options.password or options.db ~= 0) and true or false,
    is_beyond_cosockets = is_beyond_cosockets(options),
  }
end

local function peer_of(options)
  local peer = peers[options.identity]
  if not peer then
    peer = new_peer(options)
    peers[options.identity] = peer
  end
  return peer
end

--- From now on only new connections are used; nginx closes the old ones after a while.
local function forget(options, peer)
  if peers[options.identity] == peer then
    peers[options.identity] = nil
  end
end

-- exchanges ---------------------------------------------------------------------------------------

local function milliseconds(seconds)
  return math.max(1, math.ceil(seconds * 1000))
end

--- The socket's next step ends by the deadline; false: that has passed.
local function limit(socket, deadline)
  local left = deadline - ngx.now()
  socket:settimeout(milliseconds(left))
  return left > 0
end

local function send_failure(options, problem)
  if problem == "timeout" then
    return failure(options, "TIMEOUT", "no answer in time")
  elseif problem == "closed" then
    return failure(options, "CLOSED", "the server closed the connection")
  end
  return failure(options, "CLOSED", "the connection broke: " .. tostring(problem))
end

local function codec_failure(options, err)
  if err.code == "PROTOCOL" then
    return errors.new("cache", options.place .. ": Redis: " .. err.message, { code = err.code })
  end
  return err
end

local idle_reader -- nobody's, and at the beginning of a reply

--- One command on the connection there is, which is of no more use if that fails. The socket is
--- limited to the deadline as seen from now.
local function exchange(socket, options, command, deadline)
  local start = ngx.now()
  local sent, problem = socket:send(command)
  if not sent then
    return nil, send_failure(options, problem)
  end
  local reader = idle_reader or codec.reader()
  idle_reader = nil
  local reply, what
  repeat
    if ngx.now() ~= start and not limit(socket, deadline) then
      return nil, send_failure(options, "timeout")
    end
    local piece
    piece, problem = socket:receiveany(MOST_AT_ONCE)
    if not piece then
      return nil, send_failure(options, problem)
    end
    reply, what = reader:read(piece)
    if reply == nil and what then
      return nil, codec_failure(options, what)
    end
  until reply ~= nil
  if type(reply) ~= "string" or #reply < MOST_AT_ONCE then -- a reader's buffer never shrinks
    idle_reader = reader
  end
  return reply, what
end

-- connections -------------------------------------------------------------------------------------

local function connect_failure(options, problem)
  if problem == "timeout" then
    return failure(options, "TIMEOUT", "no connection in time")
  elseif problem:find("no resolver defined", 1, true) then
    return failure(options, "CONNECT", "no connection: nginx has no resolver",
      "add the directive resolver to nginx.conf, or give an address")
  end
  return failure(options, "CONNECT", "no connection: " .. problem)
end

--- Where ngx_lua 0.10.23 refuses a certificate at once it says yes, and has closed the connection.
local function shake_hands(socket, options, deadline)
  limit(socket, deadline)
  local ok, problem = socket:sslhandshake(false, options.host, true)
  if ok and not socket:getreusedtimes() then
    ok, problem = nil, "the server's certificate is not trusted"
  end
  if ok then
    return true
  elseif problem == "timeout" then
    return nil, failure(options, "TIMEOUT",
      "no TLS handshake in time, as from a server without TLS")
  end
  return nil, failure(options, "TLS", "no TLS: " .. tostring(problem))
end

--- AUTH or SELECT, whose answer is OK or an error.
local function command_first(socket, options, deadline, ...)
  local command, err = codec.format(...)
  if not command then
    return nil, err
  end
  limit(socket, deadline)
  local reply, what = exchange(socket, options, command, deadline)
  if what == "error" then
    return nil, codec.server_error(options.place, reply, ...)
  end
  return reply ~= nil, what
end

local function prepare(socket, options, deadline)
  local ok, err = true, nil
  if options.tls then
    ok, err = shake_hands(socket, options, deadline)
  end
  if ok and options.username then
    ok, err = command_first(socket, options, deadline, "AUTH", options.username, options.password)
  elseif ok and options.password then
    ok, err = command_first(socket, options, deadline, "AUTH", options.password)
  end
  if ok and options.db ~= 0 then
    ok, err = command_first(socket, options, deadline, "SELECT", ("%d"):format(options.db))
  end
  return ok, err
end

local function dial(socket, peer)
  if peer.port then
    return socket:connect(peer.host, peer.port, peer.settings)
  end
  return socket:connect(peer.host, peer.settings)
end

--- The socket's own timeout does not count while nginx looks up a name.
local function dial_name(socket, peer, seconds)
  local done, ok, problem = waited(nil, seconds, dial, socket, peer)
  if not done then
    return nil, "timeout"
  end
  return ok, problem
end

--- A connection from the pool, or a new one that is ready for commands. Its next steps are limited
--- to these seconds.
local function connect(options, peer, seconds)
  local deadline = ngx.now() + options.connect_timeout
  local socket, left = ngx.socket.tcp(), milliseconds(seconds)
  socket:settimeouts(milliseconds(options.connect_timeout), left, left)
  local ok, err = (peer.is_name and dial_name or dial)(socket, peer, options.connect_timeout)
  if not ok then
    return nil, connect_failure(options, err)
  end
  if peer.prepares and socket:getreusedtimes() == 0 then
    ok, err = prepare(socket, options, deadline)
    if not ok then
      socket:close()
      return nil, err
    end
    socket:settimeout(left)
  end
  return socket
end

--- A connection goes back to the pool only when there is nothing left to read.
local function keep(socket)
  if not socket:setkeepalive() then
    socket:close()
  end
end

-- commands ----------------------------------------------------------------------------------------

--- The socket; reply, or nil and an error; "error" beside a reply that is the server's.
local function attempt(options, peer, command, seconds)
  local socket, err = connect(options, peer, seconds)
  if not socket then
    return nil, nil, err
  end
  local reply, what = exchange(socket, options, command, ngx.now() + seconds)
  if reply == nil then
    socket:close()
  end
  return socket, reply, what
end

--- Where the connection broke, the command is sent once more, on a new one.
local function insist(options, peer, command)
  local start = ngx.now()
  local socket, reply, what = attempt(options, peer, command, options.timeout)
  if not socket or reply ~= nil or what.code ~= "CLOSED" then
    return socket, reply, what
  end
  forget(options, peer)
  socket, reply, what = attempt(options, peer_of(options), command,
    options.timeout - (ngx.now() - start))
  return socket, reply, what, "repeated"
end

local function server_failure(socket, options, peer, reply, ...)
  local err = codec.server_error(options.place, reply, ...)
  if err.code == "READONLY" then -- the name may point to the master by the next time
    forget(options, peer)
    socket:close()
  else
    keep(socket)
  end
  return nil, err
end

--- As tokencache.worker.redis has it, with nothing that blocks.
function redis.call(options, ...)
  local peer, err = peer_of(options), phase.refusal()
  if err then
    return nil, err
  elseif peer.is_beyond_cosockets then
    return pool.call("redis", "call", options, ...)
  end
  err = not codec and load_codec()
  if err then
    return nil, err
  end
  local command
  command, err = codec.format(...)
  if not command then
    return nil, err
  end
  local socket, reply, what, note = insist(options, peer, command)
  if reply == nil then
    return nil, what
  elseif what == "error" then
    return server_failure(socket, options, peer_of(options), reply, ...)
  end
  keep(socket)
  return reply, note
end

return redis
