--- One authorization request (RFC 6749 §4.1.1, §4.2.1; RFC 7636 §4.3): the URL to send the user to,
--- and what must be kept until the user returns. Plain data: it may finish in another process.

local core = require "tokencache._core"
local crypto = require "tokencache.crypto"
local errors = require "tokencache.error"
local json = require "tokencache.json"
local pushed = require "tokencache.flow.pushed_authorization"
local sealed = require "tokencache.sealed"

local authorization = {}

---@class tokencache.Authorization
---@field url string
---@field state string
---@field code_verifier? string
---@field nonce? string    of OpenID Connect (Core §3.1.2.1)
---@field dpop_key? table  that the tokens will be bound to
---@field redirect_uri string
---@field created? number  Unix seconds, where it was read from a pending login

local RANDOM_BYTES = 32 -- 43 characters, which RFC 7636 §4.1 recommends for a verifier
local MOST_REMEMBERED = 10000

local OPTION = "which is an option of its own"
local INSTEAD = "which would take the place of the others (RFC 9101)"

--- Parameters that authorize_params must not set, and why.
authorization.reserved = {
  client_id = true, response_type = true, redirect_uri = true, scope = true, state = true,
  code_challenge = true, code_challenge_method = true, nonce = true, dpop_jkt = true,
  show_dialog = OPTION, max_age = OPTION, acr_values = OPTION,
  request = INSTEAD, request_uri = INSTEAD,
}

--- Text that nobody can guess, or nil and an error.
---@param flow tokencache.UserFlow
---@return string?
---@return tokencache.Error?
function authorization.random_text(flow)
  local bytes, err = flow.io.random(RANDOM_BYTES)
  if type(bytes) == "string" and #bytes == RANDOM_BYTES then
    return core.base64url_encode(bytes)
  end
  return nil, errors.wrap("config", err or "io.random must return a string of as many bytes as it "
    .. "is asked for, or nil and an error")
end

--- RFC 7636 §4.2
local function challenge(code_verifier)
  local digest, err = crypto.sha256(code_verifier)
  if not digest then
    return nil, err
  end
  return core.base64url_encode(digest)
end

--- The flow's own state, else a random one.
---@param flow tokencache.UserFlow
---@return string?
---@return tokencache.Error?
function authorization.new_state(flow)
  if flow.state then
    return flow.state()
  end
  return authorization.random_text(flow)
end

