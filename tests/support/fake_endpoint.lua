--- A token endpoint that misbehaves on demand, for what a real server cannot be made to show.
---
---     local endpoint = fake_endpoint.start { tls = true }
---     endpoint:url("reset")              -- http://127.0.0.1:PORT/reset does as its path says
---     endpoint:url("token", "https")     -- trusted with ca_file = endpoint.ca_file
---     endpoint:url("token", "mismatch")  -- the same authority, a certificate for another host
---     endpoint:proxy_url("user:word")    -- a forward proxy, with or without a login
---     endpoint.refused_url               -- a port that refuses connections
---     endpoint.blackhole_url             -- a port that never completes one
---
---     endpoint:answer(200, { access_token = "a" }, { ["Retry-After"] = "1" })
---     endpoint:behave("status/503?retry_after=1", "token")
---                                        -- what /token does in turn; the last one stays
---     endpoint:requests()                -- a list; see FakeRequest below
---     endpoint:connections()             -- how many were made, those to the proxy included
---     endpoint:open_connections()        -- how many are open now
---     endpoint:close_connections()       -- from the server's side
---     endpoint:release()                 -- see below
---     endpoint:clear()                   -- forgets all that: the first line of a before_each
---     endpoint:stop()
---
--- Behaviours, by path. With held=1 in its query one waits until `release`:
---     token                      a good token: access-1, access-2, ...
---     once?delay=S               renews each refresh token once, after S seconds: R to R~1, ...
---     silent, drip               never answers; answers for ever
---     reset, partial             reset, or closed, in the body
---     too-short, unended         a whole token with a refresh token, of which more was announced;
---                                the second is not even closed
---     half-chunked, bad-chunk    the same, without the last chunk or with a wrong one
---     reset-unanswered, close-unanswered
---     large, large-chunked       5 MiB
---     large-headers              100 kB of headers
---     limit?bytes=N              a body of N bytes
---     encoded?as=gzip&bytes=N&cut=C  gzip, deflate, raw (deflate), br, or several of
---                                them: N blanks, or a good token; without its
---                                last bytes where C is below zero
---     status/N?retry_after=S     status N and an empty object; retry_date=S: S seconds ahead
---     redirect                   302 to /token
---     invalid-client             401 as in RFC 6749 §5.2
---     oauth-error?error=E&status=N&description=D
---                                status 200 by default, as GitHub does
---     echo-error                 400; the description holds the request's secrets, and controls
---     html, empty, truncated, array
---                                with status 200
---     no-access-token, token-type?is=T, expires-in?is=JSON, expires-in
---     headers                    repeated, empty and oddly written ones, and a cookie

---@class FakeRequest
---@field server "http"|"https"|"mismatch"|"proxy"
---@field method string
---@field url string          as it came: the path, or what a proxy is asked for
---@field headers table<string, string>
---@field body string
---@field connection integer  counted from 1 since clear()

local certificates = require "support.certificates"
local dkjson = require "dkjson"
local http = require "socket.http"
local ltn12 = require "ltn12"
local node_server = require "support.node_server"
local process = require "support.process"
local socket = require "socket"

local fake_endpoint = {}

local Endpoint = {}
Endpoint.__index = Endpoint

local function url_of(server)
  local _, port = server:getsockname()
  return "http://127.0.0.1:" .. port .. "/token"
end

--- Bound but not listening: nobody else can take the port.
local function refuse()
  local server = assert(socket.tcp())
  assert(server:bind("127.0.0.1", 0))
  return server
end

--- Listening with its backlog full: the kernel drops what comes after.
local function blackhole()
  local server = assert(socket.tcp())
  assert(server:bind("127.0.0.1", 0))
  assert(server:listen(0))
  local waiting = { server }
  local _, port = server:getsockname()
  for _ = 1, 10 do
    local client = assert(socket.tcp())
    client:settimeout(0.2)
    waiting[#waiting + 1] = client
    if not client:connect("127.0.0.1", port) then
      return server, waiting
    end
  end
  error("the backlog never filled")
end

---@param options? { tls?: boolean }
function fake_endpoint.start(options)
  local self = setmetatable({ directory = process.temporary_directory() }, Endpoint)
  local settings
  if options and options.tls then
    certificates.make(self.directory)
    self.ca_file = self.directory .. "/ca.pem"
    settings = { certificates = self.directory }
  end
  self.server = node_server.start("fake_endpoint", settings)
  self.ports = dkjson.decode(self.server.ready)
  self.refusing = refuse()
  self.refused_url = url_of(self.refusing)
  self.blackhole, self.waiting = blackhole()
  self.blackhole_url = url_of(self.blackhole)
  return self
end

---@param path string
---@param server? "http"|"https"|"mismatch"  default "http"
function Endpoint:url(path, server)
  server = server or "http"
  local scheme = server == "http" and "http" or "https"
  return ("%s://127.0.0.1:%d/%s"):format(scheme, self.ports[server], path)
end

--- With `login` ("user:password") the proxy asks for it from now on.
---@param login? string
function Endpoint:proxy_url(login)
  if login then
    self:control("proxy-login", login)
  end
  return ("http://%s127.0.0.1:%d"):format(login and login .. "@" or "", self.ports.proxy)
end

function Endpoint:control(path, body, headers)
  headers = headers or {}
  headers["content-length"] = #(body or "")
  local answer = {}
  local ok, status = http.request {
    method = "POST",
    url = ("http://127.0.0.1:%d/%s"):format(self.ports.control, path),
    headers = headers,
    source = ltn12.source.string(body or ""),
    sink = ltn12.sink.table(answer),
  }
  if not ok or status ~= 200 then
    error(("the fake endpoint failed: %s\n%s"):format(status, self.server:output()))
  end
  return dkjson.decode(table.concat(answer))
end

---@param status integer
---@param body table|string  a table is sent as JSON
---@param headers? table<string, string>
function Endpoint:answer(status, body, headers)
  local given = { ["X-Answer-Content-Type"] = "application/json" }
  for name, value in pairs(headers or {}) do
    given["X-Answer-" .. name] = value
  end
  self:control("answer?status=" .. status, type(body) == "table" and dkjson.encode(body) or body,
    given)
end

function Endpoint:behave(...)
  for _, behaviour in ipairs { ... } do
    self:control("behave", behaviour)
  end
end

---@return FakeRequest[]
function Endpoint:requests()
  return self:control("requests")
end

--- Lets go of what is held, now and from now on.
function Endpoint:release()
  self:control("release")
end

function Endpoint:connections()
  return self:control("connections")
end

function Endpoint:open_connections()
  return self:control("open")
end

function Endpoint:close_connections()
  self:control("close-connections")
end

function Endpoint:clear()
  self:control("clear")
end

function Endpoint:stop()
  self.server:stop()
  self.refusing:close()
  for _, waiting in ipairs(self.waiting) do
    waiting:close()
  end
  process.remove_directory(self.directory)
end

return fake_endpoint
