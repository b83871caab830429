-- Renewal ahead of time, by the timers of real workers. These renew a token when half of its life
-- is over, less the time at which they wake; requests go on with it until its last second.

local fake_endpoint = require "support.fake_endpoint"
local folder = require "support.folder"
local nginx = require "support.nginx"
local process = require "support.process"

local HTTP = [[
  lua_shared_dict tokens 1m;
  init_by_lua_block {
    tokencache = require "tokencache"
    in_nginx = require "support.in_nginx"
    answer = in_nginx.answer
    function new_flow(leeway, http)
      local store = tokencache.store.shared_dict(ngx.shared.tokens)
      local cache = "$CACHE" == "dictionary" and tokencache.cache.from_store(store, "token")
        or tokencache.cache.tiered {
          front = tokencache.cache.from_store(store, "token"),
          back = tokencache.cache.file { cache_path = "$FILE" },
          leeway = 1,
        }
      return in_nginx.new_flow("$URL", cache, { leeway = leeway, http = http })
    end
    -- over the same cache, but whoever has to wait for a renewal fails
    impatient = new_flow(1, { request = function() error("a request went to the provider") end })
    $INIT
  }
]]

local SERVER = [[
  location /token { content_by_lua_block { answer(impatient:get_access_token()) } }
  location /early { content_by_lua_block { answer(nil, early_err) } }
  location /many {
    content_by_lua_block {
      local store = tokencache.store.shared_dict(ngx.shared.tokens)
      local flow = in_nginx.new_flow("$URL", nil, { store = store })
      for i = 1, 600 do
        tokencache.cache.from_store(store, "user" .. i):save_token_to_cache { client_id = "a",
          access_token = "t", expires_in = 3600,
          expires_at = ngx.time() + (i < 600 and 3600 or 90) }
        flow:account("user" .. i):get_access_token()
      end
      answer(flow:keep_fresh())
    }
  }
]]

describe("keep_fresh in nginx", function()
  local endpoint, directory, server, init, cache

  local LASTS = "token" -- for an hour

  --- The first token is there when this returns.
  local function start(workers, ...)
    endpoint:behave(...)
    server = nginx.start {
      workers = workers,
      http = HTTP,
      init_worker = [[ assert(new_flow(60):keep_fresh { jitter = 0.5 }) ]],
      server = SERVER,
      values = { URL = endpoint:url("token"), FILE = directory:file("token.json"),
        INIT = init or "", CACHE = cache or "" },
    }
    process.wait_until("the first token", function()
      return cache or process.read_file(directory:file("token.json"))
    end)
  end

  local function get_token()
    local status, body = server:get("/token")
    assert.equal(200, status)
    assert.matches("^access%-%d+\n$", body)
    return tonumber(body:match "%d+")
  end

  local function wait_for_token(number)
    process.wait_until("token " .. number, function() return get_token() >= number end)
  end

  before_each(function()
    endpoint = fake_endpoint.start()
    directory = folder.new()
    init, cache = nil, nil
  end)

  after_each(function()
    server:stop()
    endpoint:stop()
    directory:remove()
  end)

  it("one of four workers renews, and no request waits for that", function()
    local short = "expires-in?is=10"
    start(4, short, short, short, short, LASTS)
    wait_for_token(5)
    assert.equal(5, #endpoint:requests())
  end)

  it("the old token serves while the endpoint hangs or fails", function()
    start(2, "expires-in?is=20", "silent", "status/500", LASTS)
    process.wait_until("the renewal", function()
      return #endpoint:requests() == 2
    end)
    for _ = 1, 20 do
      assert.equal(1, get_token())
    end
    assert.equal(2, #endpoint:requests())
    endpoint:close_connections()
    wait_for_token(2)
    assert.equal(4, #endpoint:requests())
    assert.matches("keep_fresh: the token could not be renewed: ", server:log(), 1, true)
  end)

  it("the workers of a reload take over from the old ones, who end", function()
    start(2, "expires-in?is=10")
    local old = server:worker_pids()
    server:reload()
    process.wait_until("the old workers to end", function()
      for _, pid in ipairs(old) do
        if process.read_file("/proc/" .. pid .. "/stat") then
          return false
        end
      end
      return true
    end)
    local before = #endpoint:requests()
    wait_for_token(before + 2)
  end)

  it("a lock that is extended during a request does as well", function()
    cache = "dictionary"
    start(2, "expires-in?is=10")
    process.wait_until("the third token", function()
      local _, body = server:get("/token")
      return (tonumber(body:match "^access%-(%d+)\n$") or 0) >= 3
    end)
    server:announce("a request went to the provider") -- before there was a token
  end)

  it("looks through many accounts without a word in the log", function()
    start(1, "token")
    local before = #endpoint:requests()
    local _, body = server:get("/many")
    assert.equal("true\n", body)
    process.wait_until("the last one to be renewed", function()
      return #endpoint:requests() == before + 1
    end)
    assert.is_nil(server:log():find("sleep", 1, true), server:log())
  end)

  it("holds up no worker that ends", function()
    start(1, "token")
    server:stop("QUIT")
    assert.equal(1, #endpoint:requests())
  end)

  it("names the phase to call it in where that is not the right one", function()
    init = "early_err = select(2, new_flow():keep_fresh())"
    start(1, "token")
    local _, body = server:get("/early")
    assert.equal("config: in nginx's phase init there are no timers yet; take "
      .. "init_worker_by_lua\n", body)
  end)
end)
