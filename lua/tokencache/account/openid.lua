--- What a login has beyond its tokens where the scope has `openid` (OpenID Connect Core): an ID
--- token, which is checked; a user, who can be asked about; a session at the provider.

local authorization = require "tokencache.authorization"
local client_authentication = require "tokencache.flow.client_authentication"
local core = require "tokencache._core"
local discovery = require "tokencache.discovery"
local dpop = require "tokencache.dpop"
local endpoint = require "tokencache.transport.endpoint"
local errors = require "tokencache.error"
local id_token = require "tokencache.id_token"
local json = require "tokencache.json"
local log = require "tokencache.log"
local token_info = require "tokencache.token_info"

local openid = {}

--- Has the provider's keys at hand before a request is sent: a new refresh token must not wait for
--- them to be saved.
---@param run tokencache.Run
---@param seconds number  for that
---@param renews boolean
---@return tokencache.Error?  only a login needs them
function openid.prepare(run, seconds, renews)
  local deadline = run.flow.io.monotonic() + seconds
  run.keys, run.keys_error = discovery.keys(run.flow, deadline, nil, run.lock)
  return not renews and run.keys_error or nil
end

--- The provider's keys as they are now. Where they were asked for a moment ago, a login waits: its
--- token cannot be had again.
local function newer_keys(run)
  local io, deadline = run.flow.io, run.deadline
  local since = io.monotonic()
  while true do
    local keys, err, wait = discovery.keys(run.flow, deadline, since, run.lock)
    if not wait or io.monotonic() + wait >= deadline then
      return keys, err
    end
    local _, refusal = run.lock:sleep(io.sleep, wait)
    if refusal ~= nil then
      return nil, errors.wrap("config", refusal)
    end
  end
end

--- A key that is not known may be a new one of the provider's.
local function verify(run, text)
  if not run.keys then
    return nil, run.keys_error
  end
  local jws, problem, may_be_new = id_token.verify(text, run.keys)
  if may_be_new and run.renews then
    discovery.expire_keys(run.flow)
  elseif may_be_new then
    local newer, err = newer_keys(run)
    if newer and newer ~= run.keys then
      jws, problem = id_token.verify(text, newer)
    end
    problem = err or problem
  end
  return jws, problem
end

local function problem_of(run)
  local object, flow, previous = run.object, run.flow, nil
  if run.renews then
    previous = id_token.read(run.renews.id_token)
  end
  local jws, problem = verify(run, object.id_token)
  if not jws then
    return problem
  end
  return id_token.problem_of_claims(jws.claims, {
    issuer = flow.id_token_issuer or flow.issuer,
    client_id = flow.client_id,
    now = flow.now(),
    access_token = object.access_token,
    nonce = run.nonce,
    max_age = not run.renews and flow.max_age or nil,
    previous = previous and previous.claims,
  })
end

--- Checks the ID token in the answer to a request. One that came with a renewal and does not pass
--- is dropped, and the one before stays: the new refresh token must not be lost over it.
---@param run tokencache.Run
---@return tokencache.Error?  of a login
function openid.check_answer(run)
  local object = run.object
  if not object or type(object.access_token) ~= "string" then
    return nil
  elseif object.id_token == json.null then
    object.id_token = nil
  end
  if object.id_token == nil then
    return not run.renews and errors.new("protocol", "the answer has no id_token, though the scope "
      .. "has openid; leave openid out if the provider has no OpenID Connect") or nil
  end
  local problem = problem_of(run)
  if problem and run.renews then
    log.repeated("warning", "id_token: " .. id_token.kind_of_problem(problem),
      "the id_token of a renewal was refused, the one before stays: ", problem)
    object.id_token = nil
  elseif problem then
    return errors.new(type(problem) == "table" and problem.kind or "protocol",
      "the id_token was refused, and the login with it: " .. tostring(problem))
  end
end

---@param flow tokencache.UserFlow
---@param info tokencache.TokenInfo
---@return table?
---@return tokencache.Error?
function openid.claims(flow, info)
  if not flow.openid then
    return nil, errors.new("config", "id_token_claims: no ID token was checked; that needs the "
      .. "scope openid, and the provider's issuer")
  elseif info.id_token == nil
    or flow.client:judge(flow.now(), token_info.flat(info)) == "unfit" then
    return nil
  end
  local jws, problem = id_token.read(info.id_token)
  if not jws then
    return nil, errors.new("cache", "the id_token in the cache is damaged: " .. problem)
  end
  return jws.claims
end

openid.userinfo_rules = { timeout = { "number>0" } }

--- §5.3.2: another sub would be another user's.
local function read_userinfo(flow, url, info, response)
  local object = endpoint.object(response)
  if response.status ~= 200 then
    return nil, endpoint.refusal("the provider did not tell about the user", response)
  elseif not object then
    return nil, errors.new("protocol", url .. " answered with something other than a JSON object; "
      .. "signed and encrypted answers are not supported")
  end
  local claims, err
  if flow.openid then
    claims, err = openid.claims(flow, info)
  end
  if claims and object.sub ~= claims.sub then
    err = errors.new("protocol", url .. " answered about another user than the login's (sub)")
  end
  return not err and json.without_nulls(object) or nil, err
end

--- A token that is bound to a certificate goes with that; one that is bound to a key with a proof,
--- and once more with the nonce that is wanted.
local function get_as_user(flow, url, info, deadline)
  local certificate, problem = client_authentication.certificate(flow)
  if problem then
    return nil, problem
  end
  local response, is_told
  repeat
    local headers, err = dpop.headers(flow, info, "GET", url)
    if not headers then
      return nil, err
    end
    local has_proof = headers.DPoP ~= nil
    response, err = endpoint.get(flow, url, deadline - flow.io.monotonic(), deadline, nil, headers,
      certificate)
    if not response then
      return nil, err
    end
    local told_before = is_told
    is_told = has_proof and dpop.note(flow, url, dpop.nonce_of(response))
      and response.status == 401 and not told_before
  until not is_told
  return response
end

---@param account tokencache.Account
---@param seconds number  for the whole call
---@return table?
---@return tokencache.Error?
function openid.userinfo(account, seconds)
  local flow = account.flow
  local deadline = flow.io.monotonic() + seconds
  local url, err = flow:_endpoint("userinfo_url", deadline)
  if not url then
    return nil, err
  end
  local refused, info, response
  repeat
    local left = math.max(deadline - flow.io.monotonic(), 0.001)
    info, err = account:get_token_info { refused = refused, timeout = left }
    if not info then
      return nil, err
    end
    response, err = get_as_user(flow, url, info, deadline)
    if not response then
      return nil, err
    end
    local is_refused = response.status == 401 and not refused
    refused = info.access_token
  until not is_refused
  return read_userinfo(flow, url, info, response)
end

openid.end_session_rules = {
  post_logout_redirect_uri = { "string" },
  state = { "string" },
  id_token_hint = { "string" },
}

---@param flow tokencache.UserFlow
---@param opts tokencache.EndSessionOptions
---@return string? url
---@return tokencache.Error?
function openid.end_session_url(flow, opts)
  local url, err = flow:_endpoint("end_session_url")
  if not url then
    return nil, err
  end
  local params = { "client_id", flow.client_id }
  for _, name in ipairs { "post_logout_redirect_uri", "state", "id_token_hint" } do
    if opts[name] then
      params[#params + 1] = name
      params[#params + 1] = opts[name]
    end
  end
  return authorization.with_query(url, core.form_encode(params))
end

return openid
