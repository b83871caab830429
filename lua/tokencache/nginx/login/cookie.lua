--- Cookies of the gateway: one for the session, and one for each login that has begun.
---
--- Where browsers come by https their names begin with "__Host-", which no other host can set, nor
--- a page that came by http (RFC 6265bis §4.1.3.2).

local log = require "tokencache.log"
local ngx = require("tokencache.environment").nginx

local cookie = {}

local HOST, SECURE = "__Host-", "__Secure-"

---@class tokencache.CookieSettings
---@field session string     the name of the session's
---@field login string       what the names of the others begin with
---@field attributes string  of all
---@field domain string      one more, of the session's
---@field max_age? integer   of the session's, in seconds; nil: until the browser ends

local bases = {}  -- by what the names of each gateway's cookies begin behind such a prefix: true
local owners = {} -- by host and name: whose sessions they are

---@param checked table  options
---@param owner string   gateways of the same one may share their cookies
---@return tokencache.CookieSettings
function cookie.settings(checked, owner)
  local name, domain = checked.cookie.name, checked.cookie.domain
  -- Browsers do not tell ports apart.
  local host = domain or checked.public_url:match("//(.*)"):gsub(":%d+$", "")
  local place = host .. " " .. name
  if owners[place] and owners[place] ~= owner then
    log.once("warning", "cookie: " .. place, 'nginx.login: another gateway at ', host,
      ' has a cookie "', name, '", too; give each its own cookie.name, or a login at one ends that '
      .. "at the other")
  end
  bases[name], owners[place] = true, owner
  local is_https = checked.is_https
  return {
    session = (not is_https and "" or domain and SECURE or HOST) .. name,
    login = (is_https and HOST or "") .. name .. "-login-",
    -- Lax, not Strict: it must come along when the provider sends the browser back
    attributes = "; Path=/; HttpOnly; SameSite=Lax" .. (is_https and "; Secure" or ""),
    domain = domain and "; Domain=" .. domain or "",
    max_age = checked.cookie.remember and math.ceil(checked.lifetime) or nil,
  }
end

--- The value of the cookie of that name in a header Cookie. Of two values one is not the browser's
--- own: neither counts.
---@param header? string
---@param name string
---@return string?
---@return true? is_double
function cookie.read(header, name)
  local found
  for piece in (header or ""):gmatch("[^;]+") do
    local other, value = piece:match("^%s*([^=%s]+)%s*=%s*(.-)%s*$")
    if other == name then
      if found and found ~= value then
        return nil, true
      end
      found = value
    end
  end
  return found
end

local PIECE = 4000    -- bytes of a name and a value: browsers take 4096
local MOST_PIECES = 9

local function name_of_piece(settings, i)
  return i == 1 and settings.session or settings.session .. "-" .. i
end

--- What a browser holds of its session. A long value is in several cookies, and the first begins
--- with their number and a dot.
---@param header? string  Cookie
---@param settings tokencache.CookieSettings
---@return string?
function cookie.read_session(header, settings)
  local value = cookie.read(header, settings.session)
  local count, first = (value or ""):match "^([2-9])%.(.*)$"
  if not count then
    return value
  end
  local pieces = { first }
  for i = 2, tonumber(count) do
    pieces[i] = cookie.read(header, name_of_piece(settings, i))
    if not pieces[i] then
      return nil
    end
  end
  return table.concat(pieces)
end

local function is_a_gateways(name)
  name = name:gsub("^__Host%-", ""):gsub("^__Secure%-", "")
  for base in pairs(bases) do
    if name == base or name:sub(1, #base + 1) == base .. "-" then
      return true
    end
  end
  return false
end

--- What of a header Cookie is the application's, and no gateway's of this nginx.
---@param header string
---@return string?  nil: nothing
function cookie.of_application(header)
  local kept = {}
  for piece in header:gmatch("[^;]+") do
    if not is_a_gateways(piece:match "^%s*([^=%s]*)") then
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

--- The headers Set-Cookie by which a browser holds that of its session, and nothing else.
---@param settings tokencache.CookieSettings
---@param value string    "": nothing
---@param header? string  Cookie: what it has
---@return string[]
function cookie.write_session(settings, value, header)
  local room = PIECE - #name_of_piece(settings, MOST_PIECES) - #"=9."
  local count, list = math.max(1, math.ceil(#value / room)), {}
  for i = 1, MOST_PIECES do
    local name = name_of_piece(settings, i)
    local piece = value:sub((i - 1) * room + 1, i * room)
    if i <= count then
      piece = i == 1 and count > 1 and count .. "." .. piece or piece
      list[i] = cookie.write(settings, name, piece, settings.max_age)
    elseif (header or ""):find(name .. "=", 1, true) then
      list[#list + 1] = cookie.write(settings, name, "")
    end
  end
  return list
end

--- Sends cookies with an answer of the application's, which no cache may give to others then.
---@param cookies string[]
function cookie.give(cookies)
  local there = ngx.header["Set-Cookie"]
  for _, other in ipairs(type(there) == "table" and there or { there }) do
    cookies[#cookies + 1] = other
  end
  ngx.header["Set-Cookie"] = cookies
  ngx.header["Cache-Control"] = "private" -- beside the application's own
end

return cookie
