--- Login by another device (RFC 8628): the user enters a short code at a page of the provider's,
--- wherever there is a browser, while this program asks the token endpoint again and again.

local core = require "tokencache._core"
local endpoint = require "tokencache.transport.endpoint"
local errors = require "tokencache.error"
local post = require "tokencache.flow.post"
local quirks = require "tokencache.quirks"
local refusal = require "tokencache.flow.refusal"

local device = {}

--- What the user is to be shown, by the names of RFC 8628 §3.2.
---@class tokencache.DevicePrompt
---@field user_code string
---@field verification_uri string
---@field verification_uri_complete? string  with the code in it
---@field expires_in number  seconds
---@field interval number    seconds, between one question and the next

---@class tokencache.DeviceLogin
---@field device_code string  a secret
---@field interval number
---@field expires_at number   Unix seconds
---@field at number           monotonic seconds: when the provider may be asked again
---@field failures integer    of the connection, in a row
---@field is_over? boolean

device.GRANT = "urn:ietf:params:oauth:grant-type:device_code"

local INTERVAL, SLOWER = 5, 5 -- seconds; RFC 8628 §3.2, §3.5
local LIFETIME = 600 -- seconds of a code whose answer does not tell
local LONGEST = 86400 -- seconds that any of that counts
local LONGEST_PAUSE = 60 -- seconds, while the provider cannot be reached
local CTRL_C = 0.2 -- seconds; so often it is looked after

local REMEDIES = { unauthorized_client = "allow the device grant in the client's registration" }

local function text_of(value)
  return type(value) == "string" and value:find "%S" and core.printable(value) or nil
end

--- Only what a browser opens, as it is: programs put it into links.
local function uri_of(value)
  return type(value) == "string" and value:match "^https?://[!-~]+$" or nil
end

local function seconds_of(value, default)
  local seconds = tonumber(value)
  return seconds and seconds > 0 and math.min(seconds, LONGEST) or default
end

--- RFC 8628 §3.2; Google says verification_url.
local function read(flow, object)
  local prompt = {
    user_code = text_of(object.user_code),
    verification_uri = uri_of(object.verification_uri or object.verification_url),
    verification_uri_complete = uri_of(object.verification_uri_complete),
    expires_in = seconds_of(object.expires_in, LIFETIME),
    interval = seconds_of(object.interval, INTERVAL),
  }
  local device_code = object.device_code
  if not prompt.user_code or not prompt.verification_uri or type(device_code) ~= "string"
    or device_code == "" then
    return nil
  end
  return prompt, {
    device_code = device_code, interval = prompt.interval, failures = 0,
    expires_at = math.floor(flow.now() + prompt.expires_in),
    at = flow.io.monotonic() + math.min(prompt.interval, prompt.expires_in),
  }
end

