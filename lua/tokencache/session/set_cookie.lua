--- The value of a header Set-Cookie, as the frameworks write it.

local errors = require "tokencache.error"

local MOST = 4093 -- bytes: what every browser keeps, attributes included

local DAYS = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" }
local MONTHS = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov",
  "Dec" }

--- In English, whatever the locale.
local function http_date(seconds)
  local date = os.date("!*t", math.floor(seconds))
  return ("%s, %02d %s %04d %02d:%02d:%02d GMT"):format(DAYS[date.wday], date.day,
    MONTHS[date.month], date.year, date.hour, date.min, date.sec)
end

local set_cookie = {}

---@class tokencache.SessionCookieOptions
---@field cookie? string       the cookie's value; nil or "": a new session
---@field cookie_name? string  default: as the framework's
---@field path? string         of the cookie, as are those that follow; default "/"
---@field domain? string
---@field secure? boolean
---@field http_only? boolean   default true
---@field same_site? string
---@field clock? fun(): number  returns Unix seconds

--- The options of a session that are about its cookie.
set_cookie.RULES = {
  cookie = { "string" },
  cookie_name = { "string" },
  path = { "string", default = "/" },
  domain = { "string" },
  secure = { "boolean" },
  http_only = { "boolean", default = true },
  same_site = { "string" },
}

local TEXTS = { "cookie_name", "path", "domain", "same_site" }

--- Refuses what would end the header or begin another attribute.
function set_cookie.problem(checked)
  for i = 1, #TEXTS do
    local name = TEXTS[i]
    local value = rawget(checked, name) -- the defaults are right
    if value and (value:find("[%c;,]") or (name == "cookie_name" and value:find("[%s=]"))) then
      return name .. " holds a character that a cookie cannot have"
    end
  end
end

---@param where string
---@param checked table      options
---@param value string       "": the browser is to forget it
---@param expires? number    Unix seconds; nil: with the browser
---@param max_age? number    seconds
---@return string?
---@return tokencache.Error?
function set_cookie.write(where, checked, value, expires, max_age)
  if value == "" then
    expires, max_age = 0, 0
  end
  local text = table.concat {
    checked.cookie_name, "=", value,
    checked.domain and "; Domain=" .. checked.domain or "",
    expires and "; Expires=" .. http_date(expires) or "",
    max_age and ("; Max-Age=%.0f"):format(max_age) or "",
    checked.secure and "; Secure" or "",
    checked.http_only and "; HttpOnly" or "",
    "; Path=", checked.path,
    checked.same_site and "; SameSite=" .. checked.same_site or "",
  }
  if #text > MOST then
    return nil, errors.new("cache", ("%s: the cookie would have %d bytes, and browsers keep %d; "
      .. "keep the session on the server"):format(where, #text, MOST), { code = "TOO_LARGE" })
  end
  return text
end

return set_cookie
