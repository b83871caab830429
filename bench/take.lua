--- Contestants that take a fresh token out of a cache, which holds bench.token_info.

local contestant = require "bench.contestant"
local new_flow = require "bench.new_flow"
local token_info = require "bench.token_info"

local take = {}

--- As a flow takes it.
---@param cache table|userdata
function take.token(cache)
  local flow = new_flow(cache)
  contestant(function(times)
    local token
    for _ = 1, times do
      token = flow:get_access_token()
    end
    assert(token == token_info.access_token)
  end)
end

--- As the handler gives it: a table of the caller's own.
---@param cache table|userdata
function take.token_info(cache)
  contestant(function(times)
    local info
    for _ = 1, times do
      info = cache:get_cached_token()
    end
    assert(info.access_token == token_info.access_token)
  end)
end

return take
