--- An authorization server that still does the implicit grant: Debian's glewlwyd, on an SQLite file
--- of its own, for the length of a spec. It knows the user alice, whose password is wonderland.
---
---     if not glewlwyd.is_installed() then return pending(glewlwyd.NEED) end
---     local server = glewlwyd.start { redirect_uri = "http://127.0.0.1:4711/callback" }
---     server.provider     -- for a flow: authorize_url
---     server.client_id    -- may have tokens by response_type=token, at that redirect URI alone
---     server.issuer       -- of OpenID Connect, for the public client app
---     server:login(url)   -- as alice, at that client; where the browser is sent to
---     server:stop()

local http = require "socket.http"
local json = require "tokencache.json"
local loopback = require "support.loopback"
local ltn12 = require "ltn12"
local process = require "support.process"

local glewlwyd = { NEED = "needs glewlwyd, which is not installed" }

local LIB, SHARE = "/usr/lib/glewlwyd/", "/usr/share/glewlwyd/"
local SCHEMA = "/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3"

local config = [[
port = %d
bind_address = "127.0.0.1"
external_url = "%s"
login_url = "login.html"
api_prefix = "api"
static_files_path = "%s/webapp/"
static_files_mime_types = (
  { extension = ".html" mime_type = "text/html" },
  { extension = ".css" mime_type = "text/css" },
  { extension = ".js" mime_type = "application/javascript" },
  { extension = ".json" mime_type = "application/json" }
)
log_mode = "console"
log_level = "WARNING"
cookie_secure = 0
session_key = "SESSION"
session_expiration = 3600
admin_scope = "g_admin"
profile_scope = "g_profile"
user_module_path = "]] .. LIB .. [[user"
client_module_path = "]] .. LIB .. [[client"
user_auth_scheme_module_path = "]] .. LIB .. [[scheme"
plugin_module_path = "]] .. LIB .. [[plugin"
hash_algorithm = "SHA512"
database = { type = "sqlite3" path = "%s/database" }
]]

-- the pages are copied: the server follows no link out of their folder, and Debian's have some
local prepare = ([[
set -e
cp -rL %swebapp .
rm -rf webapp/config.json
cp %stemplates/config.json webapp/
sqlite3 database <%s
]]):format(SHARE, SHARE, SCHEMA)

local plugin = {
  module = "oauth2-glewlwyd", name = "oauth", display_name = "OAuth", order_rank = 0,
  parameters = {
    ["jwt-type"] = "sha", ["jwt-key-size"] = "256", key = "a key of the tests alone",
    ["access-token-duration"] = 3600, ["refresh-token-duration"] = 86400,
    ["code-duration"] = 600, ["refresh-token-rolling"] = false,
    ["auth-type-code-enabled"] = true, ["auth-type-implicit-enabled"] = true,
    ["auth-type-password-enabled"] = false, ["auth-type-client-enabled"] = false,
    ["auth-type-refresh-enabled"] = true,
  },
}

local function openid_plugin(issuer)
  local directory = process.temporary_directory()
  local code, output = process.run({ "sh", "-c", "openssl genrsa -out key 2048 2>&- && "
    .. "openssl pkey -in key -pubout -out public" }, { directory = directory })
  assert(code == 0, output)
  local key = process.read_file(directory .. "/key")
  local public = process.read_file(directory .. "/public")
  process.remove_directory(directory)
  return {
    module = "oidc", name = "oidc", display_name = "OpenID Connect", order_rank = 1,
    parameters = {
      iss = issuer, ["jwt-type"] = "rsa", ["jwt-key-size"] = "256", key = key, cert = public,
      ["access-token-duration"] = 3600, ["refresh-token-duration"] = 86400,
      ["code-duration"] = 600, ["refresh-token-rolling"] = true, ["allow-non-oidc"] = true,
      ["auth-type-code-enabled"] = true, ["auth-type-token-enabled"] = false,
      ["auth-type-id-token-enabled"] = true, ["auth-type-none-enabled"] = false,
      ["auth-type-password-enabled"] = false, ["auth-type-client-enabled"] = false,
      ["auth-type-refresh-enabled"] = true, ["subject-type"] = "public", ["pkce-allowed"] = true,
      ["pkce-method-plain-allowed"] = false, ["jwks-show"] = true,
    },
  }
