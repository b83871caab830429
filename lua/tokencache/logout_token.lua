--- Logout tokens, by which a provider says that a user has logged out there (OpenID Connect
--- Back-Channel Logout 1.0 §2.4 and §2.6).

local discovery = require "tokencache.discovery"
local id_token = require "tokencache.id_token"
local json = require "tokencache.json"

local logout_token = {}

local EVENT = "http://schemas.openid.net/event/backchannel-logout"
local LIFE = 120 -- seconds, of one that does not say when it ends: exp came with a later draft

---@class tokencache.LogoutToken
---@field sub? string  whose sessions end, where there is no sid
---@field sid? string  the session that ends
---@field iat number   Unix seconds by the provider's clock: what began later goes on
---@field exp number   Unix seconds
---@field jti string

local function is_text(value)
  return type(value) == "string" and value ~= ""
end

--- A typ that is left out is usual; one of another kind of token is not (RFC 8725 §3.11).
local function has_fitting_type(header)
  local typ = header.typ == nil and "jwt" or is_text(header.typ) and header.typ:lower() or ""
  typ = typ:gsub("^application/", "")
  return typ == "jwt" or typ == "logout+jwt"
end

local function names_event(events)
  local event = type(events) == "table" and events[EVENT]
  return type(event) == "table" and event ~= json.null and event[1] == nil
end

--- What is wrong with it, in words that quote none of its claims.
local function problem_of(jws, flow)
  local claims, issuer = jws.claims, flow.id_token_issuer or flow.issuer
  claims.exp = claims.exp or type(claims.iat) == "number" and claims.iat + LIFE or nil
  if not has_fitting_type(jws.header) then
    return "it is another kind of token (typ)"
  elseif not id_token.is_of(issuer, claims) then
    return "its iss is not " .. issuer
  elseif not id_token.names_client(claims.aud, flow.client_id) then
    return "it is for other clients (aud)"
  elseif not names_event(claims.events) then
    return "it is of no logout (events)"
  elseif claims.nonce ~= nil then
    return "it is an ID token (nonce)"
  elseif not is_text(claims.jti) then
    return "it has no jti"
  elseif claims.sub == nil and claims.sid == nil then
    return "it names neither user nor session (sub, sid)"
  elseif claims.sub ~= nil and not is_text(claims.sub)
    or claims.sid ~= nil and not is_text(claims.sid) then
    return "its user or session is no text (sub, sid)"
  end
  return id_token.problem_of_times(claims, { now = flow.now() })
end

--- Checks a logout token. Whether it has come before is for the caller to know.
---@param flow tokencache.UserFlow  whose client it must be for; with an issuer
---@param text any
---@param deadline number  monotonic seconds
---@return tokencache.LogoutToken?
---@return any problem  an error where the provider's keys could not be had
function logout_token.check(flow, text, deadline)
  local keys, err = discovery.keys(flow, deadline)
  if not keys then
    return nil, err
  end
  local jws, problem, may_be_new = id_token.verify(text, keys)
  if may_be_new then
    jws, problem = id_token.verify(text, discovery.keys(flow, deadline, true) or keys)
  end
  problem = problem or problem_of(jws, flow)
  if problem then
    return nil, problem
  end
  return jws.claims
end

return logout_token
