-- What tokencache.nginx.login takes of a browser's header Cookie, and of a worker's memory: no
-- stranger and no user can take more than there is.

local flood = require "support.flood"
local login_gateway = require "support.login_gateway"
local oidc_provider = require "support.oidc_provider"

local SERVER = [[
  location /auth/ { content_by_lua_block { gateway:serve() } }
  location = /memory {
    content_by_lua_block { collectgarbage() ngx.print(collectgarbage("count")) }
  }
  location / {
    access_by_lua_block { gateway:require_user() }
    content_by_lua_block { ngx.print("here") }
  }
]]

local TABS = 20
local ROUNDS = 12
local REQUESTS, LONG = 4000, 7000 -- bytes of a header Cookie: nginx takes 8k
local MOST_MEMORY = 30000 -- kB; all of them would take 56000

describe("the login gateway leaves room", function()
  local provider, gateway

  setup(function()
    provider = oidc_provider.start()
    gateway = login_gateway.start(provider, {}, { server = SERVER })
  end)

  teardown(function()
    gateway:stop()
    provider:stop()
  end)

  it("in a browser that a page has sent to long addresses, many times", function()
    local browser = gateway:new_browser()
    for i = 1, TABS do
      local answer = browser:get("/auth/login?to=/" .. ("a"):rep(1990) .. "?" .. i)
      assert.equal(303, answer.status, "after " .. i)
    end
    browser:log_in("alice", "/" .. ("b"):rep(1990))
    assert.equal(200, browser:get("/").status)
  end)

  it("for the logins of several tabs, of which few get into each other's way", function()
    local done = 0
    for _ = 1, ROUNDS do
      local browser, paths = gateway:new_browser(), {}
      for i = 1, 4 do
        paths[i] = browser:go_to_provider("/" .. i, { user = "alice" })
      end
      for i = 1, 4 do
        done = done + (browser:get(paths[i]).headers.location == "/" .. i and 1 or 0)
      end
    end
    assert.is_true(done > 0.8 * 4 * ROUNDS, done .. " of " .. 4 * ROUNDS)
  end)

  it("in a worker that meets one user with ever other cookies of the application's", function()
    local browser = gateway:new_browser()
    browser:log_in("alice")
    local session = browser:cookie_header()
    local statuses = flood(gateway.server.port, REQUESTS, function(i)
      return "/", { Cookie = ("%s; a=%d%s"):format(session, i, ("a"):rep(LONG)) }
    end)
    assert.same({ [200] = REQUESTS }, statuses)
    local _, memory = gateway.server:get "/memory"
    assert.is_true(tonumber(memory) < MOST_MEMORY, memory .. " kB")
  end)
end)
