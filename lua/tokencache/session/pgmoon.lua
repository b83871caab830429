--- Django's table of sessions in PostgreSQL by pgmoon: over cosockets, inside nginx. A cosocket is
--- of one phase of one request, so each statement takes a connection of the pool.

local database = require "tokencache.session.database"
local options = require "tokencache.util.options"

local WHERE = "session.pgmoon"
local RULES = { client = { "table", required = true, hint = "the options of pgmoon.new" },
  table = { "string", default = "django_session" } }

---@class tokencache.PgmoonOptions
---@field client table   the options of pgmoon.new: host, port, database, user, password, ...
---@field table? string  default "django_session"

---@param opts tokencache.PgmoonOptions
---@return tokencache.SessionDatabase
return function(opts)
  local checked = options.check(WHERE, opts, RULES)
  local pgmoon = require "pgmoon"
  local made = database(WHERE, checked.table, "+00", function(sql)
    local client = pgmoon.new(checked.client)
    local ok, problem = client:connect()
    if not ok then
      return nil, problem
    end
    local result
    result, problem = client:query(sql)
    if result and client.sock_type == "nginx" then
      client:keepalive()
    else -- after a failure an answer may still come
      client:disconnect()
    end
    return result or nil, problem
  end)
  return made
end
