--- Django's table of sessions by LuaSQL: for scripts, which may block.

local database = require "tokencache.session.database"
local options = require "tokencache.util.options"

local WHERE = "session.luasql"
local RULES = { connection = { "object", required = true },
  table = { "string", default = "django_session" } }

---@class tokencache.LuaSqlOptions
---@field connection any  of luasql.sqlite3 or luasql.postgres, which commits by itself
---@field table? string   default "django_session"

--- PostgreSQL keeps dates with a zone, SQLite as text: in UTC, where the application has USE_TZ.
---@param opts tokencache.LuaSqlOptions
---@return tokencache.SessionDatabase
return function(opts)
  local checked = options.check(WHERE, opts, RULES)
  local connection = checked.connection
  local zone = tostring(connection):find "PostgreSQL" and "+00" or ""
  local made = database(WHERE, checked.table, zone, function(sql)
    local result, problem = connection:execute(sql)
    if not result then
      return nil, problem
    elseif tonumber(result) then
      return { affected_rows = result }
    end
    local row = result:fetch({}, "a")
    result:close()
    return { row }
  end)
  return made
end
