--- The token of a session. It is renewed beside the requests as long as it works; only where it is
--- over a request waits.
---
--- While the provider is away, one renewal in a while tries whether it is back, for all workers.
--- Requests get an error at once, and do not stand in line for a timeout each.

local errors = require "tokencache.error"
local failures = require "tokencache.account.failures"
local ngx = require("tokencache.environment").nginx
local timer = require "tokencache.nginx.timer"

local renewal = {}

local FAILURES = "login-failures:" -- in the shared dict: how often the provider was away in a row
local PAUSE = "login-pause:"      -- and: it is not asked while this is there
local LONGEST_PAUSE = 10          -- seconds
local FORGOTTEN = 60              -- seconds after which a failure means nothing any more
local TRY = 1                     -- seconds that a request tries what may take longer
local REFUSED = "login-refused:"  -- and: the application has refused the token of that digest
local RENEWED = "login-renewed:"  -- and: that of this session was renewed for such a reason
local REFUSAL_LIFE = 60           -- seconds: sessions are renewed for it once in these

local function away(gateway)
  return errors.new("transient", "the provider " .. gateway.options.provider_name .. " is away", {
    retry_after = math.max(1, math.ceil(gateway.dict:ttl(PAUSE .. gateway.name) or 1)),
  })
end

--- Reports whether the provider may be asked now.
---@param gateway tokencache.LoginGateway
---@return true?
---@return tokencache.Error?
function renewal.may_ask(gateway)
  local dict, name = gateway.dict, gateway.name
  if not dict:get(FAILURES .. name) or dict:add(PAUSE .. name, true, gateway.options.timeout) then
    return true
  end
  return nil, away(gateway)
end

--- Notes what came of it.
---@param gateway tokencache.LoginGateway
---@param err? tokencache.Error
function renewal.asked(gateway, err)
  local dict, name, kind = gateway.dict, gateway.name, err and err.kind
  if kind == "transient" or kind == "timeout" then
    local count = dict:incr(FAILURES .. name, 1, 0, FORGOTTEN) or 1
    dict:expire(FAILURES .. name, FORGOTTEN)
    err.retry_after = err.retry_after or math.min(2 ^ (count - 1), LONGEST_PAUSE)
    dict:set(PAUSE .. name, true, math.min(err.retry_after, LONGEST_PAUSE))
  elseif kind ~= "cache" and dict:get(FAILURES .. name) then
    dict:delete(FAILURES .. name)
    dict:delete(PAUSE .. name)
  end
end

--- Where a renewal fails the account returns the former token as long as that works; and also where
--- somebody else is renewing it.
local function renew(gateway, account, former, refused, timeout)
  local ok, err = renewal.may_ask(gateway)
  if not ok then
    return nil, err
  end
  local since = gateway.flow.io.monotonic()
  local info
  info, err = account:get_token_info { refused = refused,
    timeout = timeout or gateway.options.timeout }
  local is_former = info and info.access_token == former
  local failure = is_former and failures.since(account, account.process:state(account.id), since)
  if not is_former or failure then
    renewal.asked(gateway, failure or err)
  end
  return info, err
end

--- Once at a time for each account.
local function renew_beside(gateway, account, id, former)
  if gateway.renewing[id] or gateway.dict:get(PAUSE .. gateway.name) then
    return
  end
  gateway.renewing[id] = timer.after(0, function()
    local _, err = renew(gateway, account, former)
    gateway.renewing[id] = nil
    if err and err.kind ~= "reauthorize" then
      ngx.log(ngx.WARN, "login: a token is not renewed yet: ", err.kind, ": ", tostring(err))
    end
  end)
end

--- For a request that has no token otherwise.
local function await(gateway, account, id)
  if not gateway.dict:get(FAILURES .. gateway.name) then
    return renew(gateway, account)
  elseif gateway.sessions.is_at_browser then
    return renew(gateway, account, nil, nil, math.min(TRY, gateway.options.timeout))
  end
  renew_beside(gateway, account, id)
  return nil, away(gateway)
end

--- Notes that the application has refused a token.
---@param gateway tokencache.LoginGateway
---@param token string
function renewal.refuse(gateway, token)
  gateway.dict:safe_add(REFUSED .. ngx.sha1_bin(token), true, REFUSAL_LIFE)
end

--- Another token in place of one that the application has refused; that one if there is none.
local function replaced(gateway, account, id, info)
  if not gateway.dict:add(RENEWED .. id, true, REFUSAL_LIFE) then
    return info
  end
  local other, err = renew(gateway, account, nil, info.access_token)
  if not other and err.kind == "reauthorize" then
    return nil, err
  elseif not other then
    ngx.log(ngx.WARN, "login: the application has refused a token, and there is no other: ",
      err.kind, ": ", tostring(err))
  end
  return other or info
end

---@param gateway tokencache.LoginGateway
---@param account tokencache.Account
---@param id string
---@return tokencache.TokenInfo?  nobody may change it
---@return tokencache.Error?
function renewal.token_info(gateway, account, id)
  local info, due = account:peek_lasting()
  if not info and due then
    return nil, errors.wrap("cache", due)
  elseif not info then
    return await(gateway, account, id)
  elseif due and gateway.sessions.is_at_browser then
    local newer, err = renew(gateway, account, info.access_token, nil, TRY)
    if not newer and err.kind == "reauthorize" then
      return nil, err
    end
    info = newer or info
  elseif due then
    renew_beside(gateway, account, id, info.access_token)
  end
  if gateway.dict:get(REFUSED .. ngx.sha1_bin(info.access_token)) then
    return replaced(gateway, account, id, info)
  end
  return info
end

return renewal
