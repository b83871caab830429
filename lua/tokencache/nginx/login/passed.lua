--- What a request was let through with. An internal redirect (index, try_files, error_page,
--- X-Accel-Redirect) may lead it to another location of the gateway's, where its header Cookie has
--- no session any more, and nginx has dropped ngx.ctx.

local ngx = require("tokencache.environment").nginx

local passed = {}

local MOST = 5000 -- requests, after which those before are forgotten that are twice as old

---@class tokencache.PassedRequests
---@field package newer table<string, tokencache.LoginSession>  by request
---@field package older table<string, tokencache.LoginSession>
---@field package count integer  of the newer ones

---@return tokencache.PassedRequests
function passed.new()
  return { newer = {}, older = {}, count = 0 }
end

--- No other request has it: nginx counts connections, for all workers, and a connection's requests.
local function name_of_request()
  local var = ngx.var
  return var.connection .. ":" .. var.connection_requests
end

---@param all tokencache.PassedRequests
---@param found tokencache.LoginSession
function passed.note(all, found)
  if all.count >= MOST then
    all.newer, all.older, all.count = {}, all.newer, 0
  end
  all.newer[name_of_request()], all.count = found, all.count + 1
end

--- The session of a request that nginx has sent on.
---@param all tokencache.PassedRequests
---@return tokencache.LoginSession?  nil: it has none, or was not let through before
function passed.find(all)
  if not ngx.req.is_internal() then
    return nil
  end
  local name = name_of_request()
  local found = all.newer[name] or all.older[name]
  return found and ngx.var.http_cookie == found.cookie and found or nil
end

return passed
