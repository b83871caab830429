-- A person in headless Chromium at examples/nginx/login.conf, whose tokens live for five seconds.
-- login_browser_spec.lua has more of that.

local browsers = require "support.browsers"
local http = require "socket.http"
local nginx_example = require "support.nginx_example"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"

describe("browsers at examples/nginx/login.conf", function()
  local provider, gateway, people

  setup(function()
    provider = oidc_provider.start { token_lifetime = 5 }
    people = browsers.start(provider.url)
  end)

  teardown(function()
    people:stop()
    provider:stop()
  end)

  before_each(function()
    gateway = nginx_example.start("login", nginx_example.login_environment(provider))
  end)

  after_each(function()
    gateway:stop()
    people:forget()
  end)

  local function open(person, path)
    return people:open(person, gateway.url .. path)
  end

  local function check_user(person, path)
    local seen = open(person, path)
    assert.equal(200, seen.status)
    assert.equal(gateway.url .. path, seen.url)
    assert.matches(("You are at %s, %s."):format(path, person), seen.text, 1, true)
  end

  local function log_out(person)
    people:click(person, "Log out") -- to the page that asks
    local seen = people:click(person, "Log out")
    assert.equal(provider.url, seen.url:sub(1, #provider.url))
  end

  --- What the gateway keeps of each session.
  local function tokens()
    local all = {}
    local directory = gateway.directory
    for name in directory:shell("ls sessions | grep '^session%3a' || true"):gmatch("%S+") do
      local text = process.read_file(directory:file("sessions/" .. name)) or ""
      all[#all + 1] = { access = text:match('"access_token":"([^"]*)"'),
        refresh = text:match('"refresh_token":"([^"]*)"') }
    end
    return all
  end

  local function is_alive(token)
    local _, status = http.request { url = provider.url .. "/me",
      headers = { Authorization = "Bearer " .. token } }
    return status == 200
  end

  --- The cookies that are the gateway's and not the provider's, who shares its host name.
  local function gateway_cookies(person)
    local all = {}
    for _, cookie in ipairs(people:cookies(person)) do
      if cookie.name:find("^tokencache") then
        all[#all + 1] = cookie
      end
    end
    return all
  end

  it("a person logs in, stays logged in beyond the token's end, and logs out", function()
    check_user("alice", "/things")
    local first = tokens()[1]
    process.wait_until("the token to expire", function() return not is_alive(first.access) end)
    local before = provider:counts()
    check_user("alice", "/more")
    local after = provider:counts()
    assert.equal(before.authorize, after.authorize)
    assert.is_true(after.refresh_token > (before.refresh_token or 0))
    assert.not_equal(first.access, tokens()[1].access)

    local session = gateway_cookies("alice")[1].value
    log_out("alice")
    assert.same({}, gateway_cookies("alice"))
    assert.same({}, tokens())
    local answer = gateway:request("GET", "/things", { Cookie = "tokencache=" .. session,
      Accept = "text/html" })
    assert.equal(303, answer.status)
  end)

  it("a browser holds one opaque cookie, which no script sees", function()
    check_user("alice", "/")
    local cookies = gateway_cookies("alice")
    assert.equal(1, #cookies)
    assert.equal(43, #cookies[1].value)
    assert.is_true(cookies[1].httpOnly)
    assert.equal("Lax", cookies[1].sameSite)
    assert.equal("/", cookies[1].path)
    local kept = tokens()
    assert.equal(1, #kept)
    for _, cookie in ipairs(people:cookies("alice")) do
      assert.is_nil(cookie.value:find(kept[1].access, 1, true))
      assert.is_nil(cookie.value:find(kept[1].refresh, 1, true))
    end
  end)
end)
