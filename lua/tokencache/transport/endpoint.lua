--- Requests to the endpoints of an authorization server: a form is posted (RFC 6749 §3.2, RFC 7009
--- §2.1), or a document is asked for, and a JSON object comes back.

local errors = require "tokencache.error"

local endpoint = {}

local json -- loaded at the first answer

--- A request to a provider, with the headers that it wants over ours. Its answer is small, and an
--- encoding is one more thing that can go wrong with it.
---@param flow tokencache.Flow
---@param headers table<string, string>
---@return tokencache.HttpRequest
local function new_request(flow, method, url, timeout, deadline, headers)
  headers.Accept, headers["Accept-Encoding"] = "application/json", "identity"
  for name, value in pairs(flow.headers and flow.headers() or {}) do
    headers[name] = value
  end
  return { method = method, url = url, headers = headers, timeout = timeout, deadline = deadline }
end

---@param flow tokencache.Flow
---@param url string
---@param body string      form-encoded
---@param timeout number   seconds from now
---@param deadline number  monotonic seconds
---@return tokencache.HttpRequest
function endpoint.request(flow, url, body, timeout, deadline)
  local request = new_request(flow, "POST", url, timeout, deadline,
    { ["Content-Type"] = "application/x-www-form-urlencoded" })
  request.body = body
  return request
end

local NO_RESPONSE = "the transport must return { status =, headers =, body = }, or nil and an "
  .. "error; mend what was given as http="

--- The headers of a success are not looked at, so that no table need be made of them.
local function is_response(response)
  local status = type(response) == "table" and response.status
  return type(status) == "number" and status >= 100 and status < 1000
    and type(response.body or "") == "string"
    and (status < 400 or type(response.headers or {}) == "table")
end

---@param transport tokencache.Transport
---@param request tokencache.HttpRequest
---@return tokencache.HttpResponse?
---@return tokencache.Error?  `sent` is false where the server has certainly not seen the request
function endpoint.send(transport, request)
  local response, err = transport:request(request)
  if is_response(response) then
    return response
  end
  return nil, errors.wrap("transient",
    not response and err or errors.new("protocol", NO_RESPONSE))
end

--- Asks for a document.
---@param flow tokencache.Flow
---@param url string
---@param timeout number  seconds from now
---@param deadline number monotonic seconds
---@param held? tokencache.Lock  it lasts meanwhile
---@param headers? table<string, string>  changed in place
---@param certificate? table  as in tokencache.HttpRequest
---@return tokencache.HttpResponse?
---@return tokencache.Error?
function endpoint.get(flow, url, timeout, deadline, held, headers, certificate)
  local request = new_request(flow, "GET", url, timeout, deadline, headers or {})
  request.certificate = certificate
  if held then
    held:cover(flow.transport, request)
  end
  return endpoint.send(flow.transport, request)
end

--- The object in the answer; nil: there is none.
---@param response tokencache.HttpResponse
---@return table?
function endpoint.object(response)
  json = json or require "tokencache.json"
  local object = json.decode_answer(response.body or "")
  return type(object) == "table" and object[1] == nil and object or nil
end

--- Makes an error of an answer that is no success.
---@param message string  what could not be done
---@param response tokencache.HttpResponse
---@return tokencache.Error
function endpoint.refusal(message, response)
  local status, object = response.status, endpoint.object(response) or {}
  local kind, remedy = "denied", ""
  if status == 429 or status >= 500 then
    kind = "transient"
  elseif object.error == "invalid_client" then
    kind, remedy = "config", "; check client_id, client_secret and token_endpoint_auth_method"
  elseif status < 400 then
    kind = "protocol"
  end
  return errors.new(kind, message .. ": status " .. status .. remedy, { status = status })
end

--- A header of an answer that is no success, or of any.
---@param response tokencache.HttpResponse
---@param wanted string  in lower case
---@param of_any? boolean
---@return string?
function endpoint.header(response, wanted, of_any)
  if response.status < 400 and not of_any then
    return nil
  end
  local headers = response.headers
  for name, value in pairs(type(headers) == "table" and headers or {}) do
    if type(name) == "string" and name:lower() == wanted then
      value = type(value) == "table" and value[1] or value
      return value and tostring(value)
    end
  end
end

return endpoint
