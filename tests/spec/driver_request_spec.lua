local log = require "tokencache.log"
local stages = require "support.stage"

after_each(function()
  log.set_logger(nil)
end)

describe("a request", function()
  it("gets the time that is left, as seconds and as a point in time", function()
    local stage = stages.new()
    stage:flow():get_access_token()
    assert.equal(30, stage.requests[1].timeout)
    assert.equal(80, stage.requests[1].deadline)
    stage.stored = nil
    stage:flow({ timeout = 3 }):get_access_token()
    assert.equal(53, stage.requests[2].deadline)
    stage.stored = nil
    stage:flow({ timeout = 3 }):get_access_token { timeout = 8 }
    assert.equal(58, stage.requests[3].deadline)
  end)

  it("is a POST that says who asks", function()
    local stage = stages.new()
    stage:flow({ scope = { "b", "a" }, token_params = { resource = "https://x.example/", audience =
      "ü" } }):get_access_token()
    local request = stage.requests[1]
    assert.equal("POST", request.method)
    assert.equal("https://login.example/token", request.url)
    assert.equal("grant_type=client_credentials&scope=a+b&audience=%C3%BC"
      .. "&resource=https%3A%2F%2Fx.example%2F", request.body)
    assert.same({
      Accept = "application/json",
      ["Accept-Encoding"] = "identity",
      ["Content-Type"] = "application/x-www-form-urlencoded",
      Authorization = "Basic YW4taWQ6dGhlK3NlY3JldCUyRm9mK3RoZStzdGFnZQ==",
    }, request.headers)
  end)

  it("may bring a token whose life is beyond 2^53, and which is then good for long", function()
    local stage = stages.new()
    stage.on.request = function()
      return { status = 200, body = '{"access_token":"long","token_type":"Bearer",'
        .. '"expires_in":9223372036854775}' }
    end
    local flow = stage:flow()
    assert.equal("long", flow:get_access_token())
    assert.equal("long", flow:get_access_token())
    assert.equal(1, #stage.requests)
    assert.is_true(stage.stored.expires_at > 3e9)
  end)

  it("with time gone is not sent", function()
    local stage = stages.new { lock = true }
    stage:before_lock(function() stage.monotonic = stage.monotonic + 31 end)
    local token, err = stage:flow():get_access_token()
    assert.is_nil(token)
    assert.equal("timeout", err.kind)
    assert.equal("load try_lock load unlock", stage:acts())
  end)

  local function attempts(answer, options)
    local stage = stages.new()
    stage.on.request = type(answer) == "function" and answer or function() return answer end
    local token, err = stage:flow():get_access_token(options)
    assert.is_nil(token)
    return #stage.requests, stage.slept, err
  end

  it("is sent up to three times where it was not processed", function()
    for _, answer in ipairs { stages.refuse, stages.answer({}, 503), stages.answer({}, 429),
      stages.answer({ error = "too_many_requests" }, 429),
      stages.answer({ error = "access_denied" }, 429),
      stages.answer({ error = "invalid_client" }, 503) } do
      local count, slept, err = attempts(answer)
      assert.equal(3, count)
      assert.same({ 0.25, 0.5 }, slept)
      assert.equal("transient", err.kind)
    end
  end)

  it("is sent once where it may have been processed, or cannot succeed", function()
    for _, answer in ipairs {
      stages.answer({}, 500), stages.answer({}, 502), stages.answer({}, 504),
      function() return nil, { kind = "transient", message = "reset" } end,
      function() return nil, { kind = "transient", message = "reset", sent = true } end,
      function() return nil, { kind = "config", message = "bad certificate", sent = false } end,
      function() return nil, "reset" end,
    } do
      local count, slept = attempts(answer)
      assert.equal(1, count)
      assert.same({}, slept)
    end
  end)

  it("is sent again after what Retry-After says, where there is time", function()
    local later = stages.answer({}, 503, { ["Retry-After"] = "4" })
    local count, slept, err = attempts(later, { timeout = 9 })
    assert.equal(3, count)
    assert.same({ 4, 4 }, slept)
    assert.equal(4, err.retry_after)
    count, slept = attempts(later, { timeout = 6 })
    assert.equal(2, count)
    assert.same({ 4 }, slept)
    count, slept, err = attempts(later, { timeout = 4 })
    assert.equal(1, count)
    assert.same({}, slept)
    assert.equal(503, err.status)
  end)

  it("sees Retry-After as a date, a number, in a list, in any spelling", function()
    for _, headers in ipairs {
      { ["retry-after"] = "Thu, 01 Jan 1970 00:16:42 GMT" }, { ["RETRY-AFTER"] = 2 },
      { ["Retry-After"] = { "2", "5" } },
    } do
      local _, slept = attempts(stages.answer({}, 503, headers), { timeout = 3 })
      assert.equal(2, slept[1])
    end
  end)

  it("waits a moment even where Retry-After is over already", function()
    for _, value in ipairs { "0", "Thu, 01 Jan 1970 00:00:42 GMT" } do
      local _, slept = attempts(stages.answer({}, 503, { ["Retry-After"] = value }))
      assert.same({ 0.25, 0.5 }, slept)
    end
  end)

  it("that succeeds at the second attempt leaves no trace of the first", function()
    local stage = stages.new()
    stage.on.request = function()
      stage.on.request = nil
      return stages.answer({}, 503)
    end
    local token, err = stage:flow():get_access_token()
    assert.equal("access-1", token)
    assert.is_nil(err)
    assert.same({}, stage.logged)
  end)
end)

describe("a transport", function()
  local nonsense = {
    ["nothing"] = {}, ["false"] = { false }, ["a string"] = { "200" }, ["a number"] = { 200 },
    ["true"] = { true }, ["no status"] = { { body = "{}" } },
    ["a status as a string"] = { { status = "200", body = "{}" } },
    ["status 0"] = { { status = 0 } }, ["status nan"] = { { status = 0 / 0 } },
    ["a huge status"] = { { status = 1e300 } },
    ["a body that is a table"] = { { status = 200, body = {} } },
    ["headers that are a string"] = { { status = 400, headers = "x", body = "{}" } },
  }
  for what, returned in pairs(nonsense) do
    it("that returns " .. what .. " is a protocol error that tells what is wanted", function()
      local stage = stages.new { lock = true }
      stage.on.request = function() return returned[1] end
      local token, err = stage:flow():get_access_token()
      assert.is_nil(token)
      assert.equal("protocol", err.kind)
      assert.equal("the transport must return { status =, headers =, body = }, or nil and an "
        .. "error; mend what was given as http=", tostring(err))
      assert.equal("load try_lock load request unlock", stage:acts())
    end)
  end

  it("may leave out headers and body", function()
    local stage = stages.new()
    stage.on.request = function() return { status = 500 } end
    local _, err = stage:flow():get_access_token()
    assert.equal("transient", err.kind)
    assert.equal(500, err.status)
  end)

  it("may name the kind of its error, or an unknown one", function()
    local stage = stages.new()
    stage.on.request = function() return nil, { kind = "timeout", message = "slow" } end
    local _, err = stage:flow():get_access_token()
    assert.equal("timeout", err.kind)
    stage.on.request = function() return nil, { kind = "ECONNRESET", message = "reset" } end
    _, err = stage:flow():get_access_token()
    assert.equal("transient", err.kind)
    assert.equal("reset", err .. "")
  end)

  it("that quotes the request in its error does not give secrets away", function()
    for _, method in ipairs { "client_secret_basic", "client_secret_post" } do
      local stage = stages.new()
      stage.on.request = function(request)
        return nil, ("could not send %s with %s for %s"):format(request.body,
          tostring(request.headers.Authorization), stages.CLIENT_SECRET)
      end
      local _, err = stage:flow({ token_endpoint_auth_method = method }):get_access_token()
      local message = tostring(err)
      assert.matches("^could not send grant_type=client_credentials", message)
      for _, secret in ipairs { stages.CLIENT_SECRET, "the+secret%2Fof+the+stage",
        "YW4taWQ6dGhlK3NlY3JldCUyRm9mK3RoZStzdGFnZQ==" } do
        assert.is_nil(message:find(secret, 1, true), message)
      end
    end
  end)
end)
