--- What a request was let through with. An internal redirect (index, try_files, error_page,
--- X-Accel-Redirect) may lead it to another location of the gateway's, where its header Cookie has
--- no session any more, and nginx has dropped ngx.ctx.

local ngx = require("tokencache.environment").nginx

local passed = {}

local MOST = 5000 -- requests of which a worker knows at the least

---@class tokencache.PassedUser
---@field claims table
---@field headers table  of the request since

---@class tokencache.PassedRequests
---@field package newer table<string, tokencache.PassedUser>  by request
---@field package older table<string, tokencache.PassedUser>
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
---@param user tokencache.PassedUser
function passed.note(all, user)
  if all.count >= MOST then
    all.newer, all.older, all.count = {}, all.newer, 0
  end
  all.newer[name_of_request()], all.count = user, all.count + 1
end

--- Reports whether the request still is what it has become here.
local function has_headers(list)
  local there = ngx.req.get_headers(0)
  for i = 1, #list, 2 do
    if (there[list[i]] or false) ~= list[i + 1] then
      return false
    end
  end
  return true
end

--- Who was let through with this request.
---@param all tokencache.PassedRequests
---@return tokencache.PassedUser?
function passed.user(all)
  local name = name_of_request()
  return all.newer[name] or all.older[name]
end

--- Whose a request is that nginx has sent on.
---@param all tokencache.PassedRequests
---@return tokencache.PassedUser?  nil: it was not let through before
function passed.find(all)
  local user = ngx.req.is_internal() and passed.user(all)
  return user and has_headers(user.headers) and user or nil
end

return passed