end

---@class Glewlwyd
---@field url string
---@field issuer string
---@field client_id string
---@field provider tokencache.Provider
local Glewlwyd = {}
Glewlwyd.__index = Glewlwyd

--- A request as the administrator; each answer may bring the session's cookie.
function Glewlwyd:post(path, object, method)
  local body = assert(json.encode(object))
  local answer = {}
  local ok, status, headers = http.request {
    method = method or "POST",
    url = self.url .. "/api/" .. path,
    headers = {
      ["content-type"] = "application/json",
      ["content-length"] = #body,
      cookie = self.session,
    },
    source = ltn12.source.string(body),
    sink = ltn12.sink.table(answer),
  }
  assert(ok and status == 200, path .. ": " .. tostring(status) .. " " .. table.concat(answer))
  self.session = (headers["set-cookie"] or ""):match("^[^;]+") or self.session
end

function Glewlwyd:provision(redirect_uri)
  self:post("auth/", { username = "admin", password = "password" }) -- as the schema has it
  self:post("mod/plugin/", plugin)
  self:post("mod/plugin/", openid_plugin(self.issuer))
  self:post("scope/", { name = "read", display_name = "read", description = "read",
    password_required = true, password_max_age = 0 })
  self:post("user/", { username = "alice", password = "wonderland", name = "Alice",
    email = "alice@example.com", enabled = true, scope = { "g_profile", "read", "openid" } })
  self:post("client/", { client_id = self.client_id, name = "A page", enabled = true,
    confidential = false, redirect_uri = { redirect_uri }, authorization_type = { "token" } })
  self:post("client/", { client_id = "app", name = "An app", enabled = true,
    confidential = false, redirect_uri = { redirect_uri },
    authorization_type = { "code", "refresh_token" } })
end

--- What a person at a browser would do at a page of the client app's: log in and consent.
---@param url string
---@return string response_url
function Glewlwyd:login(url)
  local alice = setmetatable({ url = self.url }, Glewlwyd)
  alice:post("auth/", { username = "alice", password = "wonderland" })
  alice:post("auth/grant/app", { scope = "openid" }, "PUT")
  local _, _, headers = http.request { url = url .. "&g_continue", redirect = false,
    headers = { cookie = alice.session } }
  return headers.location
end

---@return boolean
function glewlwyd.is_installed()
  return (process.run({ "sh", "-c", "command -v glewlwyd" })) == 0
end

---@param settings { redirect_uri: string }
---@return Glewlwyd
function glewlwyd.start(settings)
  local port = loopback.free_port()
  local url = "http://127.0.0.1:" .. port
  local directory = process.temporary_directory()
  local code, output = process.run({ "sh", "-c", prepare }, { directory = directory })
  assert(code == 0, output)
  process.write_file(directory .. "/config", config:format(port, url, directory, directory))
  local self = setmetatable({
    url = url,
    issuer = url .. "/api/oidc",
    directory = directory,
    client_id = "page",
    provider = { authorize_url = url .. "/api/oauth/auth" },
    child = process.start({ "glewlwyd", "--config-file=" .. directory .. "/config" }),
  }, Glewlwyd)
  process.wait_until("glewlwyd to answer", function()
    assert(self.child:is_running(), self.child:output())
    return select(2, http.request(url .. "/config/")) == 200
  end)
  self:provision(settings.redirect_uri)
  return self
end

function Glewlwyd:stop()
  self.child:stop()
  process.remove_directory(self.directory)
end

return glewlwyd
