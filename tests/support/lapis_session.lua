--- Stands for the sessions of Lapis: a table that reads the request's cookie when it is first
--- looked into, and whose assignments go into the response's. Lapis signs the cookie, which holds
--- lua-cjson's JSON; it does not hide it.
---
---     local session = lapis_session.lazy(request)  -- request.cookies.session
---     lapis_session.write(session)                 -- what Lapis does when the response goes out

local cjson = require "cjson"

local lapis_session = {}

local function index(session, key)
  local meta = getmetatable(session)
  local text = meta.request.cookies.session
  meta.__index = text and cjson.decode(text) or {}
  return meta.__index[key]
end

local function newindex(session, key, value)
  local meta = getmetatable(session)
  meta[#meta + 1] = key
  rawset(session, key, value)
end

function lapis_session.lazy(request)
  return setmetatable({}, { __index = index, __newindex = newindex, request = request })
end

---@return boolean whether there was anything to write
function lapis_session.write(session)
  local meta = getmetatable(session)
  if next(session) == nil and not meta[1] then
    return false
  end
  local all, _ = {}, session[{}]
  for key, value in pairs(meta.__index) do all[key] = value end
  for key, value in pairs(session) do all[key] = value end
  for _, key in ipairs(meta) do
    if rawget(session, key) == nil then
      all[key] = nil
    end
  end
  meta.request.cookies.session = cjson.encode(all)
  return true
end

return lapis_session
