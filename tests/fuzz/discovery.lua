--- A provider whose every answer is the input: its metadata, its keys, its tokens, what it says of
--- a token and of a user, the codes of a login by device.

local core = require "tokencache._core"
local discovery = require "tokencache.discovery"
local json = require "tokencache.json"
local log = require "tokencache.log"
local outcome = require "fuzz.outcome"
local process = require "tokencache.account.process"
local tokencache = require "tokencache"

local ISSUER, REDIRECT_URI = "https://login.example", "https://app.example/callback"
local NOW, CLIENT_ID = 1760000000, "an-id"
local NONCE = core.base64url_encode(("n"):rep(32))

local check = outcome.check

log.set_logger(function(_, message) outcome.check_text(message) end)

--- A new process, whose clock goes on by its sleep alone.
local function options(bytes)
  local monotonic = 50
  return {
    provider = { issuer = ISSUER }, client_id = CLIENT_ID, client_secret = outcome.SECRET,
    scope = "openid", cache = tokencache.cache.memory {},
    http = { request = function() return { status = 200, headers = {}, body = bytes } end },
    io = {
      process = process.new(),
      now = function() return NOW + monotonic end,
      monotonic = function() return monotonic end,
      sleep = function(seconds) monotonic = monotonic + seconds end,
      random = function(count) return ("n"):rep(count) end,
    },
  }
end

local function is_safe(url)
  return core.problem_of_endpoint("url", url) == nil
end

local logins = 0

--- A login that is believed has an ID token which says what it must; here it is read once more.
local function log_in(flow, object)
  logins = logins + 1
  local state = "s" .. logins
  local url, pending = check(flow:get_authorize_url { state = state })
  if not url then
    return
  end
  assert(object.issuer == ISSUER and is_safe(object.authorization_endpoint), "an unsafe login")
  local info = check(flow:exchange(REDIRECT_URI .. "?code=" .. outcome.CODE .. "&state=" .. state
    .. "&iss=" .. ISSUER, pending))
  if info then
    local claims = json.decode(core.base64url_decode(object.id_token:match "%.(.-)%."))
    assert(is_safe(object.token_endpoint) and is_safe(object.jwks_uri), "an unsafe document")
    assert(claims.iss == ISSUER and claims.nonce == NONCE and claims.exp > NOW, "a forged ID token")
    assert(check(flow:id_token_claims()).sub == claims.sub)
  end
end

return function(bytes)
  local given = options(bytes)
  given.redirect_uri, given.authorize = REDIRECT_URI, false
  local flow = tokencache.flow.authorization_code(given)
  local object = json.decode_answer(bytes)
  check(discovery.keys(flow, flow.io.monotonic() + 10))
  log_in(flow, object)
  check(flow:userinfo())
  check(flow:introspect "a-token")
  check(flow:get_end_session_url())
  check(flow:log_out())
  local device = tokencache.flow.device(options(bytes))
  local prompt, pending = check(device:begin())
  if prompt then
    outcome.check_text(prompt.user_code)
    check(device:poll(pending))
  end
end
