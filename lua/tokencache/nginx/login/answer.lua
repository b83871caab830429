--- What the gateway itself answers to a browser.

local ngx = require("tokencache.environment").nginx

local answer = {}

local POLICY = "frame-ancestors 'none'; base-uri 'none'"

local function set_headers(cookies)
  ngx.header["Cache-Control"] = "no-store"
  if cookies then
    ngx.header["Set-Cookie"] = cookies
  end
end

local function escape(text)
  return (tostring(text):gsub("[&<>\"']", function(c) return ("&#%d;"):format(c:byte()) end))
end

---@param to string
---@param cookies? string[]
function answer.redirect(to, cookies)
  set_headers(cookies)
  return ngx.redirect(to, 303)
end

--- A page of one sentence, or the program's own.
---@param gateway tokencache.LoginGateway
---@param status integer
---@param message string
---@param more? string     HTML
---@param cookies? string[]
function answer.page(gateway, status, message, more, cookies)
  set_headers(cookies)
  ngx.status = status
  ngx.header["Content-Type"] = "text/html; charset=utf-8"
  ngx.header["X-Content-Type-Options"] = "nosniff"
  local own, text = gateway.options.page, escape(message)
  ngx.header["Content-Security-Policy"] = own and POLICY or POLICY .. "; default-src 'none'"
  ngx.print(own and own(status, text, more or "") or {
    '<!DOCTYPE html><html lang="en"><meta name="viewport" content="width=device-width">',
    ("<title>%s</title><p>%s"):format(text, text), more or "", "\n" })
  return ngx.exit(ngx.HTTP_OK) -- it is answered
end

---@param err tokencache.Error
function answer.note(err)
  ngx.log(ngx.ERR, "login: ", err.kind, ": ", tostring(err))
end

--- Something that is nobody's fault who sits at a browser.
---@param gateway tokencache.LoginGateway
---@param err tokencache.Error
---@param seconds? number  until it may work again
---@param cookies? string[]
function answer.unavailable(gateway, err, seconds, cookies)
  answer.note(err)
  if err.kind == "config" then
    return answer.page(gateway, 500, "This server is set up wrongly; its log tells more.", nil,
      cookies)
  end
  ngx.header["Retry-After"] = ("%d"):format(math.max(1, math.ceil(seconds or 1)))
  return answer.page(gateway, 503, "This does not work at the moment; try again later.", nil,
    cookies)
end

return answer
