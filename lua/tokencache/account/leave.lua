--- What a run tells its caller whose time is over, while the renewal goes on.

local debt = require "tokencache.account.debt"
local errors = require "tokencache.error"
local token_info = require "tokencache.token_info"

---@param run tokencache.Run
---@return tokencache.TokenInfo?  the old token, where it still works
---@return tokencache.Error?
return function(run)
  local flow, old = run.flow, run.infos.cache
  if old and not run.options.forced and old.access_token ~= run.options.refused
    and flow.client:works(flow.now(), token_info.flat(old)) then
    return old
  elseif run.busy or run.waited and not run.asked then
    return nil, debt.explanation(run) or errors.new("timeout",
      "the deadline passed while another process was getting the token")
  end
  return nil, errors.new("timeout", "the deadline passed while the token was being renewed, which "
    .. "goes on; ask again in a moment")
end
