--- Pushed authorization requests (RFC 9126): what is asked for goes to the provider directly, and
--- the browser carries a reference to it.

local endpoint = require "tokencache.transport.endpoint"
local errors = require "tokencache.error"

local pushed = {}

local discovery, post, refusal -- loaded when first used

--- Where a request is to be pushed; nil without an error: it need not be.
---@return string?
---@return tokencache.Error?
local function url_of(flow, deadline)
  local required = flow.requires_pushed_authorization
  local url = flow.endpoints.pushed_authorization_request_url
  if required == nil and not url and not flow.endpoints.authorize_url then
    discovery = discovery or require "tokencache.discovery"
    local metadata, err = discovery.ensure(flow, deadline)
    if not metadata then
      return nil, err
    end
    required = metadata.require_pushed_authorization_requests
  end
  if required or url and required == nil then
    return flow:_endpoint("pushed_authorization_request_url", deadline)
  end
end

--- What the browser carries in place of the parameters, where the provider wants it so.
---@param flow tokencache.UserFlow
---@param params string[]  of the authorization request: { name, value, ... }
---@return string[]?
---@return tokencache.Error?
function pushed.instead(flow, params)
  local deadline = flow.io.monotonic() + flow.timeout
  local url, err = url_of(flow, deadline)
  if not url then
    return not err and params or nil, err
  end
  post = post or require "tokencache.flow.post"
  local response, sent
  response, err, sent = post(flow, url, params, deadline)
  local object = response and endpoint.object(response) or {}
  if not response then
    return nil, err
  elseif response.status ~= 201 and response.status ~= 200 then
    refusal = refusal or require "tokencache.flow.refusal"
    return nil, refusal(url, response, sent, "check redirect_uri, authorize_params and what the "
      .. "provider's documentation asks for")
  elseif type(object.request_uri) ~= "string" or object.request_uri == "" then
    return nil, errors.new("protocol", url .. " answered without a request_uri (RFC 9126 §2.2); "
      .. "check pushed_authorization_request_url")
  end
  return { "client_id", flow.client_id, "request_uri", object.request_uri }
end

return pushed
