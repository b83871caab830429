-- How tokencache.nginx.login writes claims into headers: no user's become those of another.

local login_gateway = require "support.login_gateway"
local nginx = require "support.nginx"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"

local TOLD = {
  ["a list"] = { '["admin","staff"]', "admin,staff" },
  ["a list with something else in it"] = { '[null,{"id":1},"staff",["a","b"]]', "staff" },
  ["a list of nothing that can be told"] = { '[{"id":1}]', "nothing" },
  ["a group whose name has a comma in it"] = { '["a,admin","staff"]', "staff" },
  ["a group whose name has a line end in it"] = { '["a\\nX-User: root","staff"]', "staff" },
  ["a number of 16 digits"] = { "1234567890123456", "1234567890123456" },
  ["a number that is not whole"] = { "0.5", "0.5" },
  ["a number beyond what numbers tell apart"] = { "1e17", "nothing" },
  ["an object"] = { '{"id":1}', "nothing" },
  ["a text with a line end"] = { '"a\\r\\nb"', "nothing" },
}

describe("a claim that is", function()
  local server

  setup(function()
    server = nginx.start { server = [[
      location / {
        content_by_lua_block {
          local headers = require "tokencache.nginx.login.headers"
          ngx.req.read_body()
          local claims = require("tokencache.json").decode(ngx.req.get_body_data())
          ngx.print(headers.of({ headers = { ["X-Claim"] = "claim" } }, claims)[2] or "nothing")
        }
      }
    ]] }
  end)

  teardown(function()
    server:stop()
  end)

  for name, case in pairs(TOLD) do
    it(name .. " is told as it is, or not at all", function()
      local status, body = server:get("/",
        { method = "POST", body = ('{"claim":%s}'):format(case[1]) })
      assert.equal(200, status)
      assert.equal(case[2], body)
    end)
  end
end)

describe("claims that a location has changed", function()
  it("are still what the provider says, in headers", function()
    local provider = oidc_provider.start()
    local gateway
    finally(function()
      if gateway then
        gateway:stop()
      end
      provider:stop()
    end)
    gateway = login_gateway.start(provider, {}, { server = [[
      location /auth/ { content_by_lua_block { gateway:serve() } }
      location / {
        access_by_lua_block { gateway:require_user().sub = "mallory" }
        proxy_pass http://127.0.0.1:$APPLICATION;
      }
    ]] })
    local browser = gateway:new_browser()
    browser:log_in("alice")
    for i = 1, 3 do
      local cookie = browser:cookie_header() .. "; other=" .. i
      assert.equal("alice", browser:told("X-User", { Cookie = cookie }))
    end
  end)
end)

describe("a login at a provider that wants", function()
  local provider, gateway

  setup(function() provider = oidc_provider.start() end)
  after_each(function() gateway:stop() end)
  teardown(function() provider:stop() end)

  it("requests pushed is found again by its state", function()
    provider:control("require_par", { on = 1 }, "")
    gateway = login_gateway.start(provider)
    local browser = gateway:new_browser()
    browser:log_in "alice"
    assert.equal("alice", browser:user())
  end)

  it("tokens bound to a key is renewed with that, and asks who the user is", function()
    provider:change_client { dpop_bound_access_tokens = true }
    provider:control("dpop_nonce", { on = 1 }, "")
    gateway = login_gateway.start(provider, { dpop = true, authorization = false, userinfo = true })
    local browser = gateway:new_browser()
    browser:log_in "alice"
    assert.equal("alice", browser:user())
    assert.is_nil(browser:told "Authorization")
    local first, second = gateway:entry(browser), nil
    assert.equal("DPoP", first.token_type)
    gateway:change_entry(browser, { expires_at = 1 })
    process.wait_until("another token", function()
      assert.equal("alice", browser:user())
      second = gateway:entry(browser)
      return second.access_token ~= first.access_token
    end)
    assert.same(first.dpop_key, second.dpop_key)
  end)
end)
