--- Cookies of the gateway: one for the session, and one for each login that has begun.
---
--- Where browsers come by https their names begin with "__Host-", which no other host can set, nor
--- a page that came by http (RFC 6265bis §4.1.3.2).

local cookie = {}

local HOST, SECURE = "__Host-", "__Secure-"

---@class tokencache.CookieSettings
---@field session string     the name of the session's
---@field login string       what the names of the others begin with
---@field base string        what all begin with behind such a prefix
---@field attributes string  of all
---@field domain string      one more, of the session's

---@param checked table  options
---@return tokencache.CookieSettings
function cookie.settings(checked)
  local name, domain = checked.cookie.name, checked.cookie.domain
  local is_https = checked.is_https
  return {
    base = name,
    session = (not is_https and "" or domain and SECURE or HOST) .. name,
    login = (is_https and HOST or "") .. name .. "-login-",
    -- Lax, not Strict: it must come along when the provider sends the browser back
    attributes = "; Path=/; HttpOnly; SameSite=Lax" .. (is_https and "; Secure" or ""),
    domain = domain and "; Domain=" .. domain or "",
  }
end

--- The value of the cookie of that name in a header Cookie. Of two values one is not the browser's
--- own: neither counts.
---@param header? string
---@param name string
---@return string?
function cookie.read(header, name)
  local found
  for piece in (header or ""):gmatch("[^;]+") do
    local other, value = piece:match("^%s*([^=%s]+)%s*=%s*(.-)%s*$")
    if other == name then
      if found and found ~= value then
        return nil
      end
      found = value
    end
  end
  return found
end

local function is_own(name, base)
  name = name:gsub("^__Host%-", ""):gsub("^__Secure%-", "")
  return name == base or name:sub(1, #base + 1) == base .. "-"
end

--- What of a header Cookie is the application's.
---@param header string
---@param settings tokencache.CookieSettings
---@return string?  nil: nothing
function cookie.of_application(header, settings)
  local kept = {}
  for piece in header:gmatch("[^;]+") do
    if not is_own(piece:match("^%s*([^=%s]*)"), settings.base) then
      kept[#kept + 1] = piece:match("^%s*(.-)%s*$")
    end
  end
  return kept[1] and table.concat(kept, "; ")
end

--- A header Set-Cookie.
---@param settings tokencache.CookieSettings
---@param name string
---@param value string  "": the browser is to forget it
---@param max_age? integer  seconds; default: until the browser ends
---@return string
function cookie.write(settings, name, value, max_age)
  max_age = value == "" and 0 or max_age
  return name .. "=" .. value .. settings.attributes
    .. (name:find(settings.login, 1, true) and "" or settings.domain)
    .. (max_age and "; Max-Age=" .. max_age or "")
end

return cookie
