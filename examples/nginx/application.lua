-- Stands for an application behind the login gateway: knows its user by the token in the request.
local json = require "tokencache.json"

local application = {}

local function escape(text)
  return (tostring(text):gsub("[&<>\"']", function(c) return ("&#%d;"):format(c:byte()) end))
end

function application.page()
  local answer = ngx.location.capture "/user"
  if answer.status ~= 200 then
    ngx.status = 502
    return ngx.say("<!DOCTYPE html><title>Example</title><p>The provider answered with status ",
      answer.status, ".")
  end
  local user = json.decode(answer.body) or {}
  ngx.header["Cache-Control"] = "no-store"
  ngx.say("<!DOCTYPE html><title>Example</title><p>You are at ", escape(ngx.var.request_uri),
    ", logged in as ", escape(user.id or user.sub), ".",
    '<form method="post" action="/logout"><button>Log out</button></form>')
end

return application
