-- How people log in by the command: at a terminal, and without one.

local commands = require "support.command"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"

describe("tokencache login #once", function()
  local at_end = require("support.at_end")()
  local server, command

  setup(function()
    server = oidc_provider.start { device_interval = 0.1 }
  end)

  teardown(function()
    server:stop()
  end)

  before_each(function()
    command = commands.new()
  end)

  after_each(function()
    command:remove()
  end)

  local function words(...)
    return { "login", "work", "--issuer", server.url, "--client-id", "public",
      "--scope", "openid read", ... }
  end

  local function seen(child, pattern)
    return process.wait_until(pattern, function()
      assert(child:is_running() or child:output():find(pattern), child:output())
      return child:output():match(pattern)
    end)
  end

  local function at_terminal(...)
    local child = command:start_in_terminal(...)
    at_end(function() child:stop() end)
    return child
  end

  --- The next command has nothing to say.
  local function expect_login(child)
    child:wait(120) -- a browser takes its time
    assert.matches("tokencache: work: logged in", child:output())
    assert.equal("alice", server:owner(command:ask { "token", "work" }))
    command:expire "work"
    assert.equal("alice", server:owner(command:ask { "token", "work" }))
  end

  local function files()
    local _, listed = process.run { "find", command.accounts, command.tokens, "-type", "f" }
    return listed
  end

  it("shows a code, which a browser enters", function()
    local child = at_terminal(words())
    local url = seen(child, "open this address[^\n]*\n\r?\n  (http%S+)")
    local code = seen(child, "and enter the code\r\n\r\n  (%S+)\r\n")
    local status, output = process.run({ "node", "tests/servers/browser.mjs", url },
      { environment = { BROWSER_CODE = code } })
    assert.equal(0, status, output)
    expect_login(child)
  end)

  it("opens the browser of this machine", function()
    local child = at_terminal(words "--browser",
      { BROWSER = "node " .. os.getenv "PWD" .. "/tests/servers/browser.mjs" })
    expect_login(child)
    assert.matches("of this machine; with --paste any will do", child:output(), 1, true)
  end)

  it("takes the address that a browser ended at", function()
    local child = at_terminal(words "--paste")
    local url = seen(child, "log in:\r\n\r\n  (http%S+)")
    child:type(server:login(url) .. "\n")
    expect_login(child)
  end)

  it("works without a terminal, and with stdin closed", function()
    local child = command:start({ "login", "work" })
    child:wait()
    assert.matches("no account work; run: tokencache login work ", child:output())
    command:log_in(server, "work")
    assert.equal("alice", server:owner(command:ask({ "token", "work" }, { after = "<&-" })))
    local status, _, err = command:run(words("--paste", "--scope", "openid"), { after = "<&-" })
    assert.equal(2, status)
    assert.matches("work is there already, with another scope; run: tokencache set work %-%-scope",
      err)
    status, _, err = command:run({ "login", "work", "--paste" }, { after = "<&-" })
    assert.equal(4, status)
    assert.matches("no answer was pasted; run: tokencache login work %-%-paste\n$", err)
    assert.equal("alice", server:owner(command:ask { "token", "work" })) -- what was there stays
  end)

  it("sends the pasted login of a preset where that is registered", function()
    for preset, redirect in pairs { microsoft = "http%3A%2F%2Flocalhost&",
      spotify = "http%3A%2F%2F127.0.0.1%3A8888%2Fcallback&" } do
      local _, _, err = command:run { "login", "work", "--provider", preset, "--client-id", "a",
        "--paste" }
      assert.matches("redirect_uri=" .. redirect, err, 1, true)
    end
  end)

  it("says which scopes were not granted", function()
    local child = command:start { "login", "work", "--issuer", server.url, "--client-id", "public",
      "--scope", "openid calendar.read", "--device" }
    finally(function() child:stop() end)
    assert.equal("Sign-in Success", server:login(seen(child, "or open\n\n  (http%S+)\n")))
    child:wait()
    assert.matches("\ntokencache: warning: the provider did not grant the login all scopes; "
      .. "missing: calendar.read\ntokencache: work: logged in", child:output(), 1, true)
  end)

  it("ends where the provider does not know the client", function()
    local status, _, err = command:run { "login", "work", "--issuer", server.url, "--client-id",
      "wrong" }
    assert.equal(7, status)
    assert.matches("^tokencache: work: [^\n]* answered invalid_client[^\n]*\n$", err)
  end)

  it("says why there is no login by another device", function()
    for problem, account in pairs {
      ["another issuer, " .. server.url .. "; check issuer"] = { "--issuer", server.url .. "/" },
      ["no device_authorization_url"] = { "--provider", "spotify" },
    } do
      local status, _, err = command:run { "login", "work", "--client-id", "public", "--device",
        account[1], account[2] }
      assert.equal(7, status)
      assert.matches(problem, err, 1, true)
      assert.is_nil(err:find("option login", 1, true))
    end
  end)

  it("says what is wrong with what was pasted", function()
    for text, try in pairs {
      ["hello world"] = { 9, "is not the address that the browser was sent to" },
      ["http://127.0.0.1/callback?code=1&state=2"] = { 10, "state is that of another login" },
      ["some_code"] = { 3, "invalid_grant" },
    } do
      local status, _, err = command:run(words "--paste", { input = text .. "\n" })
      assert.equal(try[1], status)
      assert.matches("tokencache: work: [^\n]*" .. try[2] .. "[^\n]*; run: tokencache login work ",
        err)
      assert.equal("", command:ask { "list", "-q" })
    end
    local _, _, err = command:run(words "--paste")
    assert.matches("were sent to: \ntokencache: work: [^\n]*no answer was pasted; run: ", err)
  end)

  it("fails where the login could not be kept after all", function()
    local child = command:start(words "--device")
    finally(function() child:stop() end)
    local url = seen(child, "or open\n\n  (http%S+)\n")
    assert(os.rename(command.tokens, command.home .. "/away"))
    assert.equal("Sign-in Success", server:login(url))
    child:wait()
    assert.matches("work: the login could not be kept; run: tokencache login work ", child:output())
    assert(os.rename(command.home .. "/away", command.tokens))
    assert.equal(command.tokens .. "/owner%3awork.token\n", files()) -- which holds no login
  end)

  it("leaves the account of another login of that name alone", function()
    local child = at_terminal(words "--paste")
    local url = seen(child, "log in:\r\n\r\n  (http%S+)")
    local status, _, err = command:run { "set", "work", "--scope", "a" }
    assert.equal(5, status)
    assert.matches("work: another tokencache makes or changes it; run: ", err)
    command:log_in(server, "work")
    child:type(server:login(url, { deny = true }) .. "\n")
    child:wait()
    assert.equal("alice", server:owner(command:ask { "token", "work" }))
  end)

  it("ends at SIGTERM and SIGHUP as at Ctrl-C", function()
    for _, signal in ipairs { "TERM", "HUP" } do
      local child = command:start(words "--device")
      at_end(function() child:stop() end)
      seen(child, "The code is good")
      child:signal(signal)
      child:wait()
      assert.equal("", files())
    end
  end)

  for way, sign in pairs { device = "The code is good", paste = "sent to: ",
    browser = "browser of this machine" } do
    it("ends at Ctrl-C and leaves nothing behind: --" .. way, function()
      local child = at_terminal(words("--" .. way), { BROWSER = "true" })
      seen(child, sign)
      child:type "\3"
      child:wait()
      assert.equal("", files())
      assert.equal("", command:ask { "list", "-q" })
    end)
  end

  it("leaves nothing behind where the user says no", function()
    local child = at_terminal(words "--paste")
    local url = seen(child, "log in:\r\n\r\n  (http%S+)")
    child:type(server:login(url, { deny = true }) .. "\n")
    child:wait()
    assert.matches("work: .*run: tokencache login work %-%-issuer http://[^\n]* %-%-paste\r\n$",
      child:output())
    assert.equal("", files())
  end)

  it("shows a login without colours where they are not wanted", function()
    for variable, coloured in pairs { NOTHING = true, NO_COLOR = false } do
      local child = command:start_in_terminal(words "--device", { [variable] = "1" })
      seen(child, "The code is good")
      assert.equal(coloured, child:output():find("\27[", 1, true) ~= nil)
      child:stop()
      os.remove(command.home .. "/keyboard")
    end
  end)

  it("shows colours only at a terminal that wants them", function()
    command:log_in(server, "work")
    for variable, coloured in pairs { NOTHING = true, NO_COLOR = false } do
      local child = command:start_in_terminal({ "status", "work" }, { [variable] = "1" })
      child:wait()
      assert.equal(coloured, child:output():find("\27[", 1, true) ~= nil)
      child:stop()
      os.remove(command.home .. "/keyboard")
    end
  end)

  it("says that there is no account yet, beside the results", function()
    for _, arguments in ipairs { { "list" }, { "status" } } do
      local status, out, err = command:run(arguments)
      assert.equal("0", status .. out)
      assert.equal("tokencache: there are no accounts yet; run: tokencache login --help\n", err)
    end
    assert.equal("", command:ask { "status", "-q" })
  end)

  it("keeps everything to this user", function()
    command:log_in(server, "work")
    local _, modes = process.run { "find", command.accounts, command.tokens, "-printf", "%m %y\n" }
    for line in modes:gmatch "[^\n]+" do
      assert.is_true(line == "600 f" or line == "700 d", line)
    end
  end)
end)
