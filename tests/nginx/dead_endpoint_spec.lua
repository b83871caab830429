-- One failure for all who waited for it: requests that need a token at the same time do not each
-- find out for themselves, one after the other, that the token endpoint does not serve.

local core = require "tokencache._core"
local fake_endpoint = require "support.fake_endpoint"
local nginx = require "support.nginx"
local process = require "support.process"

local REQUESTS, WORKERS = 60, 4

local HTTP = [[
  lua_shared_dict tokens 1m;
  lua_shared_dict owed 1m;
  lua_shared_dict begun 1m;
  init_by_lua_block {
    local tokencache = require "tokencache"
    local in_nginx = require "support.in_nginx"
    tokencache.nginx.owed = ngx.shared.owed
    answer = in_nginx.answer
    local dict = tokencache.store.shared_dict(ngx.shared.tokens)
    flows = {}
    for name, url in pairs { slow = "$SLOW", blackhole = "$BLACKHOLE", refusing = "$REFUSED" } do
      flows[name .. "_dict"] = in_nginx.new_flow(url, tokencache.cache.from_store(dict, name))
      flows[name .. "_memory"] = in_nginx.new_flow(url, tokencache.cache.memory {})
    end
    flows.other = tokencache.flow.client_credentials {
      provider = { token_url = "$GOOD" }, client_id = "another", client_secret = "b", proxy = "",
      cache = tokencache.cache.from_store(dict, "slow"),
    }
  }
]]

local SERVER = [[
  listen 127.0.0.1:$SPREAD reuseport;
  location / {
    content_by_lua_block {
      local flow, timeout = flows[ngx.var.uri:sub(2)], tonumber(ngx.var.arg_timeout)
      local thread = ngx.thread.spawn(flow.get_access_token, flow, { timeout = timeout })
      ngx.shared.begun:incr("count", 1, 0) -- it is under way: it has come to where it waits
      answer(select(2, ngx.thread.wait(thread)))
    }
  }
  location /begun { content_by_lua_block { answer(ngx.shared.begun:get "count") } }
]]

describe("60 requests on four workers at", function()
  local endpoint, server, port

  before_each(function()
    endpoint = fake_endpoint.start()
    port = require("support.loopback").free_port()
    server = nginx.start { workers = WORKERS, http = HTTP, server = SERVER,
      values = { SLOW = endpoint:url("invalid-client?held=1"), GOOD = endpoint:url("token"),
        BLACKHOLE = endpoint.blackhole_url, REFUSED = endpoint.refused_url,
        SPREAD = tostring(port) } }
  end)

  after_each(function()
    server:stop()
    endpoint:stop()
  end)

  --- Lets the endpoint answer once so many requests are under way.
  local function release(count)
    process.wait_until("all to be under way", function()
      return select(2, server:get("/begun")) == count .. "\n"
    end)
    endpoint:release()
  end

  --- How long the slowest but one in a hundred took, and one alone, is printed, and no more: that
  --- depends on the machine.
  ---@param is_held? boolean  the endpoint answers when all are under way
  local function ask(path, pattern, is_held)
    local requests, seconds = {}, {}
    local start = core.monotonic()
    for i = 1, REQUESTS do
      requests[i] = server:begin(path, { port = port })
    end
    if is_held then
      release(REQUESTS)
    end
    for i, request in ipairs(requests) do
      local _, body = request:finish()
      assert.matches(pattern, body)
      seconds[i] = core.monotonic() - start
    end
    table.sort(seconds)
    print(("# %s: p50 %.2f s, p99 %.2f s"):format(path, seconds[30], seconds[60]))
  end

  it("an endpoint that knows no such client make one token request", function()
    ask("/slow_dict", "^config: ", true)
    assert.equal(1, #endpoint:requests())
  end)

  it("the same, each worker with a memory of its own, make one for each", function()
    ask("/slow_memory", "^config: ", true)
    assert.is_true(#endpoint:requests() <= WORKERS)
  end)

  it("an endpoint that refuses connections fail together", function()
    ask("/refusing_dict?timeout=5", "^transient: ")
    ask("/refusing_memory?timeout=5", "^transient: ")
  end)

  it("an endpoint that nobody reaches fail together", function()
    ask("/blackhole_dict?timeout=2", "^t%l+: ")
  end)

  it("one endpoint do not fail by another client's failure", function()
    local failing = server:begin("/slow_dict", { port = port })
    process.wait_until("its token request", function() return #endpoint:requests() == 1 end)
    local other = server:begin("/other")
    release(2)
    assert.matches("^config: ", (select(2, failing:finish())))
    assert.matches("^access", (select(2, other:finish())))
  end)

  it("an endpoint that is there again do not fail by an earlier failure", function()
    endpoint:release()
    assert.matches("^config: ", (select(2, server:get("/slow_dict"))))
    assert.matches("^access", (select(2, server:get("/other"))))
  end)
end)
