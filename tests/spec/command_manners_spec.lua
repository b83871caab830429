-- How the command treats its surroundings: files, streams, stores.

local commands = require "support.command"
local json = require "tokencache.json"
local process = require "support.process"

describe("the command #once", function()
  local at_end = require("support.at_end")()
  local server, command

  setup(function()
    command, server = commands.logged_in()
  end)

  teardown(function()
    command:remove()
  end)

  it("fails where its result goes nowhere", function()
    for _, where in ipairs { ">&-", ">/dev/full" } do
      for _, words in ipairs { { "token", "work" }, { "list" }, { "status" }, { "--version" },
        { "--help" }, { "token", "--help" } } do
        command:expire "work" -- there are sockets, which could take the place of what is closed
        local status, _, err = command:run(words, { after = where })
        assert.equal(1, status, where)
        assert.matches("^tokencache: stdout: ", err)
      end
    end
  end)

  it("loads nothing from the directory that it runs in", function()
    local hostile = command.home .. "/hostile"
    assert.equal(0, (process.run { "mkdir", "-p", hostile .. "/tokencache/command" }))
    for _, module in ipairs { "tokencache", "tokencache/command", "tokencache/command/init",
      "tokencache/_core", "tokencache/command/say", "argparse" } do
      process.write_file(hostile .. "/" .. module .. ".lua", 'io.open("mark", "w"):close()')
      process.write_file(hostile .. "/" .. module .. ".so", "no library")
    end
    local path, cpath = command.environment.LUA_PATH, command.environment.LUA_CPATH
    for _, before in ipairs { "./?.lua;?.lua;", "./?/init.lua;;", ";./?.lua;;" } do
      assert.equal("work", command:ask({ "list", "-q" }, { directory = hostile, environment = {
        LUA_PATH = before .. path, LUA_CPATH = before:gsub("lua", "so") .. cpath } }))
    end
    local words = command:words { "list" } -- by the paths that Lua has of itself
    process.run({ "env", "-u", "LUA_PATH", "-u", "LUA_CPATH", words[1], words[2], "list" },
      { directory = hostile })
    assert.is_nil(process.read_file(hostile .. "/mark"))
  end)

  it("keeps things where XDG says, unless the path is relative", function()
    local where = { XDG_CONFIG_HOME = command.home .. "/c", XDG_STATE_HOME = command.home .. "/s" }
    command:ask({ "add", "-q", "one", "--provider", "github", "--client-id", "a",
      "--client-secret-file", "-" },
      { environment = where, input = "secret" })
    assert.equal("one", command:ask({ "list" }, { environment = where }))
    assert.equal("secret",
      process.read_file(command.home .. "/s/tokencache/client_secret%3aone.token"))
    assert.equal("work", command:ask({ "list" }, { environment = { XDG_CONFIG_HOME = "c" } }))
    local status, _, err = command:run({ "list" }, { environment = { HOME = "" } })
    assert.equal(7, status)
    assert.matches("neither HOME nor XDG_CONFIG_HOME is set", err)
  end)

  it("says more where it is told to, and no secret", function()
    command:expire "work"
    local before = command:token "work"
    local status, out, err = command:run { "token", "work", "--verbose" }
    assert.equal(0, status)
    assert.matches("\ntokencache: work: renewed, left=%S+, seconds=%S+\n", err)
    for _, secret in ipairs { out:gsub("\n", ""), before.access_token, before.refresh_token } do
      assert.is_nil(err:find(secret, 1, true))
    end
  end)

  it("changes lines of the settings, and leaves the rest as it is", function()
    local path = command.accounts .. "/mine.lua"
    local text = '-- my notes\nissuer = "' .. server.url .. '"\n\nclient_id="old" -- mine\n'
      .. 'authorize_params = { audience = "x" }\n'
    process.write_file(path, text)
    command:ask { "set", "-q", "mine", "--client-id", 'a"\\b', "--scope", "read" }
    local changed = text:gsub('client_id="old" %-%- mine', 'client_id = "a\\"\\\\b"')
      .. 'scope = "read"\n'
    assert.equal(changed, process.read_file(path))
    local _, before = process.run { "stat", "-c", "%i", path }
    local _, _, err = command:run { "set", "mine", "--scope", "read" }
    assert.matches("nothing has changed", err)
    local _, after = process.run { "stat", "-c", "%i", path }
    assert.equal(before, after)
    command:ask { "set", "-q", "mine", "--scope", "" }
    assert.is_nil(process.read_file(path):find "scope")
    os.remove(path)
  end)

  it("changes what a symbolic link leads to", function()
    local path, kept = command.accounts .. "/mine.lua", command.home .. "/kept.lua"
    process.write_file(kept, 'issuer = "' .. server.url .. '"\n')
    assert.equal(0, (process.run { "ln", "-s", kept, path }))
    command:ask { "set", "-q", "mine", "--client-id", "public" }
    assert.matches('client_id = "public"', process.read_file(kept))
    assert.equal(3, (command:run { "token", "mine" }))
    command:ask { "remove", "-q", "mine" }
    assert.is_string(process.read_file(kept))
  end)

  it("leaves out what is no account", function()
    for _, name in ipairs { ".#work", "my old" } do
      process.write_file(command.accounts .. "/" .. name .. ".lua", "")
    end
    local status, out, err = command:run { "status", "--json" }
    assert.equal(0, status)
    assert.equal(1, #json.decode(out))
    assert.equal("tokencache: my old.lua: no name of an account, and left out\n", err)
    assert.equal(0, (process.run { "sh", "-c", 'rm "$0"/*old.lua "$0"/.*.lua',
      command.accounts }))
  end)

  it("takes no setting that it does not know, and runs no program in its settings", function()
    local path = command.accounts .. "/mine.lua"
    for text, message in pairs {
      ['grant = "x" issuer = "https://a.example" client_id = "a"'] = 'grant may be "client_cred',
      ["client_di = 1"] = "unknown option client_di; did you mean client_id; run: ",
      ["client_id = os.getenv 'HOME'"] = "mine.lua:1: ",
      ["client_id ="] = "mine.lua:1: ",
      ["\27Lua"] = "mine.lua:1: ",
      ["\nwhile true do end"] = "mine.lua:2: name = value expected",
      ["client_id = ('x'):rep(1e9)"] = "mine.lua:1: ",
      ['store = "none"'] = "unknown option store",
    } do
      process.write_file(path, text)
      local status, _, err = command:run { "token", "mine" }
      assert.equal(7, status)
      assert.matches(message, err, 1, true)
      assert.matches(text:find "grant" and 'run: tokencache set mine --grant ""'
        or "run: ${EDITOR:-vi} " .. path, err, 1, true)
    end
    os.remove(path)
  end)

  it("says that a store or a command fails, and takes no other in its place", function()
    local path = command.accounts .. "/../config.lua"
    finally(function() os.remove(path) end)
    for text, message in pairs {
      ['store = "none"'] = 'store must be "file", "encrypted" or "secret-service"',
      ['store = "encrypted"'] = "needs passphrase_command",
      ['store = "encrypted" passphrase_command = "exit 9"'] = "passphrase_command failed with "
        .. "status 9; run: ${EDITOR:-vi} " .. command.home .. "/.config/tokencache/config.lua\n",
      ['store = "encrypted" passphrase_command = "true"'] = "printed nothing",
      ['store = "encrypted" passphrase_command = "echo short"'] = "printed 5 bytes, and 16",
      ['plaintext = "allow" allow_foreign = true store = "x"'] = "store must be ",
    } do
      process.write_file(path, text)
      local status, out, err = command:run { "token", "work" }
      assert.equal("7", status .. out)
      assert.matches(message, err, 1, true)
    end
  end)

  --- Takes the right to write in a directory away, for the length of a test.
  local function lock(directory)
    assert.equal(0, (process.run { "chmod", "500", directory }))
    command.is_unprivileged = true
    at_end(function()
      command.is_unprivileged = nil
      process.run { "chmod", "700", directory }
    end)
  end

  it("asks nobody to log in, and makes no account, where that cannot be kept", function()
    lock(command.tokens)
    for _, words in ipairs { { "login", "work", "--paste" }, { "login", "new", "--paste" },
      { "add", "new" } } do
      if words[2] == "new" then
        for _, word in ipairs { "--issuer", server.url, "--client-id", "public" } do
          words[#words + 1] = word
        end
      end
      local status, out, err = command:run(words)
      assert.equal("8", status .. out)
      assert.matches("^tokencache: %l+: " .. command.tokens .. "/[^\n]*: permission denied in its "
        .. "directory; [^\n]*\n$", err)
    end
    assert.equal("work", command:ask { "list" })
  end)

  it("says once which directory cannot be made, and nothing else", function()
    for variable, status_of in pairs { XDG_CONFIG_HOME = 7, XDG_STATE_HOME = 8 } do
      local directory = process.temporary_directory()
      at_end(function() process.remove_directory(directory) end)
      lock(directory)
      local status, out, err = command:run({ "add", "new", "--issuer", server.url, "--client-id",
        "public" }, { environment = { [variable] = directory .. "/a/b" } })
      assert.equal(status_of, status)
      assert.equal("tokencache: " .. directory .. "/a: permission denied in its directory; give "
        .. "this user write access there, or choose another path\n", out .. err)
    end
  end)

  it("ends no login that it cannot remove", function()
    local token = command:ask { "token", "work" }
    lock(command.tokens)
    for _, words in ipairs { { "logout", "work" }, { "remove", "work" } } do
      local status, out, err = command:run(words)
      assert.equal("8", status .. out)
      assert.matches("tokencache: work: [^\n]*permission denied[^\n]*; run: tokencache " .. words[1]
        .. " work\n$", err)
    end
    assert.equal("alice", server:owner(token))
    assert.equal(token, command:ask { "token", "work" })
  end)

  it("removes and changes nothing where its settings cannot be written", function()
    local token = command:ask { "token", "work" }
    lock(command.accounts)
    for _, words in ipairs { { "remove", "work" }, { "set", "work", "--scope", "openid" } } do
      local status, out, err = command:run(words)
      assert.equal("7", status .. out)
      assert.matches("permission denied in its directory; [^\n]*\n$", err)
    end
    assert.equal("alice", server:owner(token))
    assert.equal(token, command:ask { "token", "work" })
  end)

  it("seals tokens and secrets under what a command prints", function()
    local other = commands.new()
    finally(function() other:remove() end)
    assert.equal(0, (process.run { "mkdir", "-p", other.accounts }))
    process.write_file(other.accounts .. "/../config.lua", 'store = "encrypted"\n'
      .. 'passphrase_command = "printf 0123456789abcdef0123456789abcdef"\n')
    other:ask({ "add", "-q", "machine", "--issuer", server.url, "--client-id", "basic", "--grant",
      "client_credentials", "--client-secret-file", "-" }, { input = "basic-secret-8d1f\n" })
    local token = other:ask { "token", "machine" }
    assert.equal(token, other:ask { "token", "machine" })
    local _, found = process.run { "grep", "-rlE", "8d1f|" .. token, other.home .. "/.local",
      other.home .. "/.config" }
    assert.equal("", found)
    process.write_file(other.accounts .. "/../config.lua", 'store = "encrypted"\n'
      .. 'passphrase_command = "printf f0123456789abcdef0123456789abcde"\n')
    local status, _, err = other:run { "token", "machine" }
    assert.equal(8, status)
    assert.matches("sealed with another secret", err)
  end)

  it("gets the client's secret from a command", function()
    command:ask { "add", "-q", "machine", "--issuer", server.url, "--client-id", "basic",
      "--grant", "client_credentials", "--client-secret-command", "echo basic-secret-8d1f" }
    assert.is_true(server:introspect(command:ask { "token", "machine" }).active)
    command:ask { "remove", "-q", "machine" }
  end)
end)