--- Begins a login: asks the provider for the codes.
---@param flow tokencache.UserFlow
---@param deadline number  monotonic seconds
---@return tokencache.DevicePrompt?
---@return tokencache.DeviceLogin|tokencache.Error
function device.begin(flow, deadline)
  local url, err = flow:_endpoint("device_authorization_url", deadline)
  if not url then
    return nil, err
  end
  local scope, params = flow.client:scope(), {}
  for i, value in ipairs(flow.device_params) do
    params[i] = value
  end
  if scope ~= "" then
    params[#params + 1] = "scope"
    params[#params + 1] = scope
  end
  local response, sent
  response, err, sent = post(flow, url, params, deadline)
  if not response then
    return nil, err
  end
  local object = endpoint.object(response) or {}
  if response.status ~= 200 or type(object.error) == "string" then
    return nil, refusal(url, response, sent,
      "check device_authorization_url and the provider's documentation", REMEDIES)
  end
  local prompt, login = read(flow, object)
  if not prompt then
    return nil, errors.new("protocol", url:match("^[^?]*") .. " answered without a device_code, "
      .. "user_code or verification_uri that can be used; check device_authorization_url")
  end
  return prompt, login
end

--- An error after which the provider may be asked again, or the code is over.
local function postpone(flow, login, seconds, message, fields)
  fields = fields or {}
  seconds = math.max(0, math.min(seconds, login.expires_at - flow.now()))
  fields.retry_after = seconds
  login.at = flow.io.monotonic() + seconds
  return errors.new("transient", message, fields)
end

local function is_passing(err)
  return err.kind == "transient" or err.kind == "timeout"
end

local function not_yet(flow, login, seconds, code)
  return postpone(flow, login, seconds, ("the user has not finished the login yet; ask again in "
    .. "%.0f seconds"):format(math.ceil(seconds)), { code = code })
end

--- RFC 8628 §3.5: the less often, the longer the provider cannot be reached.
local function after_failure(flow, login, err)
  if not is_passing(err) then
    return err
  end
  login.failures = login.failures + 1
  return postpone(flow, login, math.max(login.interval,
    math.min(login.interval * 2 ^ login.failures, LONGEST_PAUSE)), err.message)
end

local function after_answer(flow, login, answer, retry_after)
  local code, status = (answer.object or {}).error, answer.status
  login.failures = 0
  if code == "slow_down" then
    login.interval = login.interval + SLOWER
  elseif code ~= "authorization_pending" then
    if status ~= 429 and status < 500 then
      return nil
    end
    return postpone(flow, login, math.max(login.interval, seconds_of(retry_after, 0)),
      "the provider answered with status " .. status, { status = status })
  end
  return not_yet(flow, login, login.interval, code)
end

--- Asks once what has come of it, if it is time.
---@param flow tokencache.UserFlow
---@param login tokencache.DeviceLogin
---@return table? response   the last word: the token endpoint's answer, for actions.authorize
---@return tokencache.Error? err  with `retry_after`: ask again after so many seconds
function device.ask(flow, login)
  local now = flow.io.monotonic()
  if flow.now() >= login.expires_at then
    return nil, errors.new("timeout", "the code has expired before the login was finished; start "
      .. "it again", { code = "expired_token" })
  elseif now < login.at then
    return nil, not_yet(flow, login, login.at - now, "authorization_pending")
  end
  login.at = now + flow.request_time + login.interval -- for who asks while this is under way
  local url, err = flow:_endpoint("token_url", now + flow.request_time)
  local ready = url
  if url and flow.openid then -- an answer that brings tokens comes once, and must not wait for keys
    ready, err = require("tokencache.discovery").keys(flow, now + flow.request_time)
  end
  if not ready then
    return nil, after_failure(flow, login, err)
  end
  local response, sent, key
  if flow.dpop then
    key, err = require("tokencache.dpop").new_key()
    if not key then
      return nil, err
    end
  end
  local grant = flow.grant_types[device.GRANT] or device.GRANT
  response, err, sent = post(flow, url,
    { "grant_type", grant, "device_code", login.device_code }, now + flow.request_time, true, key)
  if not response then
    return nil, after_failure(flow, login, err)
  end
  local answer, _, problem = quirks.read(flow, response, false)
  local retry_after = endpoint.header(response, "retry-after")
  err = not problem and after_answer(flow, login, answer, retry_after) or nil
  if err then
    return nil, err
  end
  if answer.object then
    answer.object.dpop_key = key
  end
  return { status = answer.status, object = answer.object, sent = sent, problem = problem,
    retry_after = retry_after }
end

local function pause(sleep, seconds)
  local step = sleep == core.sleep and CTRL_C or seconds
  while seconds > 0 do
    local _, err = sleep(math.min(step, seconds))
    if err ~= nil then
      return errors.wrap("config", err)
    end
    seconds = seconds - step
  end
end

--- The whole login: shows the code, and waits until the user has entered it.
---@param flow tokencache.UserFlow
---@return table? response
---@return tokencache.Error?
function device.log_in(flow)
  local monotonic = flow.io.monotonic
  local prompt, login = device.begin(flow, monotonic() + flow.timeout)
  if not prompt then
    return nil, login
  end
  local ok, err = (flow.show or require "tokencache.login.show")(prompt)
  if errors.has_failed(ok, err) then
    return nil, errors.wrap("denied", err or "the login was given up: show returned false")
  end
  local deadline, response = monotonic() + (flow.device_timeout or math.huge), nil
  repeat
    err = pause(flow.io.sleep, math.min(login.at, deadline) - monotonic())
    if not err and login.at > deadline then
      err = errors.new("timeout", "nobody logged in within " .. flow.device_timeout .. " seconds")
    elseif not err then
      response, err = device.ask(flow, login)
    end
  until response or not err.retry_after
  return response, err
end

return device
