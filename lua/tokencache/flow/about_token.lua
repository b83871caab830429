--- Requests about one token: what the provider knows of it (RFC 7662), and its end (RFC 7009).

local endpoint = require "tokencache.transport.endpoint"
local errors = require "tokencache.error"
local json = require "tokencache.json"
local post = require "tokencache.flow.post"

local about_token = {}

---@class tokencache.AboutTokenOptions
---@field token_type_hint? string  "access_token" or "refresh_token": helps the provider find it
---@field timeout? number          seconds for the whole call

about_token.rules = {
  token_type_hint = { "string" },
  timeout = { "number>0" },
}

---@param what string  for messages: "revoke the token"
---@return tokencache.HttpResponse?
---@return tokencache.Error?
local function ask(flow, url, what, token, hint, deadline)
  local response, err = post(flow, url, { "token", token, hint and "token_type_hint", hint },
    deadline)
  if response and response.status >= 300 then -- Reddit revokes with 204
    return nil, endpoint.refusal("the provider did not " .. what, response)
  end
  return response, err
end

---@param flow tokencache.Flow
---@param url string       the revocation endpoint
---@param token string
---@param hint? string     token_type_hint
---@param deadline number  monotonic seconds
---@return true?
---@return tokencache.Error?
function about_token.revoke_at(flow, url, token, hint, deadline)
  return errors.done(ask(flow, url, "revoke the " .. (hint or "token"):gsub("_", " "), token, hint,
    deadline))
end

---@param flow tokencache.Flow
---@param opts tokencache.AboutTokenOptions
---@return true?
---@return tokencache.Error?
function about_token.revoke(flow, token, opts)
  local deadline = flow.io.monotonic() + (opts.timeout or flow.timeout)
  local url, err = flow:_endpoint("revocation_url", deadline)
  if not url then
    return nil, err
  end
  return about_token.revoke_at(flow, url, token, opts.token_type_hint, deadline)
end

---@param flow tokencache.Flow
---@param opts tokencache.AboutTokenOptions
---@return table?
---@return tokencache.Error?
function about_token.introspect(flow, token, opts)
  local deadline = flow.io.monotonic() + (opts.timeout or flow.timeout)
  local url, err = flow:_endpoint("introspection_url", deadline)
  local response
  if url then
    response, err = ask(flow, url, "introspect the token", token, opts.token_type_hint, deadline)
  end
  if not response then
    return nil, err
  end
  local object = endpoint.object(response)
  if not object or type(object.active) ~= "boolean" then
    return nil, errors.new("protocol", url .. " does not say whether the token is active (RFC 7662 "
      .. "§2.2); check introspection_url")
  end
  return json.without_nulls(object)
end

return about_token
