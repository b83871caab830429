--- Django's table of sessions, by LuaSQL: for scripts, which may block.
---
--- It is what `session.django` wants of a `database`: two methods, which may yield.
---
---     database:load(key)                       --> data, expires; nil: no such row; nil, err
---     database:save(key, data, expires, old)   --> true; false: `old` is not there; nil, err
---
--- `expires` is in Unix seconds. Without `data` the row is removed; without `old` there is none.

local errors = require "tokencache.error"
local options = require "tokencache.util.options"
local timestamp = require "tokencache.util.timestamp"

local WHERE = "session.luasql"
local RULES = { connection = { "object", required = true },
  table = { "string", default = "django_session" } }

---@class tokencache.SessionDatabase
---@field load fun(self, key: string): string?, any, any
---@field save fun(self, key: string, data?: string, expires?: number, old?: string): boolean?, any
local Database = {}
Database.__index = Database

--- Keys and signed data hold nothing that SQL would take for its own.
local function quoted(text)
  return not text:find "[^%w.:_=-]" and "'" .. text .. "'" or nil
end

local function execute(self, sql)
  local result, problem = self.connection:execute(sql)
  if result == nil or result == false then
    return nil, errors.new("cache", WHERE .. ": the database has failed: " .. tostring(problem))
  end
  return result
end

function Database:load(key)
  local cursor, err = execute(self, ("SELECT session_data, expire_date FROM %s "
    .. "WHERE session_key = %s"):format(self.table, quoted(key) or "''"))
  if not cursor then
    return nil, err
  end
  local data, date = cursor:fetch()
  cursor:close()
  if data == nil then
    return nil
  end
  local expires = timestamp.read((tostring(date):gsub("([+-]%d%d)$", "%1:00")))
  if not expires then
    return nil, errors.new("cache", WHERE .. ": expire_date is no date")
  end
  return data, expires
end

function Database:save(key, data, expires, old)
  local name, was = quoted(key), old and quoted(old)
  local text = data and quoted(data)
  if not name or old and not was or data and not text then
    return nil, errors.new("cache", WHERE .. ": the session holds characters that Django's do not")
  end
  local date = data and os.date("!'%Y-%m-%d %H:%M:%S", math.floor(expires)) .. self.zone .. "'"
  local condition = (" WHERE session_key = %s AND session_data = %s"):format(name, was or "''")
  local count, err
  if not old then
    count, err = execute(self, ("INSERT INTO %s (session_key, session_data, expire_date) "
      .. "VALUES (%s, %s, %s)"):format(self.table, name, text, date))
  elseif data then
    count, err = execute(self, ("UPDATE %s SET session_data = %s, expire_date = %s"):format(
      self.table, text, date) .. condition)
  else
    count, err = execute(self, "DELETE FROM " .. self.table .. condition)
  end
  if not count then
    return nil, err
  end
  return count == 1 or count == "1"
end

--- PostgreSQL keeps dates with a zone, SQLite as text: in UTC, where the application has USE_TZ.
---@param opts { connection: any, table?: string }  connection: of luasql.sqlite3 or
---   luasql.postgres, which commits by itself
---@return tokencache.SessionDatabase
return function(opts)
  local checked = options.check(WHERE, opts, RULES)
  if checked.table:find "[^%w_.]" then
    error(WHERE .. ": table is no name", 2)
  end
  checked.zone = tostring(checked.connection):find "PostgreSQL" and "+00" or ""
  return setmetatable(checked, Database)
end
