-- What may be changed of an account, and what that does to its token.

local commands = require "support.command"
local json = require "tokencache.json"
local process = require "support.process"
local scripted_server = require "support.scripted_server"

describe("tokencache set #once", function()
  local server, command

  setup(function()
    command, server = commands.logged_in()
  end)

  teardown(function()
    command:remove()
  end)

  it("takes no token to another provider or client", function()
    local text = process.read_file(command.accounts .. "/work.lua")
    for option, value in pairs { ["--issuer"] = "http://127.0.0.1:1", ["--provider"] = "google",
      ["--client-id"] = "other", ["--tenant"] = "t", ["--host"] = "h", ["--realm"] = "r",
      ["--domain"] = "d", ["--grant"] = "client_credentials" } do
      local status, _, err = command:run { "set", "work", option, value }
      assert.equal(2, status)
      assert.matches("its token is of another %l.*; run: tokencache logout work\n$", err)
    end
    assert.equal(text, process.read_file(command.accounts .. "/work.lua"))
    command:ask { "set", "-q", "work", "--scope", "openid", "--client-id", "public" }
    assert.equal("alice", server:owner(command:ask { "token", "work" }))
    command:ask { "logout", "-q", "work" }
    command:ask { "set", "-q", "work", "--issuer", "http://127.0.0.1:1" }
    assert.equal(3, (command:run { "token", "work" }))
    command:ask { "remove", "-q", "work" }
    command:log_in(server, "work")
  end)

  it("is not the only way: what is edited by hand takes no token elsewhere either", function()
    local path = command.accounts .. "/work.lua"
    local text, thief = process.read_file(path), scripted_server.start { { "" } }
    local address = "http://127.0.0.1:" .. thief.port
    finally(function()
      thief:stop()
      process.write_file(path, text)
    end)
    for _, edit in ipairs { ('issuer = "%s"'):format(address),
      ('provider = { token_url = "%s", authorize_url = "%s" }'):format(address, address) } do
      process.write_file(path, (text:gsub("issuer = [^\n]*", edit)))
      command:leave("work", 3000)
      for _ = 1, 2 do
        for _, words in ipairs { { "token", "work" }, { "login", "work", "--device" },
          { "keep-fresh", "--once", "work" } } do
          local status, out, err = command:run(words)
          assert.equal("7", status .. out, err)
          assert.matches("work: its token is of another %l+; run: tokencache logout work\n$", err)
        end
        command:expire "work"
      end
      assert.equal(7, (command:run { "status", "work" }))
    end
    command:ask { "set", "-q", "work", "--issuer", server.url } -- back again
    assert.equal("", thief:heard())
    assert.equal("alice", server:owner(command:ask { "token", "work" }))
    -- logged out here alone
    process.write_file(path, (text:gsub("issuer = [^\n]*", ('issuer = "%s"'):format(address))))
    local token = command:token "work"
    local status, _, err = command:run { "logout", "work" }
    assert.equal(0, status)
    assert.equal("tokencache: work: forgotten here; it was of another issuer, which was not told\n",
      err)
    assert.equal("", thief:heard())
    assert.is_true(server:introspect(token.access_token).active)
    assert.equal(3, (command:run { "token", "work" }))
    process.write_file(path, text)
    command:ask { "remove", "-q", "work" }
    command:log_in(server, "work")
  end)

  it("needs no login where a program asks for itself", function()
    command:ask({ "add", "-q", "robot", "--issuer", server.url, "--client-id", "basic", "--grant",
      "client_credentials", "--client-secret-file", "-" }, { input = "basic-secret-8d1f" })
    local path = command.accounts .. "/robot.lua"
    local token = command:ask { "token", "robot" }
    process.write_file(path, (process.read_file(path):gsub("issuer = [^\n]*",
      ('provider = { token_url = "%s" }'):format(server.token_url))))
    local other = command:ask { "token", "robot" }
    assert.not_equal(token, other)
    assert.equal(other, command:ask { "token", "robot" })
    command:ask { "remove", "-q", "robot" }
    assert.equal("", select(2, process.run { "find", command.tokens, "-name", "[co]*robot*" }))
  end)

  it("gives a new account nothing of an old one's", function()
    local token = json.encode(command:token "work")
    local function leave_behind()
      process.write_file(command.tokens .. "/new.token", token)
      process.write_file(command.tokens .. "/client_secret%3anew.token", "old-secret")
    end
    leave_behind()
    command:ask { "add", "-q", "new", "--issuer", server.url, "--client-id", "public" }
    assert.equal(3, (command:run { "token", "new" }))
    assert.is_nil(process.read_file(command.tokens .. "/client_secret%3anew.token"))
    command:ask { "remove", "-q", "new" }
    for _, words in ipairs { { "login", "new", "--paste" }, { "import", "-", "new" } } do
      leave_behind()
      for _, word in ipairs { "--issuer", server.url, "--client-id", "public" } do
        words[#words + 1] = word
      end
      local status = command:run(words, { input = '{"refresh_token":"dead"}' })
      assert.is_true(status > 2)
      assert.is_nil(command:token "new")
    end
  end)

  it("takes away the provider for an issuer, and back", function()
    command:ask { "add", "-q", "new", "--provider", "github", "--client-id", "public" }
    command:ask { "set", "-q", "new", "--issuer", server.url }
    local text = process.read_file(command.accounts .. "/new.lua")
    assert.is_nil(text:find "provider")
    assert.equal(server.url, json.decode((select(2,
      command:run { "status", "new", "--json" }))).provider)
    command:ask { "set", "-q", "new", "--provider", "github" }
    text = process.read_file(command.accounts .. "/new.lua")
    assert.is_nil(text:find "issuer")
    command:ask { "remove", "-q", "new" }
  end)

  it("removes what no flow can be made of", function()
    process.write_file(command.accounts .. "/bad.lua", 'provider = "google"\nclient_id = ""\n')
    process.write_file(command.tokens .. "/bad.token", '{"access_token":"a"}')
    local status, _, err = command:run { "remove", "bad" }
    assert.equal(7, status)
    assert.matches("^tokencache: bad: removed here, but: ", err)
    assert.is_nil(process.read_file(command.accounts .. "/bad.lua"))
    assert.is_nil(command:token "bad")
  end)

  it("removes what holds no settings, and what was never logged in", function()
    process.write_file(command.accounts .. "/bad.lua", "while true do end")
    process.write_file(command.accounts .. "/new.lua", 'provider = "google"')
    local status, out, err = command:run { "status", "new" }
    assert.equal("7", status .. err)
    assert.matches("\n  problem   new: client_id is required: give --client-id; run: tokencache "
      .. "set new --help\n", out, 1, true)
    for _, name in ipairs { "bad", "new" } do
      assert.equal("", command:ask { "remove", "-q", name })
      assert.is_nil(process.read_file(command.accounts .. "/" .. name .. ".lua"))
    end
    status, out, err = command:run { "remove", "new" }
    assert.equal("7", status .. out)
    assert.equal("tokencache: there is no account new; run: tokencache list\n", err)
  end)

  it("shows what cannot be read beside the others", function()
    finally(function()
      command:ask { "remove", "-q", "bad" }
      command:run { "remove", "-q", "new" }
    end)
    command:ask { "add", "-q", "new", "--issuer", server.url, "--client-id", "public" }
    process.write_file(command.accounts .. "/bad.lua", "while true do end")
    process.write_file(command.tokens .. "/new.token", "junk")
    local status, out, err = command:run { "status" }
    assert.equal(7, status, err)
    assert.matches("bad\n  problem   " .. command.accounts .. "/bad.lua:1: name = value expected; "
      .. "run: ${EDITOR:-vi} ", out, 1, true)
    assert.matches("\n  problem   " .. command.tokens .. "/new.token: new: not JSON: ", out, 1,
      true)
    assert.matches("run: tokencache login new\n  login     not known\n", out, 1, true)
    assert.matches("work\n  who       alice\n", out, 1, true)
    status, out = command:run { "status", "--json" }
    local states = json.decode(out)
    assert.equal(7, status)
    assert.same({ nil, nil, true }, { states[1].logged_in, states[2].logged_in,
      states[3].logged_in })
    assert.equal(8, (command:run { "status", "new" }))
    status, out, err = command:run { "list" }
    assert.equal("0bad\nnew\nwork\n", status .. out)
    assert.matches("/bad.lua:1: name = value expected; run: ", err, 1, true)
    status, out, err = command:run { "token", "new" }
    assert.equal("8", status .. out)
    assert.matches(command.tokens .. "/new.token: [^\n]*; run: tokencache login new\n", err)
  end)

  it("takes a table, and says what cannot be changed there", function()
    local path = command.accounts .. "/new.lua"
    process.write_file(path, ('return { issuer = %q, -- "\nclient_id = \'public\' }\n')
      :format(server.url))
    assert.equal(3, (command:run { "token", "new" }))
    local status, _, err = command:run { "set", "new", "--scope", "a" }
    assert.equal(7, status)
    assert.matches("/new.lua: scope is not on a line of its own; change it there; run: ", err, 1,
      true)
    command:ask { "remove", "-q", "new" }
  end)

  it("takes no change that cannot work", function()
    local text = process.read_file(command.accounts .. "/work.lua")
    command:ask { "logout", "-q", "work" }
    for message, change in pairs {
      ["client_id is required"] = { "--client-id", "" }, ["issuer must be https"] = { "--issuer",
        "http://a.example" }, ["there is no preset nobody"] = { "--provider", "nobody" },
      ["client_secret is required"] = { "--grant", "client_credentials" },
    } do
      local status, _, err = command:run { "set", "work", change[1], change[2] }
      assert.equal(7, status)
      assert.matches("tokencache: work: " .. message, err, 1, true)
    end
    assert.equal(text, process.read_file(command.accounts .. "/work.lua"))
    command:ask { "remove", "-q", "work" }
    command:log_in(server, "work")
  end)

  it("takes a client's secret away", function()
    command:ask({ "add", "-q", "new", "--issuer", server.url, "--client-id", "basic",
      "--client-secret-file", "-" }, { input = "secret" })
    command:ask { "set", "-q", "new", "--client-secret-file", "" }
    assert.is_nil(process.read_file(command.tokens .. "/client_secret%3anew.token"))
    command:ask { "remove", "-q", "new" }
  end)

  it("loses no change of two at once", function()
    command:ask { "add", "-q", "new", "--issuer", server.url, "--client-id", "public" }
    local function set(option)
      return ('"%s" "%s" set -q new %s a:x'):format(command:words({})[1], command:words({})[2],
        option)
    end
    for _ = 1, 5 do
      local status, output = process.run({ "sh", "-c", set "--scope" .. " & "
        .. set "--redirect-uri" .. "; wait" }, { environment = command.environment })
      assert.equal("0", status .. output)
      local text = process.read_file(command.accounts .. "/new.lua")
      assert.matches('scope = "a:x"', text)
      assert.matches('redirect_uri = "a:x"', text)
      command:ask { "set", "-q", "new", "--scope", "", "--redirect-uri", "" }
    end
    command:ask { "remove", "-q", "new" }
  end)
end)
