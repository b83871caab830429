-- The command, by its results, exit statuses and files.

local commands = require "support.command"
local json = require "tokencache.json"
local loopback = require "support.loopback"
local process = require "support.process"

describe("the command", function()
  local server, command

  setup(function()
    command, server = commands.logged_in()
  end)

  teardown(function()
    command:remove()
  end)

  --- Runs it, which must fail so.
  local function fails(status, words, opts)
    local ended, out, err = command:run(words, opts)
    assert.equal(status, ended, err)
    assert.equal("", out)
    return err
  end

  it("prints a token and nothing else", function()
    assert.equal("alice", server:owner(command:ask { "token", "work" }))
  end)

  it("writes nothing while the token serves #once", function()
    local function written()
      return select(2, process.run { "find", command.home .. "/.config", command.home .. "/.local",
        "-printf", "%p %i %C@\\n" })
    end
    command:ask { "token", "work" }
    local before = written()
    for _, word in ipairs { "token", "header", "status", "list", "curl-config" } do
      command:ask { word, word ~= "list" and "work" or nil }
    end
    assert.matches("work", before)
    assert.equal(before, written())
    command:leave("work", -100)
    command:ask { "token", "work" }
    assert.not_equal(before, written())
  end)

  it("prints it as JSON, without the refresh token", function()
    local info = json.decode(command:ask { "token", "work", "--json" })
    assert.equal(command:token("work").access_token, info.access_token)
    assert.is_nil(info.refresh_token)
    assert.equal("Bearer", info.token_type)
  end)

  it("renews a token that is over, and one that does not last long enough", function()
    local first = command:leave("work", -100)
    local second = command:ask { "token", "work" }
    assert.not_equal(first, second)
    command:leave("work", 1900)
    assert.equal(second, command:ask { "token", "work", "--min-valid", "30m" })
    local third = command:ask { "token", "work", "--min-valid", "50m" }
    assert.not_equal(second, third)
    assert.equal(third, command:ask { "token", "work", "--min-valid", "3000" })
  end)

  it("says that no token lasts as long as is wanted #once", function()
    local status, out, err = command:run { "token", "work", "--min-valid", "3d" }
    assert.equal(0, status)
    assert.equal(command:token("work").access_token .. "\n", out)
    assert.matches("tokens last %d+ seconds and no longer", err)
  end)

  it("prints what SASL and HTTP want #once", function()
    local token = command:ask { "token", "work" }
    local function decoded(text)
      local _, bytes = process.run { "sh", "-c", "printf %s '" .. text .. "' | base64 -d" }
      return bytes
    end
    assert.equal("user=alice@example.com\1auth=Bearer " .. token .. "\1\1",
      decoded(command:ask { "token", "work", "--xoauth2", "alice@example.com" }))
    assert.equal("n,a=a=2Cb=3Dc,\1auth=Bearer " .. token .. "\1\1",
      decoded(command:ask { "token", "work", "--oauthbearer", "a,b=c" }))
    assert.equal("Authorization: Bearer " .. token, command:ask { "header", "work" })
  end)

  it("replaces a token that was refused, which no list of processes shows #once", function()
    local token = command:leave("work", 3000)
    local other = command:ask({ "token", "work", "--refused" }, { input = token .. "\n" })
    assert.not_equal(token, other)
    assert.equal(other, command:ask({ "token", "work", "--refused" }, { input = token .. "\n" }))
    assert.matches("there is no token on stdin", fails(2, { "token", "work", "--refused" }))
  end)

  it("runs a command that has the token in its environment, and its status #c", function()
    local token = command:ask { "token", "work" }
    assert.equal(token .. " a 'b", command:ask { "exec", "work", "--", "sh", "-c",
      'echo "$ACCESS_TOKEN $1 $2"', "sh", "a", "'b" })
    assert.equal(token, command:ask { "exec", "work", "--env", "OTHER", "--", "printenv", "OTHER" })
    assert.matches("name of a variable expected, not 'A=B'", fails(2, { "exec", "work", "--env",
      "A=B", "--", "true" }))
    local status = command:run { "exec", "work", "--", "sh", "-c", "exit 42" }
    assert.equal(42, status)
    assert.matches("^tokencache: /nowhere: No such file", fails(127,
      { "exec", "work", "--", "/nowhere" }))
  end)

  it("tells who is logged in, and lists the accounts #once", function()
    command:ask { "add", "--quiet", "another", "--issuer", server.url, "--client-id", "public" }
    assert.equal("another\nwork", command:ask { "list" })
    local state = json.decode(command:ask { "status", "work", "--json" })
    assert.is_true(state.logged_in)
    assert.equal("alice", state.who)
    assert.equal("openid read", state.scope)
    assert.equal(server.url, state.provider)
    assert.is_true(state.expires_in > 3000)
    local all = json.decode(command:ask { "status", "--json" })
    assert.equal(2, #all)
    assert.is_false(all[1].logged_in)
    local status, out = command:run { "status", "another" }
    assert.equal(3, status)
    assert.matches("login     needed; run: tokencache login another\n", out)
    assert.is_nil(out:find "\27")
    command:ask { "remove", "another", "-q" }
    assert.equal("work", command:ask { "list" })
  end)

  it("tells the scopes that were granted, and those that were asked for #once", function()
    assert.is_nil(command:ask({ "status", "work" }):find "asked")
    local text = process.read_file(command.accounts .. "/work.lua")
    finally(function() process.write_file(command.accounts .. "/work.lua", text) end)
    command:ask { "set", "-q", "work", "--scope", "write openid" }
    local status, out = command:run { "status", "work" }
    assert.equal(3, status)
    assert.matches("\n  scopes    openid read\n  asked     openid write\n", out)
    assert.matches("\n  login     needed; run: tokencache login work\n", out)
    assert.equal(3, (command:run { "token", "work" }))
  end)

  it("says what to do, by kind of failure", function()
    for _, word in ipairs { "token", "header", "login", "curl-config" } do
      assert.equal("tokencache: there is no account nobody; run: tokencache login nobody "
        .. "--provider ... --client-id ...\n", fails(7, { word, "nobody" }))
    end
    assert.equal("tokencache: there is no account nobody; run: tokencache list\n",
      fails(7, { "logout", "nobody" }))
    assert.equal("tokencache: there is no account wrok; did you mean work?\n",
      fails(7, { "token", "wrok" }))
    assert.matches("run: tokencache token %-%-help\n$", fails(2, { "token" }))
    assert.equal("tokencache: unknown command 'tokn'; did you mean 'token'; run: tokencache --help"
      .. "\n", fails(2, { "tokn", "work" }))
    assert.equal("tokencache: /nowhere: No such file or directory"
      .. "; check the path, and that this user may read it\n",
      fails(2, { "import", "/nowhere", "x" }))
    assert.equal("tokencache: /: Is a directory; check the path\n",
      fails(2, { "import", "/", "x" }))
    assert.equal("tokencache: give the path of a file, and not what is in it\n",
      fails(2, { "import", '{"refresh_token":"a"}', "x" }))
    for _, name in ipairs { "../work", ".work", "-work", "" } do
      assert.equal('tokencache: "' .. name .. '" is no name of an account: letters, digits and '
        .. "_ . @ + - only, a letter, a digit or _ first; 100 at most\n",
        fails(2, { "token", "--", name }))
    end
    command:ask { "add", "out", "-q", "--issuer", server.url, "--client-id", "public" }
    assert.matches("^tokencache: out: .*run: tokencache login out\n$", fails(3, { "token", "out" }))
    command:ask({ "add", "away", "-q", "--grant", "client_credentials", "--issuer",
      "http://127.0.0.1:" .. loopback.refusing_port(), "--client-id", "a",
      "--client-secret-file", "-" }, { input = "secret\n" })
    assert.matches("^tokencache: away: .*run: tokencache token away\n$",
      fails(5, { "token", "away" }))
    assert.equal("away\nout\nwork", command:ask { "list" })
  end)

  it("makes no account of what cannot work, and sends and asks nothing #once", function()
    local before, names = server:token_requests(), command:ask { "list" }
    local function issuer(...)
      return { "--issuer", server.url, "--client-id", "public", ... }
    end
    for message, settings in pairs {
      ["neither provider nor issuer is given"] = { "--scope", "a" },
      ["there is no preset nobody; there is atlassian, "] = { "--provider", "nobody" },
      ["client_id is required: give --client-id"] = { "--provider", "google" },
      ["issuer must be https, or http on a loopback address"] = { "--issuer", "http://a.example",
        "--client-id", "a" },
      ["token_url must be https"] = { "--provider", "gitlab", "--host", "http://a.example",
        "--client-id", "a" },
      ["host is required: give --host"] = { "--provider", "keycloak", "--client-id", "a" },
      ["redirect_uri: not a URL"] = issuer("--redirect-uri", "a.example"),
      ['grant may be "client_credentials"'] = issuer("--grant", "password"),
      ["client_secret is required: give --client-secret-file"] = issuer("--grant",
        "client_credentials"),
    } do
      for _, words in ipairs { { "add", "x" }, { "import", "-", "x" },
        settings[5] ~= "--grant" and { "login", "x", "--paste" } or nil } do
        local operand = words[1]
        for _, word in ipairs(settings) do
          words[#words + 1] = word
        end
        local err = fails(7, words, { input = '{"access_token":"a"}' })
        assert.matches("tokencache: x: " .. message, err, 1, true)
        assert.matches("; run: tokencache " .. operand .. " --help\n", err, 1, true)
      end
    end
    assert.equal(names, command:ask { "list" })
    assert.equal(before, server:token_requests())
  end)

  it("ends by the kind of what the provider does #once", function()
    for status, answer in pairs { [4] = { status = 400, error = "access_denied" },
      [9] = { status = 200, error = "" }, [7] = { status = 401, error = "invalid_client" } } do
      local token = command:leave("work", -100)
      server:next_token(answer)
      local err = fails(status, { "token", "work" })
      assert.matches("^tokencache: work: [^\n]*; run: tokencache [^\n]*work[^\n]*\n$", err)
      assert.equal(token, command:token("work").access_token)
    end
    assert.equal("alice", server:owner(command:ask { "token", "work" }))
  end)

  it("waits for a silent provider no longer than the settings say #once", function()
    local path = command.accounts .. "/work.lua"
    local text = process.read_file(path)
    process.write_file(path, text .. "timeout = 0.2\nrequest_time = 0.2\n")
    finally(function()
      server:be_silent(false)
      process.write_file(path, text)
    end)
    command:expire "work"
    server:be_silent(true)
    local err = fails(6, { "token", "work" })
    assert.matches("^tokencache: work: [^\n]*timed out[^\n]*, or raise the timeout; run: "
      .. "tokencache token work\n$", err)
    server:be_silent(false)
    assert.equal("alice", server:owner(command:ask { "token", "work" }))
  end)

  it("tells when the next login is due, where the provider's logins end #once", function()
    process.write_file(command.accounts .. "/ends.lua", ('provider = { name = "Ends", token_url = '
      .. '"%s", authorize_url = "https://a.example", refresh_token_lifetime = 604800 }\n'
      .. 'client_id = "public"'):format(server.token_url))
    local info = command:token "work"
    info.authorized_at = os.time() - 2.5 * 86400
    process.write_file(command.tokens .. "/ends.token", json.encode(info))
    assert.matches("\n  login     due in 4 days\n", command:ask { "status", "ends" })
    assert.is_true(json.decode(command:ask { "status", "ends", "--json" }).login_due_in > 4 * 86400)
    os.remove(command.accounts .. "/ends.lua")
  end)

  it("gets a program's own tokens, whose secret is beside them #once", function()
    command:ask({ "add", "machine", "-q", "--issuer", server.url, "--client-id", "basic",
      "--grant", "client_credentials", "--client-secret-file", "-" },
      { input = "basic-secret-8d1f\n" })
    assert.is_true(server:introspect(command:ask { "token", "machine" }).active)
    assert.is_nil(process.read_file(command.accounts .. "/machine.lua"):find("8d1f", 1, true))
    assert.matches("nobody logs in to it", fails(2, { "login", "machine" }))
    command:ask { "remove", "-q", "machine" }
    for _, name in ipairs { "machine", "client_secret%3amachine" } do
      assert.is_nil(process.read_file(command.tokens .. "/" .. name .. ".token"))
    end
  end)
end)
