-- spotipy itself beside us, renewing the same login in the same file at the same moment. It
-- truncates the file, writes it, and knows no lock; the provider takes each refresh token once.

local fake_endpoint = require "support.fake_endpoint"
local folder = require "support.folder"
local log = require "tokencache.log"
local process = require "support.process"
local socket = require "socket"
local tokencache = require "tokencache"

local ROUNDS = 20

if _VERSION ~= "Lua 5.4" or os.getenv("LD_PRELOAD") then
  return -- one suite will do: nothing here depends on the Lua
end

local function line_of(text, number)
  for line in text:gmatch("([^\n]*)\n") do
    number = number - 1
    if number == 0 then
      return line
    end
  end
end

describe("a login that spotipy renews at the same moment", function()
  local endpoint, dir, cache, flow, round

  local function let_them_begin()
    process.write_file(dir:file(tostring(round)), "")
  end

  --- They begin when our request goes out.
  local function new_transport()
    local curl = require("tokencache.transport.curl").new { proxy = "" }
    return { request = function(_, request)
      let_them_begin()
      return curl:request(request)
    end }
  end

  setup(function()
    endpoint, dir = fake_endpoint.start(), folder.new()
    endpoint:behave "once?delay=0.03"
    cache = tokencache.cache.file { cache_path = dir:file("token") }
    flow = tokencache.flow.authorization_code {
      provider = { authorize_url = endpoint:url("authorize"), token_url = endpoint:url("token") },
      client_id = "an-id", client_secret = "a-secret", http = new_transport(),
      redirect_uri = "http://127.0.0.1:8080/callback", authorize = false, cache = cache,
    }
    log.set_logger(false)
  end)

  teardown(function()
    log.set_logger(nil)
    endpoint:stop()
    dir:remove()
  end)

  it("is not said to be over, and not lost", function()
    local theirs = process.start({ "/usr/bin/python3", "tests/support/spotipy_renews.py",
      endpoint:url("token"), dir:file("token"), dir.path, tostring(ROUNDS) }, { ready = true })
    finally(function() theirs:stop() end)
    local won_by_them = 0
    for i = 1, ROUNDS do
      round = i
      local sent = "refresh-" .. round
      assert(cache:save_token_to_cache { access_token = "old", refresh_token = sent,
        expires_at = os.time() - 10, authorized_at = 1000 })
      local before = #endpoint:requests()
      if round % 2 == 0 then -- else we are first
        let_them_begin()
        socket.sleep(round % 5 * 0.004)
      end
      if round % 4 == 0 then -- they are
        process.wait_until("their request", function() return #endpoint:requests() > before end)
      end
      local token, err = flow:get_access_token()
      local said
      process.wait_until("spotipy", function()
        said = line_of(theirs:output(), round)
        return said
      end)
      assert.is_truthy(token, tostring(err))
      if not said:find "invalid_grant" then
        won_by_them = won_by_them + 1
        assert.equal(said, token)
      end
      local info = cache:get_cached_token()
      assert.same({ token, sent }, { info.access_token, info.refresh_token:match("^(.*)~%d+$") })
    end
    assert.is_true(won_by_them > 0, "spotipy was never first")
  end)
end)
