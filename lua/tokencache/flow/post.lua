--- Requests to endpoints of the provider that are not part of a run of the engine.

local endpoint = require "tokencache.transport.endpoint"
local errors = require "tokencache.error"
local quirks = require "tokencache.quirks"

--- Posts a form, authenticated as the flow's client. What the error says repeats no secret of it.
---@param flow tokencache.Flow
---@param url string
---@param params string[]   { name, value, ... }
---@param deadline number   monotonic seconds
---@param held? tokencache.Lock  it lasts meanwhile
---@param is_token_request? boolean  it goes to the token endpoint
---@return tokencache.HttpResponse?
---@return tokencache.Error?
---@return string body  that was sent
return function(flow, url, params, deadline, held, is_token_request)
  local body, authorization = flow.client:request(params, is_token_request)
  local timeout = deadline - flow.io.monotonic()
  if timeout <= 0 then
    return nil, errors.new("timeout", "there was no time left to ask " .. url), body
  end
  local request = endpoint.request(flow, url, authorization, body, timeout, deadline)
  local problem = is_token_request and quirks.change(flow, request)
  if problem then
    return nil, errors.new("config", problem), body
  end
  if held then
    held:cover(flow.transport, request)
  end
  local response, err = endpoint.send(flow.transport, request)
  if flow.issuer then
    require("tokencache.discovery").note(flow, response, err)
  end
  if response then
    return response, nil, body
  end
  return nil, errors.new(err.kind, flow.client:hide(err.message, body)), body
end
