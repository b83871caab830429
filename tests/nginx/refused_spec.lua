-- The API has refused the token of all workers at once.

local workers_with_login = require "support.workers_with_login"

local HOUR = 3600

describe("40 requests on four workers that say the same token was refused", function()
  local stage

  -- The flow's clock stands: a new token is new for the whole test.
  before_each(function()
    stage = workers_with_login.start { workers = 4, store = "shared_dict(ngx.shared.tokens)",
      login = ("clock = function() return %d end,"):format(os.time()) }
  end)

  after_each(function()
    stage:stop()
  end)

  --- A token that seems good, and was issued some time ago.
  local function put_refused_token()
    local info = stage:entry()
    info.expires_in, info.expires_at = HOUR, os.time() + HOUR / 2
    stage:put(info)
    return info.access_token
  end

  local function begin(path)
    local requests = {}
    for i = 1, 40 do
      requests[i] = stage:begin(path)
    end
    return requests
  end

  --- What each was told, and how many workers there were.
  local function finish(requests)
    local workers, texts = {}, {}
    for i, request in ipairs(requests) do
      local _, body = request:finish()
      local pid, text = body:match("^(%d+) (.*)\n$")
      workers[pid], texts[i] = true, text
    end
    local count = 0
    for _ in pairs(workers) do
      count = count + 1
    end
    return texts, count
  end

  it("make one token request, and all get the new token", function()
    local refused = put_refused_token()
    stage.provider:next_token { held = true }
    local requests = begin("/token?refused=" .. refused)
    stage:wait_for_requests(1)
    stage.provider:release()
    local texts, workers = finish(requests)
    assert.is_true(workers > 1)
    for _, text in ipairs(texts) do
      assert.equal(stage:entry().access_token, text)
    end
    assert.not_equal(refused, texts[1])
    assert.is_true(stage.provider:introspect(texts[1]).active)
    assert.equal(1, stage.provider:token_requests() - stage.before)
  end)

  it("make no token request where the new one is refused at once as well", function()
    local refused = put_refused_token()
    local _, token = stage:ask("/token?refused=" .. refused)
    local texts = finish(begin("/token?refused=" .. token))
    for _, text in ipairs(texts) do
      assert.matches("^denied: ", text)
    end
    assert.equal(1, stage.provider:token_requests() - stage.before)
  end)
end)
