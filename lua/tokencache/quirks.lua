--- What providers want and answer otherwise than the RFCs say: put right on the way out and in. The
--- fields that say so are those of tokencache.Provider.

local core = require "tokencache._core"
local endpoint = require "tokencache.transport.endpoint"
local options = require "tokencache.util.options"
local protected = require "tokencache.util.protected"
local provider = require "tokencache.provider"

local quirks = {}

--- What a function of the provider's has come to, for a message. What it says itself may hold
--- secrets: it has seen them.
local function failure(name, err)
  local place = type(err) == "string" and err:match "^[%w_./\\-]+%.lua:%d+"
  return "the provider's " .. name .. " raised an error" .. (place and " at " .. place or "")
    .. "; what it says is not shown, as it may hold secrets"
end

local function problem_of_request(flow, request)
  if request.method ~= "POST" and request.method ~= "GET" then
    return "method must be POST or GET"
  elseif type(request.url) ~= "string" or type(request.body or "") ~= "string" then
    return "url and body must be strings"
  end
  return core.problem_of_endpoint("url", request.url, flow.allow_insecure_http)
    or provider.problem_of_headers(request.headers)
end

--- Lets the provider's function change a request.
---@param flow tokencache.Flow
---@param request tokencache.HttpRequest  changed in place
---@return string? problem
function quirks.change(flow, request)
  if not flow.on_request then
    return nil
  end
  local shown = { method = request.method, url = request.url, headers = request.headers,
    body = request.body }
  local ok, err = protected(flow.on_request, shown)
  if not ok then
    return failure("on_request", err)
  end
  local problem = problem_of_request(flow, shown)
  if problem then
    return "the provider's on_request left a request that cannot be sent: " .. problem
  end
  request.method, request.url = shown.method, shown.url
  request.headers, request.body = shown.headers, shown.body
end

--- Puts right what an answer means but does not say, and warns of what that of a login lacks.
---@param flow tokencache.Flow
---@param object table  the answer's, changed in place
---@param renews? boolean  it answers a refresh token
function quirks.mend(flow, object, renews)
  local scope, token_type = object.scope, object.token_type
  if type(scope) == "table" then
    object.scope = options.joined(scope) -- Twitch's
  end
  if flow.token_types and type(token_type) == "string" and flow.token_types[token_type:lower()] then
    object.token_type = "Bearer"
  end
  if object.access_token and not renews and flow.may_log_in ~= nil then -- a person's
    require "tokencache.flow.ungranted"(flow, object)
  end
end

--- What the provider's functions see of an answer, and may change.
---@class tokencache.Answer
---@field status integer
---@field object? table   what its JSON says
---@field body? string
---@field headers? table<string, string>  names in lower case; for on_answer

---@return tokencache.Answer
local function new_answer(response)
  return { status = response.status, object = endpoint.object(response), body = response.body }
end

--- Lets the provider's function change an answer. Where it fails, the answer stays what it was.
local function changed(flow, response)
  local answer = new_answer(response)
  answer.headers = response.headers
  local ok, err = protected(flow.on_answer, answer)
  local status, object = answer.status, answer.object
  if not ok then
    return new_answer(response), failure("on_answer", err)
  elseif type(status) ~= "number" or status < 100 or status > 999
    or object ~= nil and type(object) ~= "table" then
    return new_answer(response), "the provider's on_answer must leave a number as status, and a "
      .. "table or nil as object"
  end
  return answer
end

--- Reports whether an answer says in the provider's own way that the refresh token is dead. One
--- with a token never does.
local function is_dead(flow, answer)
  if not flow.calls_dead or answer.object and answer.object.access_token ~= nil then
    return false
  end
  local ok, dead = protected(flow.calls_dead, answer)
  if not ok then
    return false, failure("dead_refresh_token", dead)
  end
  return dead and true or false
end

--- Reads an answer of the token endpoint.
---@param flow tokencache.Flow
---@param response tokencache.HttpResponse
---@param renews boolean  it answers a refresh token
---@return tokencache.Answer
---@return boolean dead     that refresh token is
---@return string? problem  with the provider's functions
function quirks.read(flow, response, renews)
  local answer, problem, dead
  if flow.on_answer then
    answer, problem = changed(flow, response)
  else
    answer = new_answer(response)
  end
  if answer.object then
    quirks.mend(flow, answer.object, renews)
  end
  if renews and not problem then
    dead, problem = is_dead(flow, answer)
  end
  return answer, dead or false, problem
end

return quirks
