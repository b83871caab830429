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
local ROUNDS = 6
local REQUESTS, LONG = 2000, 7000 -- bytes of a header Cookie: nginx takes 8k
local MOST_MEMORY = 18000 -- kB; all of them would take 28000

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
    local names, different = {}, 0
    for _ = 1, ROUNDS do
      local browser, paths, under_way, done = gateway:new_browser(), {}, 0, 0
      for i = 1, 4 do
        paths[i] = browser:go_to_provider("/" .. i, { user = "alice" })
      end
      for name in pairs(browser.cookies) do
        under_way, different = under_way + 1, different + (names[name] and 0 or 1)
        names[name] = true
      end
      for i = 1, 4 do
        done = done + (browser:get(paths[i]).headers.location == "/" .. i and 1 or 0)
      end
      assert.equal(under_way, done) -- two tabs may have drawn the same name
    end
    assert.is_true(different > 4, different .. " names") -- of 16
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
