-- The command, asked to end or killed at any moment: no half account, no lost login.

local commands = require "support.command"
local process = require "support.process"

describe("the command that is ended #once", function()
  local server, command

  setup(function()
    command, server = commands.logged_in()
  end)

  teardown(function()
    command:remove()
  end)

  local function renewals()
    return select(2, server:control("renewals"):gsub("\n", ""))
  end

  for _, signal in ipairs { "INT", "TERM", "HUP" } do
    it("saves the token that is on its way before: SIG" .. signal, function()
      command:expire "work"
      local before = server:token_requests()
      server:next_token { held = true }
      local child = command:start { "token", "work" }
      finally(function() child:stop() end)
      process.wait_until("the request", function() return server:token_requests() > before end)
      child:signal(signal)
      server:release()
      child:wait()
      assert.equal("alice", server:owner(command:ask { "token", "work" }))
      assert.equal(before + 1, server:token_requests())
    end)
  end

  --- Starts it, takes the tokens' directory away while the answer is on its way, and brings it back
  --- when the save has failed.
  local function start_in_debt(words)
    local away = command.home .. "/away"
    server:next_token { held = true }
    local before = server:token_requests()
    local child = command:start(words)
    finally(function() child:stop() end)
    process.wait_until("the request", function() return server:token_requests() > before end)
    assert(os.rename(command.tokens, away))
    server:release()
    process.wait_until("a save that fails", function()
      return child:output():find "could not be saved"
    end)
    assert(os.rename(away, command.tokens))
    return child
  end

  for _, signal in ipairs { "INT", "TERM", "HUP" } do
    it("saves at the end what could not be saved before: SIG" .. signal, function()
      command:expire "work"
      local child = start_in_debt { "keep-fresh", "work" }
      child:signal(signal)
      child:wait()
      assert.is_true(command:token("work").expires_at > os.time())
      assert.equal("alice", server:owner(command:ask { "token", "work" }))
    end)
  end

  it("tries again while it stays", function()
    command:expire "work"
    local child = start_in_debt { "keep-fresh", "work" }
    process.wait_until("the save", function()
      return command:token("work").expires_at > os.time()
    end)
    assert.is_true(child:is_running())
  end)

  it("fails, and saves the token, where nobody reads it any more", function()
    command:expire "work"
    local broken = command:words { "token", "work" }
    for i, word in ipairs { "sh", "-c", 'mkfifo "$HOME/pipe"; cat "$HOME/pipe" >/dev/null & '
      .. 'exec 3>"$HOME/pipe"; kill $!; wait; "$@" >&3; echo status $?', "sh" } do
      table.insert(broken, i, word)
    end
    local _, output = process.run(broken, { environment = command.environment })
    assert.equal("tokencache: stdout: Broken pipe\nstatus 1\n", output)
    assert.is_true(command:token("work").expires_at > os.time())
  end)

  it("ends in order where it is asked to twice at once, as by timeout(1)", function()
    local child = command:start { "login", "twice", "--issuer", server.url, "--client-id", "public",
      "--scope", "openid", "--device" }
    finally(function() child:stop() end)
    process.wait_until("the code", function() return child:output():find "The code is good" end)
    for _ = 1, 200 do
      child:signal "TERM"
    end
    child:wait()
    assert.equal("work", command:ask { "list" })
  end)

  it("ends as by the signal that ended it", function()
    local all = command:words { "keep-fresh", "work" }
    for i, word in ipairs { "timeout", "-s", "TERM", "--preserve-status", "0.5" } do
      table.insert(all, i, word)
    end
    assert.equal(143, (process.run(all, { environment = command.environment })))
  end)

  --- Has it killed after so many seconds, if it has not ended before.
  local function kill_after(seconds, words)
    local all = { "sh", "-c", 'timeout -s KILL "$@"; :', "sh", ("%.3f"):format(seconds) }
    for _, word in ipairs(command:words(words)) do
      all[#all + 1] = word
    end
    process.run(all, { environment = command.environment })
  end

  --- What is there is whole: a file that cannot be read would be an error of kind "cache".
  local function ask()
    local status, out, err = command:run { "token", "work" }
    assert.is_true(status == 0 or status == 3, err)
    return status == 0 and out
  end

  it("loses a login only between the provider's answer and the save", function()
    for i = 1, 12 do
      command:expire "work"
      local before = renewals()
      kill_after(i * 0.006, { "token", "work" })
      local was_saved = command:token("work").expires_at > os.time()
      if not ask() then
        assert.is_false(was_saved)
        assert.is_true(renewals() > before)
        assert.equal(0, (command:run { "remove", "work" }))
        command:log_in(server, "work")
      end
    end
  end)

  it("has an account or none after a login", function()
    for i = 1, 6 do
      command:run { "remove", "work" }
      local child = command:start { "login", "work", "--issuer", server.url, "--client-id",
        "public", "--scope", "openid", "--device" }
      if i > 3 then
        server:login(process.wait_until("the code", function()
          return child:output():match "or open\n\n  (http%S+)\n"
        end))
      end
      require("tokencache._core").sleep((i - 1) % 3 * 0.02)
      child:signal "KILL"
      child:stop()
      local is_there = command:ask { "list" } == "work"
      local status = command:run { "status", "work" }
      assert.is_true(status == (is_there and (ask() and 0 or 3) or 7))
    end
    command:run { "remove", "work" }
    command:log_in(server, "work")
  end)

  it("is logged in or out after a log out", function()
    for i = 1, 4 do
      kill_after(i * 0.02, { "logout", "work" })
      ask()
      assert.equal(0, (command:run { "logout", "work" }))
      assert.is_false(ask())
      command:run { "remove", "work" }
      command:log_in(server, "work")
    end
  end)
end)