local function params_of(flow, redirect_uri, state, code_challenge, nonce, dpop_jkt)
  local params = { "client_id", flow.client_id, "response_type", flow.response_type,
    "redirect_uri", redirect_uri }
  local function add(name, value)
    params[#params + 1] = name
    params[#params + 1] = value
  end
  local scope = flow.client:scope()
  if scope ~= "" then
    add("scope", scope)
  end
  add("state", state)
  if flow.show_dialog then
    add("show_dialog", "true")
  end
  if code_challenge then
    add("code_challenge_method", "S256")
    add("code_challenge", code_challenge)
  end
  if nonce then
    add("nonce", nonce)
  end
  if dpop_jkt then
    add("dpop_jkt", dpop_jkt)
  end
  if flow.max_age then
    add("max_age", ("%d"):format(flow.max_age))
  end
  if flow.acr_values then
    add("acr_values", flow.acr_values)
  end
  for i = 1, #flow.authorize_params, 2 do
    add(flow.authorize_params[i], flow.authorize_params[i + 1])
  end
  return params
end

--- The key that the tokens are to be bound to, and its digest: the provider takes the code from
--- nobody who has another key.
local function new_key()
  local dpop = require "tokencache.dpop"
  local key, err = dpop.new_key()
  local print
  if key then
    print, err = dpop.thumbprint(key)
  end
  return print and key, err, print
end

---@param url string    of an endpoint
---@param text string  form-encoded
---@return string
function authorization.with_query(url, text)
  return url .. (url:find("?", 1, true) and "&" or "?") .. text
end

---@param flow tokencache.UserFlow
---@param redirect_uri string  with the port that is listened on
---@param state? string        default: the flow's, else random
---@return tokencache.Authorization?
---@return tokencache.Error?
function authorization.new(flow, redirect_uri, state)
  local code_verifier, code_challenge, nonce, dpop_key, dpop_jkt
  local url, err = flow:_endpoint("authorize_url")
  if not url then
    return nil, err
  end
  if not state then
    state, err = authorization.new_state(flow)
  end
  if state and flow.pkce then
    code_verifier, err = authorization.random_text(flow)
  end
  if code_verifier then
    code_challenge, err = challenge(code_verifier)
  end
  if not err and flow.openid then
    nonce, err = authorization.random_text(flow)
  end
  if not err and flow.dpop then
    dpop_key, err, dpop_jkt = new_key()
  end
  local params = not err
    and params_of(flow, redirect_uri, state, code_challenge, nonce, dpop_jkt)
  if params then
    params, err = pushed.instead(flow, params)
  end
  if err then
    return nil, err
  end
  return {
    url = authorization.with_query(url, core.form_encode(params)),
    state = state,
    code_verifier = code_verifier,
    nonce = nonce,
    dpop_key = dpop_key,
    redirect_uri = redirect_uri,
  }
end

--- Reads and checks the answer of the user's browser: it must belong to this authorization.
---@param flow tokencache.UserFlow
---@param auth tokencache.Authorization
---@param text string  the URL the user was sent to, or its query
---@return table? response  code=, or access_token= ..., and what the exchange needs
---@return tokencache.Error?
function authorization.read(flow, auth, text)
  local iss_is_optional, err = flow.iss_optional, nil
  if iss_is_optional == nil then
    iss_is_optional, err = require("tokencache.discovery").iss_is_optional(flow)
  end
  if err then
    return nil, err
  end
  local response
  local issuer = not flow.id_token_issuer and flow.issuer or nil -- else iss might be either
  response, err = core.read_callback(text, auth.state, issuer, iss_is_optional)
  if not response then
    return nil, err
  end
  return authorization.complete(flow, auth, response)
end

--- Joins the response with what the exchange needs of the authorization.
function authorization.complete(flow, auth, response)
  local wanted = flow.response_type == "token" and "access_token" or "code"
  if not response[wanted] or response[wanted] == "" then
    return nil, errors.new("protocol", "the response holds no " .. wanted
      .. "; give the whole address that the browser was sent to after the login")
  end
  response.redirect_uri = auth.redirect_uri
  response.code_verifier = auth.code_verifier
  response.nonce, response.dpop_key = auth.nonce, auth.dpop_key
  return response
end

--- The text form of an authorization, for `exchange`; sealed where the flow has a pending_key.
---@param flow tokencache.UserFlow
---@param auth tokencache.Authorization
---@return string?
---@return tokencache.Error?
function authorization.to_pending(flow, auth)
  local text = core.write_pending {
    state = auth.state,
    code_verifier = auth.code_verifier,
    issuer = flow.issuer,
    client_id = flow.client_id,
    redirect_uri = auth.redirect_uri,
    nonce = auth.nonce,
    dpop_key = auth.dpop_key and json.encode(auth.dpop_key),
    created = flow.now(),
  }
  return authorization.seal(flow, text)
end

--- Seals what a login must keep until it is finished, where the flow has a pending_key.
---@param flow tokencache.UserFlow
---@param text string
---@return string? pending
---@return tokencache.Error?
function authorization.seal(flow, text)
  if not flow.pending_key then
    return text
  end
  local pending, err = sealed.seal(flow.pending_key(), "pending " .. flow.client_id, text)
  return pending and "s" .. pending, err
end

---@param flow tokencache.UserFlow
---@param pending string  of `seal`
---@return string? text
---@return tokencache.Error?
function authorization.unseal(flow, pending)
  if not flow.pending_key then
    return pending
  end
  local text, err
  if pending:sub(1, 1) == "s" then
    text, err = sealed.open(flow.pending_key(), "pending " .. flow.client_id, pending:sub(2))
  end
  if not text then
    return nil, err or errors.new("state", "the pending login was altered, or sealed with another "
      .. "pending_key or for another client_id; start the login again")
  end
  return text
end

---@param flow tokencache.UserFlow
---@param pending string  from get_authorize_url
---@return tokencache.Authorization?
---@return tokencache.Error?
function authorization.from_pending(flow, pending)
  local text, err = authorization.unseal(flow, pending)
  if not text then
    return nil, err
  end
  local redirect_uri = not flow.any_port and flow.redirect_uri or nil
  local fields
  fields, err = core.read_pending(text, flow.client_id, redirect_uri, flow.now())
  if not fields then
    return nil, err
  end
  if fields.issuer ~= (flow.issuer or "") then
    return nil, errors.new("state", "the pending login is that of another issuer")
  end
  if flow.pkce and (fields.code_verifier or "") == "" then
    return nil, errors.new("state", "the pending login has no code_verifier; start it again")
  end
  return {
    state = fields.state,
    code_verifier = fields.code_verifier ~= "" and fields.code_verifier or nil,
    nonce = fields.nonce ~= "" and fields.nonce or nil,
    dpop_key = json.decode(fields.dpop_key or "") or nil,
    redirect_uri = fields.redirect_uri,
    created = fields.created,
  }
end

local finished, count = {}, 0

--- Not by state alone: a program may have set one for all its logins.
local function id_of(auth)
  return table.concat({ auth.state, auth.code_verifier or "", auth.created or "" }, " ")
end

--- Notes that an authorization is over; false if it was over before. Forgotten in bulk: a pending
--- lives for ten minutes only, and across processes the server refuses a second code.
---@param auth tokencache.Authorization
---@return boolean first
function authorization.finish(auth)
  local id = id_of(auth)
  if finished[id] then
    return false
  end
  if count >= MOST_REMEMBERED then
    finished, count = {}, 0
  end
  finished[id] = true
  count = count + 1
  return true
end

--- It is not over after all.
---@param auth tokencache.Authorization
function authorization.reopen(auth)
  finished[id_of(auth)] = nil
end

return authorization
