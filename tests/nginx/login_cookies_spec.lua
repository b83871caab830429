-- tokencache.nginx.login with sessions in cookies. Two gateways with the same secret are two
-- machines, or one that was started anew: what is in a shared dictionary is not there in the other.

local flood = require "support.flood"
local login_gateway = require "support.login_gateway"
local loopback = require "support.loopback"
local merged = require "support.merged"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"

local OLD, NEW = "a secret of the tests' own", "and the one that is to follow"
local LIFETIME, DUE = 600, 560 -- seconds of a token, and after which it is renewed
local BIG = [[function(claims)
  claims.more = ("x"):rep(claims.sub == "bob" and 6000 or 3000)
  return true
end]]
local BESIDE = [[
  server {
    listen 127.0.0.1:$BESIDE;
    location /lose { content_by_lua_block { ngx.shared.tokencache:flush_all() } }
    location /keys {
      content_by_lua_block { ngx.say(table.concat(ngx.shared.tokencache:get_keys(0), "\n")) }
    }
  }
]]

describe("sessions in cookies", function()
  local provider, gateway, other, all

  local function start(options)
    local quoted = {}
    for i, secret in ipairs(options.secrets or { OLD, NEW }) do
      quoted[i] = ("%q"):format(secret)
    end
    options.secrets = nil
    local beside = loopback.free_port()
    local started = login_gateway.start(provider, merged({ store = "nil",
      cookie_secret = "{" .. table.concat(quoted, ",") .. "}", clock = "ngx.now" }, options),
      { workers = 2, http = BESIDE, values = { BESIDE = tostring(beside) } })
    started.beside = beside
    all[#all + 1] = started
    return started
  end

  --- Another machine of the same gateway.
  local function beside(options)
    return start(merged({ public_url = ("%q"):format(gateway.url) }, options))
  end

  setup(function()
    all = {}
    provider = oidc_provider.start { token_lifetime = LIFETIME }
    gateway = start {}
    other = beside { secrets = { NEW, OLD } }
  end)

  teardown(function()
    for _, started in ipairs(all) do
      started:stop()
    end
    provider:stop()
  end)

  local function keys_in(where)
    local keys, _, list = {}, where.server:get("/keys", { port = where.beside })
    for key in list:gmatch "[^\n]+" do
      keys[key] = true
    end
    return keys
  end

  local function log_in(where, user)
    local browser = where:new_browser()
    browser:log_in(user or "alice")
    return browser
  end

  --- Whom a browser with these cookies is taken for.
  local function user_of(where, cookies)
    local browser = where:new_browser()
    browser.cookies = merged(cookies)
    return browser:user(), browser.cookies
  end

  --- As if it were so many seconds later, for all.
  local function let_pass(seconds)
    for _, started in ipairs(all) do
      started:advance(seconds)
    end
  end

  local function ask(where, cookie)
    return where.server:begin("/", { headers = { Accept = "application/json",
      Cookie = "tokencache=" .. cookie } })
  end

  it("are as opaque as they are long, and no script's", function()
    local browser = gateway:new_browser()
    local cookie = browser:log_in("alice").cookies.tokencache
    assert.matches("^tokencache=[%w_-]+; Path=/; HttpOnly; SameSite=Lax$", cookie)
    assert.equal("alice", browser:user())
  end)

  it("work on another machine, and where the dictionary has lost them", function()
    local _, cookies = user_of(gateway, log_in(gateway).cookies)
    local function check()
      for _ = 1, 10 do -- of both workers
        local user
        user, cookies = user_of(other, cookies)
        assert.equal("alice", user)
      end
    end
    check()
    other.server:get("/lose", { port = other.beside })
    let_pass(2) -- no worker remembers them
    check()
  end)

  it("are opened by each secret, and sealed by the first", function()
    local strict = beside { secrets = { NEW } }
    local cookies = log_in(gateway).cookies
    assert.is_nil((user_of(strict, cookies)))
    let_pass(1) -- else the cookie is as new as can be
    local _, _, headers, newer = ask(other, cookies.tokencache):finish()
    assert.equal("private", headers["cache-control"])
    assert.equal("alice", (user_of(strict, { tokencache = newer.tokencache:match "=([^;]*)" })))
  end)

  it("are another gateway's where its client differs", function()
    assert.is_nil((user_of(beside { client_id = '"other"' }, log_in(gateway).cookies)))
  end)

  it("take several cookies where one is too small, but not too many", function()
    local big = start { allow = BIG }
    local browser = log_in(big)
    local cookies = merged(browser.cookies)
    assert.matches("^2%.", cookies.tokencache)
    for _, value in pairs(cookies) do
      assert.is_true(#value < 4000)
    end
    assert.equal("alice", browser:user())
    assert.is_nil((user_of(big, { tokencache = cookies.tokencache })))
    assert.is_nil((user_of(big, { tokencache = cookies["tokencache-2"],
      ["tokencache-2"] = cookies.tokencache })))
    browser:post("/auth/logout")
    assert.same({}, browser.cookies)

    browser = big:new_browser()
    local path = browser:go_to_provider("/", { user = "bob" })
    assert.equal(500, browser:get(path).status)
    assert.same({}, browser.cookies)
    assert.matches("more than cookie.max_bytes %(7000%).*raise both, or keep sessions in a store",
      big.server:log())
    big.server:announce "max_bytes"
  end)

  --- The cookie and the access token in an answer.
  local function finish(request)
    local status, body, _, cookies = request:finish()
    assert.equal(200, status)
    return cookies.tokencache and cookies.tokencache:match "^tokencache=([^;]*)",
      body:match "\r\nAuthorization: Bearer ([^\r]*)"
  end

  it("go on over a renewal, whichever token is in them", function()
    local old, before = log_in(gateway).cookies.tokencache, provider:counts().refresh_token or 0
    let_pass(DUE)
    local requests, newer = {}, nil
    for i = 1, 20 do
      requests[i] = ask(gateway, old)
    end
    for _, request in ipairs(requests) do
      local cookie = finish(request)
      newer = cookie or newer
    end
    process.wait_until("the renewal", function()
      return (provider:counts().refresh_token or 0) > before
    end)
    for _, cookie in ipairs { newer, old } do
      local _, token = finish(ask(gateway, cookie))
      assert.equal("alice", provider:owner(token))
    end
  end)

  it("are renewed by one machine, and the other takes the newer token", function()
    local cookie = log_in(gateway).cookies.tokencache
    local newer, former = finish(ask(gateway, cookie))
    cookie = newer or cookie
    let_pass(DUE)
    process.wait_until("a new token", function()
      local token
      newer, token = finish(ask(other, cookie))
      cookie = newer or cookie
      return token ~= former
    end)
    local _, token = finish(ask(gateway, cookie))
    assert.equal("alice", provider:owner(token)) -- a second use would have ended the login
  end)

  it("that have ended do not come back", function()
    local browser = log_in(gateway)
    local first = merged(browser.cookies)
    browser:post("/auth/logout")
    assert.is_nil((user_of(gateway, first)))
    browser.cookies = log_in(gateway).cookies
    local second = merged(browser.cookies)
    browser:log_in("bob", "/auth/login")
    assert.is_nil((user_of(gateway, second)))
    assert.equal("bob", browser:user())
  end)

  it("end where the provider says so", function()
    local told = start {} -- whose clock is the provider's
    provider:tell_logouts(told.url .. "/auth/backchannel")
    local cookies = log_in(told, "carol").cookies
    provider:log_out("carol")
    assert.is_nil((user_of(told, cookies)))
    assert.is_nil((user_of(told, cookies)))
  end)

  it("end when they are not used, and at last", function()
    local short = start { idle_timeout = 1, lifetime = 2 }
    local cookies = log_in(short).cookies
    short:advance(2)
    process.wait_until("its use to be noted no longer", function()
      return user_of(short, merged(cookies)) == nil
    end)
    local browser = log_in(short, "bob")
    local first = merged(browser.cookies)
    process.wait_until("the session to end", function() return browser:get("/").status == 303 end)
    assert.is_nil((user_of(short, first)))
  end)

  it("are none with any bit changed, which leaves nothing behind", function()
    local cookie, changed = log_in(gateway).cookies.tokencache, {}
    local before = keys_in(gateway)
    for i = 1, #cookie do
      for bit = 0, 7 do
        local byte = cookie:byte(i)
        local flipped = byte + (math.floor(byte / 2 ^ bit) % 2 == 0 and 1 or -1) * 2 ^ bit
        if flipped > 32 and flipped ~= 127 then -- others have no place in a header
          changed[#changed + 1] = cookie:sub(1, i - 1) .. string.char(math.floor(flipped))
            .. cookie:sub(i + 1)
        end
      end
    end
    local statuses = flood(gateway.server.port, #changed, function(i)
      return "/", { Cookie = "tokencache=" .. changed[i], ["Sec-Fetch-Mode"] = "cors" }
    end)
    assert.same({ [401] = #changed }, statuses)
    for key in pairs(keys_in(gateway)) do
      assert.is_true(before[key], key .. " is left")
    end
    assert.equal("alice", (user_of(gateway, { tokencache = cookie })))
  end)
end)
