--- The shortest way to a token: one look into the memory handler, one check of the clock. Plain
--- Lua, because it measured no slower than C on Lua 5.4 and three times as fast on LuaJIT.

local core = require "tokencache._core"
local observer = require "tokencache.observer"
local token_info = require "tokencache.token_info"

local flat, unix_time = token_info.flat, core.now

--- A `get_access_token` for one flow over a memory handler.
---@param flow tokencache.Flow
---@param box table       element 1 is the token_info that the handler holds
---@param slow fun(self: tokencache.Flow, opts?: table): tokencache.TokenInfo?, tokencache.Error?,
---   string?  the last one is what is wrong with the call
---@return fun(self: tokencache.Flow, opts?: table): string?, tokencache.Error?
return function(flow, box, slow)
  local process = flow.process
  local checked = false     -- the token_info found to be of this client, with the scopes wanted
  local expires_at          -- its own, a number
  local first, last         -- Unix seconds from which and up to which it serves
  local moment              -- the last one at which it was found to serve

  return function(self, opts)
    local info = box[1]
    if info == checked and info.expires_at == expires_at and opts == nil and self == flow
      and process.owing == 0 and not observer.on then
      local now = unix_time()
      if now == moment then
        return info.access_token
      elseif now <= last and now >= first then
        moment = now
        return info.access_token
      end
    elseif info and opts == nil and type(info.expires_at) == "number" then
      local from, until_ = flow.client:window(flat(info))
      if from then
        checked, expires_at, moment = info, info.expires_at, nil
        first, last = from, until_
      end
    end
    local err, problem
    info, err, problem = slow(self, opts)
    if info then
      return info.access_token
    elseif problem then
      error("get_access_token: " .. problem, 2)
    end
    return nil, err
  end
end
