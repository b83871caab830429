-- Login by another device as a person meets it: the code is shown in a terminal, read there, and
-- entered in a browser.

local oidc_provider = require "support.oidc_provider"
local process = require "support.process"

describe("a login by another device, in a terminal", function()
  local server

  setup(function()
    server = oidc_provider.start { device_interval = 0.1 }
  end)

  teardown(function()
    server:stop()
  end)

  --- Starts the example; standard input is a terminal too.
  local function start(environment)
    local command = process.lua 'arg = { "device" } dofile "examples/login.lua"'
    local lines = { "mkfifo keyboard;",
      "SHELL=/bin/sh exec script -qefc 'cd \"$HERE\"; exec \"$LUA\" -e \"$SCRIPT\"' /dev/null",
      "<>keyboard" }
    local all = {
      LUA = command[1], SCRIPT = command[3], HERE = os.getenv "PWD",
      LD_PRELOAD = command.environment.LD_PRELOAD, CLIENT_ID = "public", SCOPE = "openid",
      ISSUER = server.url, LC_ALL = "C.UTF-8",
    }
    for name, value in pairs(environment or {}) do
      all[name] = value
    end
    local directory = process.temporary_directory()
    all.CACHE_PATH = directory .. "/cache"
    local child = process.start({ "sh", "-c", table.concat(lines, " ") },
      { environment = all, directory = directory })
    finally(function()
      child:stop()
      process.remove_directory(directory)
    end)
    local seen = process.wait_until("the code", function()
      local output = child:output()
      return output:find("The code is good for 10 minutes.", 1, true) and output
    end)
    return child, seen:gsub("\r", ""), directory
  end

  it("takes a code that is entered in a browser #once", function()
    local child, seen = start()
    local url, code = seen:match("open this address[^\n]*\n\n  (http%S+)\n\nand enter the code\n\n"
      .. "  (%S+)\n")
    assert.is_nil(url:find(code, 1, true))
    local status, output = process.run({ "node", "tests/servers/browser.mjs", url },
      { environment = { BROWSER_CODE = code } })
    assert.equal(0, status, output)
    child:wait()
    assert.matches("Token [%w_-]+…\r\nYou logged in on", child:output())
  end)

  it("takes the QR code's address #c", function()
    local child, seen, directory = start()
    local picture = {}
    for line in seen:gmatch("\27%[37;40;1m([^\27]*)\27%[0m") do
      picture[#picture + 1] = line
    end
    process.write_file(directory .. "/picture", table.concat(picture, "\n"))
    local status, url = process.run { "sh", "-c",
      "node tests/servers/read_qr.mjs <" .. directory .. "/picture" }
    assert.equal(0, status, url)
    assert.equal(seen:match("or open\n\n  (http%S+)\n"), url:gsub("\n$", ""))
    assert.equal("Sign-in Success", server:login((url:gsub("\n$", ""))))
    child:wait()
    assert.matches("You logged in on", child:output())
  end)

  it("shows no picture where there is no terminal #once", function()
    local _, said = process.run(process.lua [[require "tokencache.login.show" {
      user_code = "WDJB-MJHT", verification_uri = "https://example.com/device", expires_in = 60,
      verification_uri_complete = "https://example.com/device?user_code=WDJB-MJHT" }]],
      { environment = { LC_ALL = "C.UTF-8" } })
    assert.matches("WDJB%-MJHT\n\nor open\n\n  https://example.com/device%?user_code=WDJB%-MJHT\n\n"
      .. "The code is good for 1 minute.\n$", said)
  end)

  it("ends at Ctrl-C #once", function()
    local child, seen, directory = start { LC_ALL = "C" }
    assert.is_nil(seen:find("\27", 1, true)) -- where UTF-8 is not known, there is no picture
    process.write_file(directory .. "/keyboard", "\3")
    child:wait()
    assert.matches("interrupted!", child:output())
  end)
end)
