--- The shortest look into two tiers where an event loop runs, as in nginx: what was found is not
--- looked for again within the same turn of the loop. Requests that a loop answers in one turn come
--- at the same time, and so see the same token.

local misused = require("tokencache.flow.config").misused

--- Seconds that a token must serve beyond the leeway to be kept for a turn: no turn is as long.
local LONGEST_TURN = 10

--- A `peek_access_token` for one flow.
---@param flow tokencache.Flow
---@param io tokencache.Io
---@param slow fun(self: tokencache.Flow): string?, tokencache.Error?
---@return fun(self: tokencache.Flow): string?, tokencache.Error?
return function(flow, io, slow)
  local cache, turn = flow.cache, io.turn
  local short = not io.turns_are_short or nil -- whether turns are; nil: not known yet
  local token, seen_in, changes -- the token; the turn; the changes to the cache before the look

  return function(self)
    local this, gone_through = turn(), cache.changes
    if self == flow and token and this == seen_in and gone_through == changes
      and not flow.unsaved then
      return token
    end
    local problem = misused(self)
    if problem then
      error("peek_access_token: " .. problem, 2)
    end
    token = nil
    local found, err = slow(self)
    local judged = flow.judged
    if short == nil then
      short = io.turns_are_short()
    end
    if short and found and found == judged.token
      and judged.ends - flow.now() >= flow.leeway + LONGEST_TURN then
      token, seen_in, changes = found, this, gone_through
    end
    return found, err
  end
end
