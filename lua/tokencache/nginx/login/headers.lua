--- The headers by which the application knows its user. The same from outside never get through,
--- also if they come twice or in a form that some servers take for the same: X_User, X.User.

local log = require "tokencache.log"
local ngx = require("tokencache.environment").nginx

local headers = {}

--- As CGI has it (RFC 3875 §4.1.18), and what is like it.
local function plain(name)
  return (name:lower():gsub("[^a-z0-9]", "-"))
end

--- Says so where they ask for claims that nothing will bring.
---@param checked table  options
---@param flow tokencache.UserFlow
function headers.warn_of_missing(checked, flow)
  local names = {}
  for name in pairs(checked.headers) do
    names[#names + 1] = name
  end
  if names[1] and not flow.openid and not checked.userinfo then
    table.sort(names)
    log.warning("nginx.login: nobody tells who the user is, so headers will be missing: ",
      table.concat(names, ", "), "; ask for the scope openid of an issuer, or set userinfo")
  end
end

---@class tokencache.GuardedHeaders
---@field package names table<string, true>    of the gateway's headers, plain
---@field package drops table<string, boolean>  by name as it came: whether it looks like one
---@field package count integer                of those

local MOST = 1000 -- names that are remembered

---@param checked table  options
---@return tokencache.GuardedHeaders
function headers.guarded(checked)
  local names = { [plain "Authorization"] = checked.authorization or nil }
  for name in pairs(checked.headers) do
    names[plain(name)] = true
  end
  return { names = names, drops = {}, count = 0 }
end

local INEXACT = 2 ^ 53 -- from there on numbers run together, and users would

local function text_of(value)
  local kind = type(value)
  if kind == "number" then
    return math.abs(value) < INEXACT and ("%.16g"):format(value) or nil
  end
  return (kind == "string" or kind == "boolean") and tostring(value) or nil
end

--- A header is no place for line ends, and an empty one may be none.
local function safe(value)
  local text = text_of(value)
  return text and text:find "^%C+$" and text or nil
end

--- Roles, groups. One whose name has a comma in it must not pass for two.
local function joined(list)
  local parts = {}
  for _, part in ipairs(list) do
    local text = safe(part)
    parts[#parts + 1] = text and not text:find(",", 1, true) and text or nil
  end
  return parts[1] and table.concat(parts, ",")
end

local function value_of(claim)
  return type(claim) == "table" and joined(claim) or safe(claim)
end

--- What requests are passed on with: a list of name, value, name, value; false: without it.
---@param checked table   options
---@param claims table
---@param token? string
---@return table
function headers.of(checked, claims, token)
  local list = {}
  if checked.authorization then
    list[1], list[2] = "Authorization", token and "Bearer " .. token or false
  end
  for name, claim in pairs(checked.headers) do
    list[#list + 1] = name
    list[#list + 1] = value_of(claims[claim]) or false
  end
  return list
end

--- Set_header leaves none of the same name beside its own. The names that are left to look for have
--- something in them that is neither letter, digit nor dash.
local function judge(guarded, name)
  if guarded.count == MOST then
    guarded.drops, guarded.count = {}, 0
  end
  local drops = name:find "[^%w-]" ~= nil and guarded.names[plain(name)] == true
  guarded.drops[name], guarded.count = drops, guarded.count + 1
  return drops
end

local function drop_lookalikes(guarded)
  for name in pairs(ngx.req.get_headers(0, true)) do -- 0: all of them
    local drops = guarded.drops[name]
    if drops == nil then
      drops = judge(guarded, name)
    end
    if drops then
      ngx.req.clear_header(name)
    end
  end
end

---@param guarded tokencache.GuardedHeaders
---@param list table  of `of`
---@param cookie? string  nil: none
function headers.put(guarded, list, cookie)
  drop_lookalikes(guarded)
  for i = 1, #list, 2 do
    if list[i + 1] then
      ngx.req.set_header(list[i], list[i + 1])
    else
      ngx.req.clear_header(list[i])
    end
  end
  if cookie then
    ngx.req.set_header("Cookie", cookie)
  else
    ngx.req.clear_header "Cookie"
  end
end

return headers
