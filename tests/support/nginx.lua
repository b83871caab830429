--- A real nginx with ngx_lua, which finds tokencache as this checkout has it.
---
---     local server = nginx.start {
---       workers = 1,
---       main = "env TZ;",                  -- at the top level of nginx.conf
---       http = [[ lua_shared_dict tokens 1m; ]],
---       init_worker = [[ ... ]],           -- Lua
---       server = [[ location /a { content_by_lua_block { ngx.say("here") } } ]],
---       values = { FILE = "/a/file" },     -- of $FILE in all of these
---       thread_pool = false,               -- for none
---     }                 -- and build =, environment =, port =, level = of the log
---     local status, body, headers = server:get("/a")     -- body: "here\n"
---     server:check_tap("/a")               -- which runs a suite, by support.in_nginx
---     local request = server:begin("/a")                 -- sent, and not waited for
---     local status, body = request:finish()
---     server:worker_pids()
---     server:announce("[Tt]imed out")      -- a pattern: such errors are no surprise from now on
---     server:check()                       -- raises if there were others: for after_each
---     server:stop()                        -- likewise
---
--- Blocks of Lua may say `require "support...."`: the tests' modules are found too.

local loopback = require "support.loopback"
local process = require "support.process"
local socket = require "socket"

local nginx = {}

local TEMPLATE = [[
load_module /usr/lib/nginx/modules/ndk_http_module.so;
load_module /usr/lib/nginx/modules/ngx_http_lua_module.so;
daemon off;
$USER
pid nginx.pid;
error_log error.log $LEVEL;
worker_processes $WORKERS;
worker_shutdown_timeout 10s;
$THREAD_POOL
$MAIN
events {
  worker_connections 1024;
}
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  lua_package_path "$ROOT/lua/?.lua;$ROOT/lua/?/init.lua;$ROOT/tests/?.lua;;";
  lua_package_cpath "$ROOT/$BUILD/?.so;;";
  init_worker_by_lua_block {
    local ffi = require "ffi"
    ffi.cdef "int prctl(int option, unsigned long value);"
    ffi.C.prctl(1, 9) -- PR_SET_PDEATHSIG: a worker must not outlive a master that is killed
    $INIT_WORKER
  }
  $HTTP
  server {
    listen 127.0.0.1:$PORT;
    $SERVER
  }
}
]]

local function root()
  local code, path = process.run({ "pwd" })
  assert(code == 0, path)
  return (path:gsub("\n$", ""))
end

--- What nginx says of ngx_lua's own mark for timers, which that leaves behind where a worker that
--- is ending begins a renewal: it is no socket (docs/nginx.md). The second line follows the first.
local NO_SOCKET, ITS_END = "open socket #%-2 left in connection", "%[alert%] %d+#%d+: aborting$"

---@class Nginx
---@field port integer
---@field directory string  its prefix
local Nginx = {}
Nginx.__index = Nginx

local function write_conf(self, settings)
  local values = {
    ROOT = self.root,
    BUILD = settings.build or "build/luajit",
    LEVEL = settings.level or "warn",
    PORT = tostring(self.port),
    USER = process.is_root() and "user root root;" or "",
    WORKERS = tostring(settings.workers or 1),
    THREAD_POOL = settings.thread_pool ~= false and "thread_pool tokencache threads=4;" or "",
    MAIN = settings.main or "",
    HTTP = settings.http or "",
    INIT_WORKER = settings.init_worker or "",
    SERVER = settings.server or "",
  }
  for name, value in pairs(settings.values or {}) do
    values[name] = value
  end
  local conf = TEMPLATE
  for _ = 1, 2 do -- also in what was filled in
    conf = conf:gsub("%$([A-Z_]+)", values)
  end
  process.write_file(self.directory .. "/nginx.conf", conf)
end

--- Sends one request and leaves the answer for later.
---@class NginxRequest
local Request = {}
Request.__index = Request

