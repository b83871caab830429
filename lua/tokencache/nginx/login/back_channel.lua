--- Back-channel logout: the provider itself says that a user has left (OpenID Connect Back-Channel
--- Logout 1.0).
---
--- No list of a user's sessions is kept, which logins would change at the same time. What the
--- provider says is a mark in the store, for a user or for one session at the provider, with the
--- time by the provider's clock: each session that began no later has ended. Who looks for a
--- session looks for such marks, too.

local digest = require("tokencache.key").digest
local errors = require "tokencache.error"
local id_token = require "tokencache.id_token"
local json = require "tokencache.json"
local log = require "tokencache.log"
local logout_token = require "tokencache.logout_token"
local ngx = require("tokencache.environment").nginx

local back_channel = {}

local KNOWN = 3600 -- seconds that a token is known, which is to live for two minutes (§2.4)

local WORD = "login-left:" -- in the shared dict: the last word, as the store has it; or
local NONE = "none"        -- which the store may have lost, but not the marks

local function digest_of(flow, kind, name)
  return digest(table.concat({ flow.issuer, flow.client_id, kind, name }, "\0"))
end

local function key_of(flow, kind, name)
  return "session-left:" .. digest_of(flow, kind, name)
end

--- When the user, or the session at the provider, was left last, by the provider's clock.
---@return number?
---@return tokencache.Error?
local function left_at(flow, kind, name)
  local text, err = flow.store:get(key_of(flow, kind, name))
  if text == nil and err ~= nil then
    return nil, errors.wrap("cache", err)
  end
  return tonumber(text)
end

--- Where the store has what changes with each mark.
local function key_of_word(flow)
  return key_of(flow, "last", "")
end

--- While the last word stays the same, no mark need be looked for anew.
local function last_word(gateway, seconds)
  local name = WORD .. gateway.name
  local word = gateway.dict:get(name)
  if not word then
    local err
    word, err = gateway.flow.store:get(key_of_word(gateway.flow))
    if word == nil and err ~= nil then
      return nil, errors.wrap("cache", err)
    end
    word = word or NONE
    gateway.dict:set(name, word, seconds)
  end
  return word
end

--- Reports whether the provider has ended the login.
---@param gateway tokencache.LoginGateway
---@param current tokencache.LoginSession
---@param seconds number  for which the dict is trusted
---@return boolean?
---@return tokencache.Error?
function back_channel.has_ended(gateway, current, seconds)
  local info = current.info
  local began = info.began_at
  if not began then
    return false
  end
  local word, problem = last_word(gateway, seconds)
  if not word then
    return nil, problem
  elseif word == current.word then
    return false
  end
  for _, kind in ipairs { "sub", "sid" } do
    local name, at, err = info.claims[kind], nil, nil
    if type(name) == "string" then
      at, err = left_at(gateway.flow, kind, name)
    end
    if err then
      return nil, err
    elseif at and began <= at then
      return true
    end
  end
  current.word = word
  return false
end

--- Marks what the token names: one session at the provider, else all of a user's. The word comes
--- after the mark, so that who knows it has seen that; and before, so that no mark is made of which
--- no word would tell.
---@param gateway tokencache.LoginGateway
---@param token tokencache.LogoutToken
---@return true?
---@return tokencache.Error?
local function mark(gateway, token)
  local flow, kind = gateway.flow, token.sid and "sid" or "sub"
  local life = math.ceil(gateway.options.lifetime)
  local at, err = left_at(flow, kind, token[kind])
  local ok = not err
  local function write(key, text)
    if ok then
      ok, err = flow.store:set(key, text, life)
      ok = not errors.has_failed(ok, err)
    end
  end
  write(key_of_word(flow), digest_of(flow, "before", token.jti))
  if not at or at < token.iat then
    write(key_of(flow, kind, token[kind]), ("%.0f"):format(token.iat))
  end
  write(key_of_word(flow), digest_of(flow, "jti", token.jti))
  gateway.dict:delete(WORD .. gateway.name)
  if not ok then
    return nil, errors.wrap("cache", err or "it failed")
  end
  return true
end

--- Ends what a logout token names.
---@return true?
---@return any problem
local function log_out(gateway, text)
  local flow = gateway.flow
  local token, problem = logout_token.check(flow, text, flow.io.monotonic() + flow.timeout)
  if not token then
    return nil, problem
  end
  local known = "login-jti:" .. digest_of(flow, "jti", token.jti)
  if not gateway.dict:add(known, true, KNOWN) then
    return nil, "it has come before (jti)"
  end
  local ok, err = mark(gateway, token)
  if not ok then
    gateway.dict:delete(known) -- the provider may try again
  end
  return ok, err
end

local function answer(status, object)
  ngx.status = status
  ngx.header["Cache-Control"] = "no-store"
  ngx.header["Content-Type"] = "application/json"
  ngx.print(json.encode(object))
  return ngx.exit(ngx.HTTP_OK)
end

--- For the provider's request (§2.5 to §2.8).
---@param gateway tokencache.LoginGateway
function back_channel.serve(gateway)
  if not gateway.flow.openid then
    return ngx.exit(404)
  end
  local args
  if ngx.req.get_method() == "POST" then
    ngx.req.read_body()
    args = ngx.req.get_post_args(10)
  end
  local text = args and args.logout_token
  local ok, problem = nil, "a form with one logout_token is expected"
  if type(text) == "string" then
    ok, problem = log_out(gateway, text)
  end
  if type(problem) == "string" then
    problem = problem:gsub("^it ", "the logout_token "):gsub("^its ", "the logout_token's ")
  end
  if ok then
    return answer(200, {})
  end
  log.repeated("warning", "back-channel logout: " .. id_token.kind_of_problem(problem),
    "a back-channel logout was refused: ", problem)
  return answer(400, { error = "invalid_request",
    error_description = type(problem) == "table" and problem.kind or problem })
end

return back_channel
