--- A real authorization server, Debian's django-oauth-toolkit, for the length of a spec.
---
---     local server = django_provider.start()
---     server.issuer            -- http://127.0.0.1:PORT/o
---     server.clients.machine, server.clients.web, server.clients.public
---                              -- { client_id=, client_secret= }; the last two for logins, at
---                              -- django_provider.REDIRECT_URI
---     server:login(url)        -- as alice, who agrees; the URL that the browser is sent to
---     server:stop()

local http = require "socket.http"
local process = require "support.process"

local django_provider = {
  REDIRECT_URI = "http://127.0.0.1:8123/callback",
}

---@class DjangoProvider
---@field issuer string
---@field clients table<string, { client_id: string, client_secret?: string }>
local DjangoProvider = {}
DjangoProvider.__index = DjangoProvider

---@return DjangoProvider
function django_provider.start()
  local child = process.start({ "/usr/bin/python3", "tests/servers/django_provider.py" },
    { ready = true, directory = os.getenv("PWD") })
  return setmetatable({
    child = child,
    issuer = child.ready,
    clients = {
      machine = { client_id = "machine", client_secret = "machine-secret" },
      web = { client_id = "web", client_secret = "web-secret" },
      public = { client_id = "public" },
    },
  }, DjangoProvider)
end

---@param authorize_url string
---@return string response_url
function DjangoProvider:login(authorize_url) -- luacheck: ignore 212
  local body, status, headers = http.request { url = authorize_url, redirect = false }
  assert(status == 302, body)
  return headers.location
end

function DjangoProvider:stop()
  self.child:stop()
end

return django_provider