---@return integer? status  nil: the connection closed without an answer
---@return string body
---@return table<string, string> headers  names in lower case
---@return table<string, string> cookies  by name: each Set-Cookie as it came
function Request:finish()
  local text = {}
  while true do
    local piece, problem, rest = self.socket:receive(65536)
    text[#text + 1] = piece or rest
    if not piece then
      assert(problem == "closed", problem)
      break
    end
  end
  self.socket:close()
  local head, body = table.concat(text):match("^(.-)\r\n\r\n(.*)$")
  if not head then
    return nil, "", {}, {}
  end
  local headers, cookies = {}, {}
  for name, value in head:gmatch("\r\n([^:]+): *([^\r]*)") do
    name = name:lower()
    headers[name] = value
    if name == "set-cookie" then
      cookies[value:match("^[^=]*")] = value
    end
  end
  return tonumber(head:match("^HTTP/1.%d (%d+)")), body, headers, cookies
end

--- Whether the answer has begun to arrive.
---@return boolean
function Request:is_answered()
  return #socket.select({ self.socket }, nil, 0) > 0
end

---@param port integer
---@param path string
---@param options? { method?: string, headers?: table<string, string>, body?: string,
---   timeout?: number }
---@return NginxRequest
function nginx.begin(port, path, options)
  options = options or {}
  local client = assert(socket.connect("127.0.0.1", port))
  client:settimeout(options.timeout or 60)
  local lines = { (options.method or "GET") .. " " .. path .. " HTTP/1.0", "Host: 127.0.0.1",
    "Connection: close" }
  if options.body then
    lines[#lines + 1] = "Content-Length: " .. #options.body
  end
  for name, value in pairs(options.headers or {}) do
    lines[#lines + 1] = name .. ": " .. value
  end
  assert(client:send(table.concat(lines, "\r\n") .. "\r\n\r\n" .. (options.body or "")))
  return setmetatable({ socket = client }, Request)
end

---@param path string
---@param options? table  as for nginx.begin, and port
---@return NginxRequest
function Nginx:begin(path, options)
  return nginx.begin(options and options.port or self.port, path, options)
end

---@param path string
---@param options? table  as for begin
---@return integer? status
---@return string body
---@return table<string, string> headers
function Nginx:get(path, options)
  return self:begin(path, options):finish()
end

--- Raises unless what is at the path, by support.in_nginx, passed all of its tests.
---@param path string
function Nginx:check_tap(path)
  local _, body = self:get(path, { timeout = 300 }) -- for all of them
  local planned = tonumber(body:match("1%.%.(%d+)\n$"))
  local _, passed = ("\n" .. body):gsub("\nok %d+ %- ", "")
  assert(planned and planned > 0 and passed == planned, body)
  self:check()
end

---@return integer[]
function Nginx:worker_pids()
  local pids = {}
  local children = process.read_file(("/proc/%d/task/%d/children"):format(self.child.pid,
    self.child.pid)) or ""
  for pid in children:gmatch("%d+") do
    local title = process.read_file("/proc/" .. pid .. "/cmdline") or ""
    if process.is_alive(pid) and not title:find("shutting down", 1, true) then
      pids[#pids + 1] = math.floor(tonumber(pid))
    end
  end
  return pids
end

--- Loads nginx.conf anew; the old workers end when they have answered what they had begun.
function Nginx:reload()
  local before = {}
  for _, pid in ipairs(self:worker_pids()) do
    before[pid] = true
  end
  self.child:signal("HUP")
  process.wait_until("nginx to have new workers", function()
    local pids = self:worker_pids()
    for _, pid in ipairs(pids) do
      if before[pid] then
        return false
      end
    end
    return #pids > 0
  end)
end

---@return string
function Nginx:log()
  return process.read_file(self.directory .. "/error.log") or ""
end

---@param pattern string  a Lua pattern; errors whose line it fits are no surprise
function Nginx:announce(pattern)
  self.announced[#self.announced + 1] = pattern
end

local function is_announced(self, line)
  for _, pattern in ipairs(self.announced) do
    if line:find(pattern) then
      return true
    end
  end
  return false
end

--- Raises if the error log has errors since the last check that nobody announced.
function Nginx:check()
  local log = self:log()
  local fresh = log:sub(self.checked + 1)
  self.checked = #log
  for line in fresh:gmatch("[^\n]+") do
    if line:find("%[error%]") or line:find("%[crit%]") or line:find("%[alert%]")
      or line:find("%[emerg%]") then
      assert(is_announced(self, line), line)
    end
  end
end

---@param name? string  default "TERM"; "QUIT" answers first what was begun
function Nginx:stop(name)
  if not self.child then
    return
  end
  local ok, problem = pcall(self.check, self)
  if not name then -- then it kills workers that have not ended within two seconds
    self:announce "exited on signal 9"
  end
  self.child:signal(name or "TERM")
  self.child:wait()
  self.child:stop()
  self.child = nil
  if ok then
    ok, problem = pcall(self.check, self)
  end
  process.remove_directory(self.directory)
  assert(ok, problem)
end

local function is_ready(self)
  if not self.child:is_running() then
    error("nginx ended before it was ready:\n" .. self.child:output() .. self:log(), 0)
  end
  -- written once it listens on all its ports
  return process.read_file(self.directory .. "/nginx.pid") and loopback.is_listening(self.port)
end

---@param settings table  see above
---@return Nginx
function nginx.start(settings)
  local self = setmetatable({
    root = root(),
    directory = process.temporary_directory(),
    port = settings.port or loopback.free_port(),
    announced = { NO_SOCKET, ITS_END },
    checked = 0,
  }, Nginx)
  write_conf(self, settings)
  self.child = process.start({ "nginx", "-p", self.directory, "-c", "nginx.conf",
    "-e", "error.log" }, { environment = settings.environment })
  process.wait_until("nginx to listen", function()
    return is_ready(self)
  end)
  return self
end

return nginx
