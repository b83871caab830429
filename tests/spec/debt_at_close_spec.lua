-- A token that is owed when a program ends: one more attempt where that needs no event loop.

local cache = require("tokencache").cache
local core = require "tokencache._core"
local folder = require "support.folder"
local log = require "tokencache.log"
local logins = require "support.logins"
local new_process = require("tokencache.account.process").new
local process = require "support.process"
local real_stores = require "support.real_stores"
local stages = require "support.stage"
local timers = require "tokencache.account.debt_timers"

--- The beginning of a program: `renew` spoils the saves while the token is on its way.
local PROGRAM = [[
  local tokencache = require "tokencache"
  tokencache.set_logger(false)
  local store, cache, spoil
  local function renew()
    local flow = tokencache.flow.authorization_code {
      provider = { token_url = "https://a.example/t", authorize_url = "https://a.example/a" },
      client_id = "c", client_secret = "s", redirect_uri = "http://127.0.0.1:1/",
      authorize = false, store = store, cache = cache,
      http = { request = function()
        spoil()
        return { status = 200, body = '{"access_token":"new","token_type":"Bearer",'
          .. '"expires_in":3600,"refresh_token":"r2"}' }
      end },
    }
    io.write(assert((store and flow:account("ann") or flow):get_access_token()))
  end
]]

local OLD = { access_token = "old", refresh_token = "r1", expires_at = 5 }

local function run(rest, ...)
  local code, output = process.run(process.lua(PROGRAM .. rest, ...))
  assert.equal("0 new", code .. " " .. output)
end

describe("a token that could not be saved is saved at the end of the program", function()
  after_each(function() log.set_logger(nil) end)

  it("in a file, if that is possible by then", function()
    local dir = folder.new()
    finally(function() dir:remove() end)
    local path = dir:file("token")
    local file = cache.file { cache_path = path }
    assert(file:save_token_to_cache(OLD))
    run([[
      local path = ...
      cache = tokencache.cache.file { cache_path = path }
      function spoil()
        assert(os.rename(path, path .. ".kept"))
        os.execute("mkdir '" .. path .. "'")
      end
      renew()
      os.execute("rmdir '" .. path .. "'")
      assert(os.rename(path .. ".kept", path))
    ]], path)
    assert.equal("r2", file:get_cached_token().refresh_token)
  end)

  describe("in a server #once", function()
    local real = real_stores.use()

    for name, new_store in pairs {
      Redis = function() return ("redis { port = %d }"):format(real.redis.port) end,
      memcached = function()
        return ("memcached { servers = { %q } }"):format(real.memcached.address)
      end,
    } do
      it(name .. ", and its lock is let go of", function()
        local handler = cache.from_store(real.new[name](), "ann")
        assert(handler:save_token_to_cache(OLD))
        run(("store = tokencache.store.%s"):format(new_store()) .. [[

          function spoil()
            function store.replace() return nil, "there is no room" end
          end
          renew()
          store.replace = nil
          assert(store:get("ann"):find('"r1"', 1, true))
          assert(store:try_lock("ann", 1) == false)
        ]])
        assert.equal("r2", handler:get_cached_token().refresh_token)
        assert.is_table((assert(handler:try_lock(10))))
      end)
    end
  end)

  it("is tried once at a server that does not answer, however many are owed to it", function()
    local owing = new_process()
    local attempts, seconds, real = 0, 0, core.monotonic
    finally(function() core.monotonic = real end)
    function core.monotonic() return 1000 + seconds end
    for i = 1, 5 do
      local stage = stages.new { token_info = logins.LOGIN }
      logins.rotate(stage)
      stage.io.process = owing
      function stage.handler.account_id() return "redis:127.0.0.1:6379", "user:" .. i end
      stage.on.save = logins.fail
      assert.equal("access-1", stage:user_flow():get_access_token())
      stage.on.load = function()
        attempts, seconds = attempts + 1, seconds + 2 -- it waits for its timeout
        return nil, "no answer"
      end
    end
    assert.equal(5, owing.owing)
    timers.save_at_close(owing)
    assert.equal(1, attempts)
    assert.equal(5, owing.owing)
    for id in pairs(owing.states) do
      owing.states[id] = nil -- for the end of this program
    end
  end)
end)
