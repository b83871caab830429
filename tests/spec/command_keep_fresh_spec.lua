-- tokencache keep-fresh: renews ahead of time, and says when somebody must log in.

local commands = require "support.command"
local loopback = require "support.loopback"
local process = require "support.process"

describe("tokencache keep-fresh #once", function()
  local server, command

  setup(function()
    command, server = commands.logged_in()
  end)

  teardown(function()
    command:remove()
  end)

  local function start(...)
    local child = command:start { "keep-fresh", ... }
    finally(function() child:stop() end)
    return child
  end

  it("renews what ends soon, and nothing else", function()
    local token = command:leave("work", 1000)
    assert.equal("", command:ask { "keep-fresh", "--once" })
    assert.equal(token, command:token("work").access_token)
    assert.equal("", command:ask { "keep-fresh", "--once", "--margin", "20m" })
    assert.not_equal(token, command:token("work").access_token)
  end)

  it("runs by units that systemd takes", function()
    command:install()
    local path, units = command.bin .. "/tokencache", {}
    for _, name in ipairs { "tokencache.service", "tokencache-once.service",
      "tokencache-once.timer" } do
      units[#units + 1] = command.home .. "/" .. name
      process.write_file(units[#units],
        (process.read_file("systemd/" .. name):gsub("/usr/local/bin/tokencache", path)))
    end
    local verify = { "systemd-analyze", "verify", "--user", "--man=no", units[1], units[2],
      units[3] }
    assert.equal("0", table.concat({ process.run(verify, { environment = command.environment }) }))
    local once = process.read_file(units[2])
    local token = command:leave("work", 1000)
    assert.equal(0, (process.run({ "sh", "-c", once:match "\nExecStart=([^\n]+)" },
      { environment = command.environment })))
    assert.not_equal(token, command:token("work").access_token)
    assert.matches("\nSuccessExitStatus=3\n", once .. "\n")
  end)

  it("stays, and looks again", function()
    local token = command:leave("work", 200)
    start "work"
    process.wait_until("a new token", function()
      return command:token("work").access_token ~= token
    end)
  end)

  it("holds no signal back from what it runs", function()
    command:ask { "add", "-q", "zero", "--issuer", server.url, "--client-id", "public" }
    command:leave("work", 200) -- its renewal holds them
    local status, _, err = command:run { "keep-fresh", "--once", "--on-login-needed",
      "grep SigBlk /proc/self/status >&2" }
    assert.equal(3, status)
    assert.matches("SigBlk:\t%x+[012389ab]%x%x[048c]\n", err) -- bits of SIGTERM, SIGINT and SIGHUP
    command:ask { "remove", "-q", "zero" }
  end)

  it("renews other tokens while a person is asked, and ends meanwhile", function()
    command:ask { "add", "-q", "asks", "--issuer", server.url, "--client-id", "public" }
    local answer = command.home .. "/answer"
    local token = command:leave("work", 200)
    local child = start("--on-login-needed", ("while [ -d %s ] && [ ! -e %s ]; do sleep 0.1; done")
      :format(command.home, answer))
    process.wait_until("a new token", function()
      return command:token("work").access_token ~= token
    end)
    child:signal "TERM"
    child:wait()
    process.write_file(answer, "")
    command:ask { "remove", "-q", "asks" }
  end)

  it("runs a command once where a login is needed", function()
    server:revoke(command:token("work").refresh_token)
    command:expire "work"
    local notes = command.home .. "/notes"
    command:ask({ "add", "-q", "away", "--grant", "client_credentials", "--issuer",
      "http://127.0.0.1:" .. loopback.refusing_port(), "--client-id", "a",
      "--client-secret-file", "-" }, { input = "secret" })
    local child = start("--margin", "1s", "--verbose", "--on-login-needed",
      'echo "$TOKENCACHE_ACCOUNT" >>' .. notes)
    process.wait_until("a second look", function()
      return child:output():find "failed, kind=reauthorize.*failed, kind=reauthorize"
    end)
    process.wait_until("the command", function() return process.read_file(notes) == "work\n" end)
    for _, line in ipairs { "work: [^\n]*; run: tokencache login work\n",
      "away: [^\n]*; run: tokencache token away\n" } do
      assert.equal(1, (select(2, child:output():gsub(line, ""))))
    end
    child:stop()
    command:ask { "remove", "-q", "away" }
    local status, _, err = command:run { "keep-fresh", "--once" }
    assert.equal(3, status)
    assert.matches("run: tokencache login work\n", err)
  end)
end)
