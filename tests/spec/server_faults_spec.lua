-- What a token endpoint can get wrong, and what the caller is told.

local core = require "tokencache._core"
local deadline = require "support.deadline"
local fake_endpoint = require "support.fake_endpoint"
local folder = require "support.folder"
local log = require "tokencache.log"
local merged = require "support.merged"
local mime = require "mime"
local tokencache = require "tokencache"

local LONG = 600 -- seconds
local CLIENT_ID = "id of:the faults"
local CLIENT_SECRET = "hush/secret +of%20the faults"
local ENCODED_ID = "id+of%3Athe+faults"
local ENCODED_SECRET = "hush%2Fsecret+%2Bof%2520the+faults"

local SECRETS = {
  CLIENT_SECRET, ENCODED_SECRET, mime.b64(ENCODED_ID .. ":" .. ENCODED_SECRET),
  mime.b64(CLIENT_ID .. ":" .. CLIENT_SECRET), "hush-query", "hush-param", "access-1", "access-2",
  "half a tok", "the-old-token", "kept-for-now",
}

local endpoint
local said = {} -- every message and log line of this file
local slept

local function hear(text)
  said[#said + 1] = tostring(text)
end

setup(function()
  endpoint = fake_endpoint.start { tls = true }
end)

teardown(function()
  endpoint:stop()
end)

before_each(function()
  endpoint:clear()
  slept = {}
  log.set_logger(function(level, message) hear(level .. " " .. message) end)
end)

after_each(function()
  log.set_logger(nil)
end)

--- An expired token, which no fault may throw away.
local function old_token()
  return { access_token = "the-old-token", expires_at = 5, client_id = CLIENT_ID }
end

--- Pauses are noted and skipped.
local function flow_to(url, options)
  return tokencache.flow.client_credentials(merged({
    provider = { token_url = url .. (url:find("?", 1, true) and "&" or "?") .. "key=hush-query" },
    client_id = CLIENT_ID,
    client_secret = CLIENT_SECRET,
    token_params = { audience = "https://api.example/", assertion = "hush-param" },
    cache = tokencache.cache.memory { token_info = old_token() },
    timeout = 10, -- beyond which no Retry-After is heeded
    proxy = "",
    ca_file = endpoint.ca_file,
    io = { sleep = function(seconds) slept[#slept + 1] = seconds end },
  }, options))
end

--- Asks once, and keeps what was said for the last test.
---@return tokencache.TokenInfo?
---@return tokencache.Error?
---@return number seconds  that it took
local function ask(flow)
  local start = core.monotonic()
  local info, err = flow:get_token_info()
  local seconds = core.monotonic() - start
  hear(flow)
  if err then
    assert.is_nil(info)
    for _, field in ipairs { "message", "code", "description" } do
      hear(err[field])
    end
    hear(err)
    assert.equal(err.message, tostring(err))
  end
  return info, err, seconds
end

---@class Fault
---@field path? string       what the endpoint does; or
---@field url? fun(): string
---@field kind string
---@field requests integer   how many the server has seen
---@field slept? number[]    the pauses between them
---@field says? string       a part of the message
---@field options? table     of the flow
---@field endless? boolean   nothing but the flow's timeout ends it
---@field fields? table      of the error

---@type table<string, Fault>
local faults = {
  ["a refused connection"] = {
    url = function() return endpoint.refused_url end,
    kind = "transient", requests = 0, slept = { 0.25, 0.5 }, says = "check that the server runs",
  },
  ["a connection that is never made"] = {
    url = function() return endpoint.blackhole_url end,
    endless = true, kind = "timeout", requests = 0,
  },
  ["a connection that is not made in its time"] = {
    url = function() return endpoint.blackhole_url end,
    options = { connect_timeout = 0.2 }, kind = "timeout", requests = 0, slept = { 0.25, 0.5 },
  },
  ["a server that never answers"] = {
    path = "silent", endless = true, kind = "timeout", requests = 1,
  },
  ["a body that never ends"] = {
    path = "drip", endless = true, kind = "timeout", requests = 1,
  },
  ["a reset in the body"] = { path = "reset", kind = "transient", requests = 1 },
  ["an end in the body"] = { path = "partial", kind = "transient", requests = 1 },
  ["a reset instead of an answer"] = {
    path = "reset-unanswered", kind = "transient", requests = 1,
  },
  ["an end instead of an answer"] = {
    path = "close-unanswered", kind = "transient", requests = 1,
  },
  ["a body of 5 MB"] = { path = "large", kind = "protocol", requests = 1, says = "larger than" },
  ["5 MB in chunks"] = {
    path = "large-chunked", kind = "protocol", requests = 1, says = "larger than",
  },
  ["100 kB of headers"] = {
    path = "large-headers", kind = "protocol", requests = 1, says = "larger than",
  },

  ["status 500"] = {
    path = "status/500", kind = "transient", requests = 1, fields = { status = 500 },
    says = "answered with status 500; try again later",
  },
  ["status 502"] = { path = "status/502", kind = "transient", requests = 1 },
  ["status 504"] = { path = "status/504", kind = "transient", requests = 1 },
  ["status 503"] = {
    path = "status/503", kind = "transient", requests = 3, slept = { 0.25, 0.5 },
    fields = { status = 503 },
  },
  ["status 429"] = {
    path = "status/429", kind = "transient", requests = 3, slept = { 0.25, 0.5 },
    fields = { status = 429 },
  },
  ["status 503 with a short Retry-After"] = {
    path = "status/503?retry_after=3", kind = "transient", requests = 3, slept = { 3, 3 },
    fields = { retry_after = 3 },
  },
  ["status 429 with a short Retry-After"] = {
    path = "status/429?retry_after=1", kind = "transient", requests = 3, slept = { 1, 1 },
    fields = { retry_after = 1 },
  },
  ["status 503 with a Retry-After beyond the deadline"] = {
    path = "status/503?retry_after=11", kind = "transient", requests = 1,
    fields = { retry_after = 11, status = 503 },
  },
  ["status 429 with a Retry-After that is no number or date"] = {
    path = "status/429?retry_after=soon", kind = "transient", requests = 3, slept = { 0.25, 0.5 },
  },
  ["status 403"] = { path = "status/403", kind = "denied", requests = 1 },
  ["status 401"] = { path = "status/401", kind = "config", requests = 1, says = "client_secret" },
  ["status 404"] = { path = "status/404", kind = "config", requests = 1, says = "token_url" },
  ["status 400 without an OAuth error"] = {
    path = "status/400", kind = "protocol", requests = 1, fields = { status = 400 },
  },
  ["a redirect"] = {
    path = "redirect", kind = "protocol", requests = 1, fields = { status = 302 },
    says = "which is not followed; give its target as token_url",
  },

  ["HTML with status 200"] = {
    path = "html", kind = "protocol", requests = 1, says = "other than a JSON object",
  },
  ["an empty body"] = { path = "empty", kind = "protocol", requests = 1 },
  ["a truncated body"] = { path = "truncated", kind = "protocol", requests = 1 },
  ["a JSON array"] = {
    path = "array", kind = "protocol", requests = 1, says = "other than a JSON object",
  },
  ["an answer without access_token"] = {
    path = "no-access-token", kind = "protocol", requests = 1, says = "without an access_token",
  },
  ["another token_type"] = {
    path = "token-type?is=mac", kind = "protocol", requests = 1,
    says = "token_type other than Bearer",
  },

  ["an OAuth error with status 200"] = {
    path = "oauth-error?error=bad_verification_code&description=Expired.", kind = "denied",
    requests = 1, says = "answered bad_verification_code - Expired.",
    fields = { code = "bad_verification_code", description = "Expired.", status = 200 },
  },
  ["a known OAuth error with status 200"] = {
    path = "oauth-error?error=invalid_scope", kind = "config", requests = 1, says = "check scope",
    fields = { code = "invalid_scope", status = 200 },
  },
  ["an OAuth error of its own with status 429"] = {
    path = "oauth-error?error=too_many_requests&status=429", kind = "transient", requests = 3,
    slept = { 0.25, 0.5 }, fields = { code = "too_many_requests" },
  },
  ["invalid_grant, where no user can log in again"] = {
    path = "oauth-error?error=invalid_grant&status=400", kind = "config", requests = 1,
  },
  ["temporarily_unavailable"] = {
    path = "oauth-error?error=temporarily_unavailable&status=503", kind = "transient",
    requests = 3, slept = { 0.25, 0.5 },
  },
  ["server_error"] = {
    path = "oauth-error?error=server_error&status=500", kind = "transient", requests = 1,
  },
  ["access_denied"] = {
    path = "oauth-error?error=access_denied&status=400", kind = "denied", requests = 1,
  },
  ["invalid_client"] = {
    path = "invalid-client", kind = "config", requests = 1,
    says = "check client_id, client_secret and token_endpoint_auth_method",
    fields = { code = "invalid_client", status = 401 },
  },

  ["an untrusted certificate"] = {
    url = function() return endpoint:url("token", "https") end,
    options = { ca_file = "/etc/ssl/certs/ca-certificates.crt" },
    kind = "config", requests = 0, says = "ca_file=",
  },
  ["a certificate for another host"] = {
    url = function() return endpoint:url("token", "mismatch") end,
    kind = "config", requests = 0, says = "check the URL's host",
  },
}

--- Asks for as long as it takes to send a request, which on a busy machine may be long.
---@return tokencache.Flow
---@return integer requests  of the last call
local function ask_briefly(url, requests)
  local flow, count, info, err
  deadline.enough(0.5, function(seconds)
    local this = "?timeout=" .. seconds
    flow = flow_to(url .. this, { timeout = seconds, request_time = LONG, connect_timeout = LONG })
    info, err = ask(flow)
    count = 0
    for _, request in ipairs(endpoint:requests()) do
      count = count + (request.url:find(this, 1, true) and 1 or 0)
    end
    return count >= requests
  end)
  return flow, count, info, err
end

for what, fault in pairs(faults) do
  it(("%s is %s, after %d requests"):format(what, fault.kind, fault.requests), function()
    local url = fault.url and fault.url() or endpoint:url(fault.path)
    local flow, count, info, err
    if fault.endless then
      flow, count, info, err = ask_briefly(url, fault.requests)
    else
      flow = flow_to(url, fault.options)
      info, err = ask(flow)
      count = #endpoint:requests()
    end
    assert.is_nil(info)
    assert.equal(fault.kind, err.kind, err.message)
    assert.equal(fault.requests, count)
    assert.same(fault.slept or {}, slept)
    assert.matches(fault.says or "", err.message, 1, true)
    assert.matches("^https?://127%.0%.0%.1:%d+", err.message)
    for name, value in pairs(fault.fields or {}) do
      assert.equal(value, err[name])
    end
    assert.same(old_token(), flow.cache:get_cached_token())
  end)
end

describe("a Retry-After", function()
  for _, status in ipairs { 503, 429 } do
    it(("of status %d may be a date"):format(status), function()
      local path = ("status/%d?retry_date=%d"):format(status, 5)
      local _, err, took = ask(flow_to(endpoint:url(path)))
      assert.equal("transient", err.kind)
      assert.equal(3, #endpoint:requests())
      local seconds = 0 -- of two pauses, in parts where a lock is extended meanwhile
      for _, part in ipairs(slept) do
        seconds = seconds + part
      end
      local least = 5 - 1 - took -- a date has whole seconds
      assert.is_true(seconds > 2 * least and seconds <= 10, seconds)
      assert.is_true(err.retry_after > least and err.retry_after <= 5, err.retry_after)

      endpoint:clear()
      _, err, took = ask(flow_to(endpoint:url(("status/%d?retry_date=%d"):format(status, 60))))
      assert.equal(1, #endpoint:requests())
      assert.is_true(err.retry_after > 60 - 1 - took and err.retry_after <= 60, err.retry_after)
    end)
  end

  it("that was heeded is rewarded", function()
    endpoint:behave("status/503?retry_after=2", "status/429?retry_after=1", "token")
    local info = assert(ask(flow_to(endpoint:url("token"))))
    assert.equal("access-1", info.access_token)
    assert.same({ 2, 1 }, slept)
  end)
end)

describe("expires_in", function()
  local function info_with(query)
    local before = math.floor(core.now()) -- os.time() may still be in the second before
    local info = assert(ask(flow_to(endpoint:url("expires-in" .. query))))
    return info, before, core.now()
  end

  for what, case in pairs {
    ["an integer"] = { "3600", 3600 }, ["a string"] = { '"3600"', 3600 },
    ["a string with a fraction"] = { '"3600.0"', 3600 }, ["a float"] = { "3599.9", 3599 },
    ["zero"] = { "0", 0 },
  } do
    it("may be " .. what, function()
      local info, before, after = info_with("?is=" .. case[1])
      assert.equal(case[2], info.expires_in)
      assert.is_true(info.expires_at >= before + case[2] and info.expires_at <= after + case[2])
      assert.equal(("%d"):format(info.expires_at), tostring(info.expires_at))
    end)
  end

  for what, query in pairs { ["absent"] = "", ["null"] = "?is=null" } do
    it("may be " .. what .. ": the token has no known end", function()
      local info = info_with(query)
      assert.is_nil(info.expires_in)
      assert.is_nil(info.expires_at)
    end)
  end
end)

describe("a token_type", function()
  it("is Bearer in any spelling", function()
    local info = assert(ask(flow_to(endpoint:url("token-type?is=bEARER"))))
    assert.equal("bEARER", info.token_type)
  end)
end)

describe("a token", function()
  it("that has some seconds left outlives the fault, with a warning", function()
    for _, path in ipairs { "reset", "status/500", "status/503" } do
      local kept = { access_token = "kept-for-now", expires_at = os.time() + 50 }
      local lines = #said
      local flow = flow_to(endpoint:url(path), {
        cache = tokencache.cache.memory { token_info = kept },
      })
      assert.equal(kept, (ask(flow)))
      assert.matches("^warning the token could not be renewed yet", said[lines + 1])
    end
  end)

  it("comes over TLS from a server that the authority vouches for", function()
    local info = assert(ask(flow_to(endpoint:url("token", "https"))))
    assert.equal("access-1", info.access_token)
  end)

  it("that cannot be saved is not told to the log", function()
    local dir = folder.new()
    finally(function() dir:remove() end)
    local lines = #said
    local flow = flow_to(endpoint:url("token"), {
      cache = tokencache.cache.file { cache_path = dir:file("missing/token") },
    })
    assert(ask(flow))
    assert.matches("\nerror the token could not be saved", table.concat(said, "\n", lines + 1))
  end)
end)

describe("an error_description", function()
  for _, method in ipairs { "client_secret_basic", "client_secret_post" } do
    it("that echoes the request is shown without its secrets (" .. method .. ")", function()
      local flow = flow_to(endpoint:url("echo-error"), { token_endpoint_auth_method = method })
      local _, err = ask(flow)
      assert.equal("config", err.kind)
      assert.equal("invalid_request", err.code)
      assert.matches("grant_type=client_credentials", err.description, 1, true)
      assert.matches("***", err.description, 1, true)
      assert.is_nil(err.description:find("%c"))
      assert.is_nil(err.description:find("\194\155", 1, true))
      local request = endpoint:requests()[1]
      local sent = request.body .. " " .. (request.headers.authorization or "")
      assert.truthy(sent:find(method == "client_secret_post" and ENCODED_SECRET
        or mime.b64(ENCODED_ID .. ":" .. ENCODED_SECRET), 1, true))
    end)
  end
end)

-- Last: what all of the above has said.
describe("no secret", function()
  it("is in any message or log line of this file", function()
    assert.is_true(#said > 200, #said)
    for _, text in ipairs(said) do
      for _, secret in ipairs(SECRETS) do
        assert.is_nil(text:find(secret, 1, true), text)
      end
    end
  end)
end)
