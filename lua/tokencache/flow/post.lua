--- Requests to endpoints of the provider that are not part of a run of the engine.

local client_authentication = require "tokencache.flow.client_authentication"
local core = require "tokencache._core"
local endpoint = require "tokencache.transport.endpoint"
local errors = require "tokencache.error"

---@return tokencache.HttpResponse?
---@return tokencache.Error?
---@return string? sent
---@return boolean? is_outdated  the client has something newer to prove itself with
local function send(flow, url, body, deadline, is_token_request, key)
  local timeout = deadline - flow.io.monotonic()
  if timeout <= 0 then
    return nil, errors.new("timeout", "there was no time left to ask " .. url), body
  end
  local request, sent = client_authentication.request(flow, url, body, timeout, deadline,
    is_token_request, key)
  if not request then
    return nil, sent, body
  end
  local response, err = endpoint.send(flow.transport, request)
  if flow.issuer then
    require("tokencache.discovery").note(flow, response, err)
  end
  local is_outdated = client_authentication.is_outdated(flow, request, response, err)
  if response then
    return response, nil, sent, is_outdated
  end
  return nil, errors.new(err.kind, core.hide(err.message, sent)), sent, is_outdated
end

--- Posts a form, authenticated as the flow's client. What the error says repeats no secret of it.
---@param flow tokencache.Flow
---@param url string
---@param params string[]   { name, value, ... }
---@param deadline number   monotonic seconds
---@param is_token_request? boolean  it goes to the token endpoint
---@param key? table         that the token is to be bound to, see tokencache.dpop
---@return tokencache.HttpResponse?
---@return tokencache.Error?
---@return string sent  what no message may repeat, see core.hide
return function(flow, url, params, deadline, is_token_request, key)
  local body = flow.client:form(params, is_token_request)
  local response, err, sent, is_outdated = send(flow, url, body, deadline, is_token_request, key)
  if is_outdated then
    response, err, sent = send(flow, url, body, deadline, is_token_request, key)
  end
  return response, err, sent
end
