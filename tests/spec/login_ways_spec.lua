-- Which way a login takes, of those that the flow has and of those that can be had here.

local errors = require "tokencache.error"
local keep_log = require "support.keep_log"
local log = require "tokencache.log"
local merged = require "support.merged"
local tokencache = require "tokencache"

local LOOPBACK, ELSEWHERE = "http://127.0.0.1:0/callback", "https://app.example/callback"
local PROVIDER = { token_url = "https://login.example/token",
  authorize_url = "https://login.example/authorize" }
local WITH_DEVICE = merged(PROVIDER, { device_authorization_url = "https://login.example/device" })

local MODULES = {
  browser = "tokencache.login.listen", device = "tokencache.login.device",
  paste = "tokencache.login.paste",
}

describe("a login takes the way", function()
  local getenv, environment, taken, failures, loaded = os.getenv, nil, nil, nil, {}

  before_each(function()
    environment, taken, failures = {}, {}, {}
    os.getenv = function(name) -- luacheck: ignore 122
      if name == "DISPLAY" or name == "WAYLAND_DISPLAY" or name == "BROWSER" then
        return environment[name]
      end
      return getenv(name)
    end
    for way, module in pairs(MODULES) do
      loaded[module] = package.loaded[module]
      local function log_in()
        taken[#taken + 1] = way
        return nil, failures[way] or errors.new("denied", way)
      end
      package.loaded[module] = way == "device" and { log_in = log_in } or log_in
    end
  end)

  after_each(function()
    os.getenv = getenv -- luacheck: ignore 122
    for _, module in pairs(MODULES) do
      package.loaded[module] = loaded[module]
    end
    log.set_logger(nil)
  end)

  ---@return string ways  that were tried, in their order
  ---@return tokencache.Error
  local function take(options, flow)
    local _, err = tokencache.flow[flow or "pkce"](merged({ provider = WITH_DEVICE,
      client_id = "id", redirect_uri = LOOPBACK, cache = tokencache.cache.memory {} },
      options)):get_access_token()
    local ways = table.concat(taken, " ")
    taken = {}
    return ways, err
  end

  it("of the browser, where there is one, and else of pasting, as ever", function()
    environment.DISPLAY = ":0"
    assert.equal("browser", take {})
    assert.equal("browser", take { provider = PROVIDER })
    environment.DISPLAY = nil
    assert.equal("browser", take { provider = PROVIDER })
    assert.equal("paste", take { provider = PROVIDER, redirect_uri = ELSEWHERE })
    assert.equal("paste", take { open_browser = false })
    assert.equal("browser", take({ }, "implicit"))
  end)

  it("of another device, where there is no browser and the provider has it", function()
    assert.equal("device", take {})
    for _, name in ipairs { "DISPLAY", "WAYLAND_DISPLAY", "BROWSER" } do
      environment[name] = "there"
      assert.equal("browser", take {})
      assert.equal("device", take { redirect_uri = ELSEWHERE })
      environment[name] = ""
      assert.equal("device", take {})
      environment[name] = nil
    end
  end)

  it("that the program wants most", function()
    environment.DISPLAY = ":0"
    assert.equal("device", take { login = { "device", "browser" } })
    assert.equal("paste", take { login = { "paste" } })
    assert.equal("paste", take { login = { "device", "paste" }, provider = PROVIDER })
    environment.DISPLAY = nil
    assert.equal("browser", take { login = { "browser", "paste" } })
    assert.equal("device", take { login = { "browser", "device" } })
    assert.equal("browser", take { login = { "browser", "device" }, provider = PROVIDER })
  end)

  it("that is left where one turns out not to be had", function()
    local logged = keep_log()
    failures.device = errors.new("config", "unauthorized_client")
    local ways, err = take {}
    assert.equal("device paste", ways)
    assert.equal("denied", err.kind)
    assert.matches("the login goes on in another way: unauthorized_client", logged[1])
    ways, err = take { login = { "device" } }
    assert.equal("device", ways)
    assert.equal("config", err.kind)

    environment.DISPLAY, failures.browser = ":0", errors.new("config", "no libmicrohttpd")
    ways, err = take {}
    assert.equal("browser", ways)
    assert.equal("config", err.kind)
    assert.equal("browser paste", take { login = { "browser", "paste" } })
    failures.browser = errors.new("denied", "no")
    assert.equal("browser", take { login = { "browser", "paste" } })
  end)

  it("and no other where the provider does not know the client", function()
    local logged = keep_log()
    for description, ways in pairs { ["no client"] = "device", ["Only clients of type 'TVs and "
      .. "Limited Input devices' can use the OAuth 2.0 flow"] = "device paste" } do
      failures.device = errors.new("config", "no", { code = "invalid_client",
        description = description })
      for _, options in ipairs { {}, { login = { "device", "paste" } } } do
        assert.equal(ways, take(options))
      end
    end
    failures.device = errors.new("config", "no", { code = "invalid_client" })
    local _, err = take {}
    assert.equal("invalid_client", err.code)
    assert.equal(2, #logged)
  end)

  it("of none where none can be had", function()
    local ways, err = take { login = { "browser", "device" }, provider = PROVIDER,
      redirect_uri = ELSEWHERE }
    assert.equal("", ways)
    assert.equal("config", err.kind)
    assert.equal("there is no way to log in here; of browser, device none can be had (option "
      .. "login): the provider has no device_authorization_url, as far as is known; give that in "
      .. "provider if it has one, or issuer to find it by", tostring(err))
    ways, err = take { login = { "device" }, provider = PROVIDER }
    assert.equal("", ways)
    assert.matches("^the provider has no device_authorization_url", tostring(err))
  end)

  it("that has a name", function()
    for _, ways in ipairs { {}, { "phone" }, { 1 }, { "browser", "" }, { "browser paste" } } do
      assert.error_matches(function() take { login = ways } end,
        'login must be a list of "browser", "device" and "paste"')
    end
    assert.error_matches(function() take { login = { "paste" }, open_browser = true } end,
      "give login or open_browser, not both")
  end)
end)
