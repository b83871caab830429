--- An example of examples/nginx, started as its users start it, with a directory of its own.
---
---     local example = nginx_example.start("login", nginx_example.login_environment(provider))
---     example.url                     -- http://127.0.0.1:PORT
---     local request = example:begin("GET", "/path")   -- as of support.nginx
---     local answer = example:request("GET", "/path", { Cookie = "..." })
---     answer.status, answer.headers, answer.cookies, answer.body
---     example:stop()                  -- raises if nginx logged errors
---     example:stop { keep = true }    -- the directory stays: start("login", ..., example)

local folder = require "support.folder"
local loopback = require "support.loopback"
local merged = require "support.merged"
local nginx = require "support.nginx"
local process = require "support.process"

local nginx_example = {}

---@class NginxExample
---@field url string
---@field port integer
---@field directory Folder
local Example = {}
Example.__index = Example

---@param method string
---@param path string
---@param headers? table<string, string>
---@return NginxRequest
function Example:begin(method, path, headers)
  return nginx.begin(self.port, path, { method = method, headers = headers, body = "" })
end

---@param method string
---@param path string
---@param headers? table<string, string>
---@return { status: integer, headers: table<string, string>, cookies: string[], body: string }
function Example:request(method, path, headers)
  local answer = {}
  answer.status, answer.body, answer.headers, answer.cookies = self:begin(method, path, headers)
    :finish()
  return answer
end

---@param what? { keep?: boolean, errors?: string }  errors: a pattern for lines that are expected
function Example:stop(what)
  if not self.child:is_running() then
    return
  end
  local output = self.child:output()
  self.child:stop()
  if not (what and what.keep) then
    self.directory:remove()
  end
  for line in output:gmatch("[^\n]+") do
    assert(not line:find("%[error%]") and not line:find("%[alert%]") and not line:find("%[emerg%]")
      or what and what.errors and line:find(what.errors), line)
  end
end

---@param name "gateway"|"login"
---@param environment table<string, string>  see examples/nginx/run.sh
---@param former? NginxExample  whose directory it takes over
---@return NginxExample
function nginx_example.start(name, environment, former)
  local self = setmetatable({
    port = former and former.port or loopback.free_port(),
    directory = former and former.directory or folder.new(),
  }, Example)
  self.url = "http://127.0.0.1:" .. self.port
  local all = merged({ PORT = tostring(self.port), STATE = self.directory.path,
    SPOTIPY_CLIENT_ID = "", SPOTIPY_CLIENT_SECRET = "" }, environment)
  self.child = process.start({ "examples/nginx/run.sh", name },
    { environment = all, directory = os.getenv("PWD") })
  local ok, problem = pcall(process.wait_until, "nginx to listen", function()
    assert(self.child:is_running(), self.child:output())
    return loopback.is_listening(self.port)
  end, 60)
  if not ok then
    self.child:stop()
    error(problem, 0)
  end
  return self
end

--- The environment in which the users of an oidc_provider log in.
---@param provider OidcProvider
---@return table<string, string>
function nginx_example.login_environment(provider)
  local client = provider.clients.confidential
  return { ISSUER = provider.url, CLIENT_ID = client.client_id,
    CLIENT_SECRET = client.client_secret }
end

return nginx_example
