-- A login in one process while another renews the login that was there before, at a real server and
-- over one file.

local core = require "tokencache._core"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"
local tokencache = require "tokencache"

--- Renews the login and, with the answer in hand, says so and waits for the file `go`.
local RENEWAL = [[
  local token_url, authorize_url, cache_path, go = ...
  local core = require "tokencache._core"
  local curl = require("tokencache.transport.curl").new { proxy = "" }
  local transport = {}
  function transport.request(_, request)
    local response = assert(curl:request(request))
    local ready = assert(io.open(os.getenv "READY_FILE", "w"))
    ready:write("answered\n")
    ready:close()
    local patience = core.monotonic() + 60
    while not io.open(go) do
      assert(core.monotonic() < patience)
      core.sleep(0.01)
    end
    return response
  end
  local tokencache = require "tokencache"
  local flow = tokencache.flow.pkce {
    provider = { token_url = token_url, authorize_url = authorize_url },
    client_id = "public", redirect_uri = "http://127.0.0.1:8080/callback", scope = "read",
    cache = tokencache.cache.file { cache_path = cache_path },
    http = transport, authorize = false, timeout = 120,
  }
  assert(flow:refresh_access_token())
  io.write("renewed")
]]

describe("a login in one process", function()
  local server, directory

  setup(function()
    server = oidc_provider.start()
    directory = process.temporary_directory()
  end)

  teardown(function()
    server:stop()
    process.remove_directory(directory)
  end)

  it("outlasts the renewal of the former one in another", function()
    local go, waits = directory .. "/go", 0
    local cache = tokencache.cache.file { cache_path = directory .. "/cache" }
    local flow = tokencache.flow.pkce(server:options("public", {
      redirect_uri = "http://127.0.0.1:8080/callback", scope = "read", cache = cache, timeout = 120,
      io = { sleep = function(seconds) -- it waits for the lock: let the other go on
        waits = waits + 1
        process.write_file(go, "")
        core.sleep(seconds)
      end },
    }))
    local function log_in()
      local url, pending = flow:get_authorize_url()
      return assert(flow:exchange(server:login(url), pending))
    end
    local former = log_in()
    assert.equal(0, waits)
    local other = process.start(process.lua(RENEWAL, server.provider.token_url,
      server.provider.authorize_url, directory .. "/cache", go), { ready = true })
    finally(function() other:stop() end)
    local new = log_in()
    process.write_file(go, "")
    other:wait(60)
    assert.equal("renewed", other:output())
    assert.is_true(waits > 0)
    local cached = assert(cache:get_cached_token())
    assert.not_equal(former.access_token, new.access_token)
    assert.equal(new.access_token, cached.access_token)
    assert.equal(new.refresh_token, cached.refresh_token)
    assert(flow:refresh_access_token()) -- and it lives
  end)
end)
