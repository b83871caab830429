--- Django's table of sessions, in whatever understands SQL. It is what `session.django` wants of a
--- `database`: two methods, which may yield.
---
---     database:load(key)                       --> data, expires; nil: no such row; nil, err
---     database:save(key, data, expires, old)   --> true; false: `old` is not there; nil, err
---
--- `expires` is in Unix seconds. Without `data` the row is removed; without `old` there is none.

local errors = require "tokencache.error"
local timestamp = require "tokencache.util.timestamp"

---@class tokencache.SessionDatabase
---@field load fun(self, key: string): string?, any, any
---@field save fun(self, key: string, data?: string, expires?: number, old?: string): boolean?, any
local Database = {}
Database.__index = Database

--- Keys and signed data hold nothing that SQL would take for its own.
local function quoted(text)
  return not text:find "[^%w.:_=-]" and "'" .. text .. "'" or nil
end

--- The lines behind a problem's first one may show a key.
local function execute(self, sql)
  local result, problem = self.run(sql)
  if result == nil then
    return nil, errors.new("cache", self.where .. ": the database has failed: "
      .. tostring(problem):match "^[^\n]*")
  end
  return result
end

function Database:load(key)
  local rows, err = execute(self, ("SELECT session_data, expire_date FROM %s "
    .. "WHERE session_key = %s"):format(self.table, quoted(key) or "''"))
  if not rows then
    return nil, err
  end
  local row = rows[1]
  if not row then
    return nil
  end
  local date = tostring(row.expire_date):gsub("([+-]%d%d)$", "%1:00")
  local expires = timestamp.read(date)
  if not expires then
    return nil, errors.new("cache", self.where .. ": expire_date is no date")
  end
  return row.session_data, expires
end

function Database:save(key, data, expires, old)
  local name, was = quoted(key), old and quoted(old)
  local text = data and quoted(data)
  if not name or old and not was or data and not text then
    return nil, errors.new("cache", self.where
      .. ": the session holds characters that Django's do not")
  end
  local date = data and os.date("!'%Y-%m-%d %H:%M:%S", math.floor(expires)) .. self.zone .. "'"
  local condition = (" WHERE session_key = %s AND session_data = %s"):format(name, was or "''")
  local result, err
  if not old then
    result, err = execute(self, ("INSERT INTO %s (session_key, session_data, expire_date) "
      .. "VALUES (%s, %s, %s)"):format(self.table, name, text, date))
  elseif data then
    result, err = execute(self, ("UPDATE %s SET session_data = %s, expire_date = %s"):format(
      self.table, text, date) .. condition)
  else
    result, err = execute(self, "DELETE FROM " .. self.table .. condition)
  end
  if not result then
    return nil, err
  end
  return tonumber(result.affected_rows) == 1
end

---@param where string  the constructor's name, for messages
---@param name string   the table's
---@param zone string   behind a date in UTC
---@param run fun(sql: string): table?, any  rows by the names of columns, or how many were
---   changed as `affected_rows`; nil and what is wrong
---@return tokencache.SessionDatabase  to be kept before it is returned: a tail call would leave the
---   one to blame out
return function(where, name, zone, run)
  if name:find "[^%w_.]" then
    error(where .. ": table is no name", 3)
  end
  return setmetatable({ where = where, table = name, zone = zone, run = run }, Database)
end
