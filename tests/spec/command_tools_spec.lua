-- The command in the hands of other programs: msmtp, curl, git, and what asks as docker does.

local commands = require "support.command"
local json = require "tokencache.json"
local merged = require "support.merged"
local process = require "support.process"

describe("by the command #once", function()
  local server, command, demanding, smtp, http, directory

  setup(function()
    command, server = commands.logged_in()
    directory = command.home
    demanding = process.start({ "/usr/bin/python3", "tests/servers/demands_token.py", server.url,
      directory }, { ready = true })
    smtp, http = demanding.ready:match "^(%d+) (%d+)$"
    http = "http://127.0.0.1:" .. http
    command:install()
  end)

  teardown(function()
    demanding:stop()
    command:remove()
  end)

  --- Runs a line of the shell in which `tokencache` is the command.
  local function shell(line)
    return process.run({ "sh", "-c", line }, { directory = directory,
      environment = merged(command.environment, { PATH = command.bin .. ":" .. os.getenv "PATH",
        GIT_TERMINAL_PROMPT = "0", GIT_CONFIG_GLOBAL = directory .. "/gitconfig" }) })
  end

  local function succeed(line)
    local status, output = shell(line)
    assert.equal(0, status, output)
    return output
  end

  local function renewals()
    return server:counts().refresh_token or 0
  end

  it("msmtp sends mail before and after the token has expired", function()
    process.write_file(directory .. "/msmtprc", ("account default\nhost 127.0.0.1\nport %s\n"
      .. "auth xoauth2\nuser alice@example.com\nfrom alice@example.com\ntls off\n"
      .. 'passwordeval "tokencache token work"\n'):format(smtp))
    succeed "chmod 600 msmtprc"
    local function send(text)
      succeed("printf 'Subject: " .. text .. "\\n\\nhello\\n' | msmtp -C msmtprc bob@example.com")
      assert.matches("Subject: " .. text, process.read_file(directory .. "/mail.txt"))
    end
    server:control("token_lifetime", { seconds = 2 })
    finally(function()
      server:control("token_lifetime", { seconds = 3600 })
      command:expire "work"
    end)
    command:expire "work"
    send "fresh"
    local token = command:token("work").access_token
    process.wait_until("the token to end", function()
      return not server:introspect(token).active
    end)
    send "later"
    assert.not_equal(token, command:token("work").access_token)
    local refused = shell "printf 'Subject: no\\n\\n' | msmtp -C msmtprc --user=bob b@example.com"
    assert.not_equal(0, refused)
  end)

  it("curl gets a token that no list of processes shows", function()
    assert.equal("hidden\n", succeed("tokencache curl-config work | curl -sfK - " .. http))
    local token = command:ask { "token", "work" }
    assert.equal("shown\n", succeed(("curl -sf -H 'Authorization: Bearer %s' %s"):format(token,
      http)))
  end)

  it("git clones, and a token that is rejected is replaced once", function()
    local host = http:match "//(.*)$"
    process.write_file(directory .. "/gitconfig", ('[credential]\n  helper = store\n'
      .. '[credential "%s"]\n  helper =\n  helper = !tokencache git-credential work --host %s\n'
      .. "  username = oauth2\n"):format(http, host)) -- as docs/command.md has it
    succeed("git init -q --bare repositories/a.git "
      .. "&& git config --global user.name a && git config --global user.email a@example.com "
      .. "&& git init -q -b main source && cd source && git commit -q --allow-empty -m first "
      .. "&& git push -q ../repositories/a.git main:main "
      .. "&& git -C ../repositories/a.git symbolic-ref HEAD refs/heads/main")
    local url = http .. "/git/a.git"
    succeed("git clone -q " .. url .. " one && git -C one log -1 --format=%s")
    local token, before = command:leave("work", 3000), renewals()
    succeed(("printf %%s %s | curl -sf --data-binary @- %s/refuse"):format(token, http))
    assert.not_equal(0, (shell("git clone -q " .. url .. " two")))
    succeed("git clone -q " .. url .. " two")
    succeed("git clone -q " .. url .. " three")
    assert.equal(before + 1, renewals())
    assert.is_nil(process.read_file(directory .. "/.git-credentials"))
  end)

  --- What a helper is told, and what it says that there is no token.
  local function refuses(status, message, words, input)
    local ended, out, err = command:run(words, { input = input, after = not input and "<&-" })
    assert.equal(tostring(status), ended .. out, input)
    assert.matches(message, err, 1, true)
  end

  it("git gets no token for another machine in plain text", function()
    local get = { "git-credential", "work", "get" }
    for _, host in ipairs { "git.example.com", "127.evil.example", "127.0.0.1.example",
      "localhost.example:80", "127.0.0.1@a.example" } do
      for _, protocol in ipairs { "http", "ftp", "smtp" } do
        refuses(7, host .. " would get the token over plain " .. protocol, get,
          ("protocol=%s\nhost=%s\n\n"):format(protocol, host))
      end
    end
    refuses(7, "plain ftp", get, "protocol=ftp\nhost=localhost\n\n")
    refuses(2, "names no host", get, "protocol=https\n\n")
    refuses(2, "names no host", get, "\n")
    refuses(2, "names no host", get)
    assert.matches("^username=bob\npassword=%S+\npassword_expiry_utc=%d+$",
      command:ask({ "git-credential", "work", "get" },
        { input = "protocol=https\nhost=git.example.com\nusername=bob\n\n" }))
    for _, host in ipairs { "localhost:80", "127.0.0.2", "[::1]:8080" } do
      assert.matches("\npassword=", command:ask(get, { input = "protocol=http\nhost=" .. host
        .. "\n\n" }))
    end
    assert.equal("", command:ask({ "git-credential", "work", "store" }, { input = "\n" }))
    assert.equal("", command:ask({ "git-credential", "work", "tell" }, { input = "host=a\n\n" }))
  end)

  it("docker and its like get JSON", function()
    for url, host in pairs { ["https://registry.example.com/v1/"] = "registry.example.com",
      ["registry.example.com:5000"] = "Registry.example.com:5000" } do
      local answer = json.decode(command:ask({ "docker-credential", "work", "get", "--host", host },
        { input = url .. "\n" }))
      assert.same({ ServerURL = url, Username = "<token>",
        Secret = command:token("work").access_token }, answer)
    end
  end)

  it("one host alone gets a token that is for it", function()
    for _, url in ipairs { "https://other.example", "a.example.evil.example", "a.example:444",
      "https://a.example@other.example" } do
      refuses(7, "its token is for a.example, not for ", { "docker-credential", "work", "get",
        "--host", "a.example" }, url)
      refuses(7, "its token is for a.example, not for ", { "git-credential", "work", "get",
        "--host", "a.example" }, "protocol=https\nhost=" .. url:gsub("^https://", "") .. "\n\n")
    end
    refuses(2, "names no host", { "docker-credential", "work", "get" }, "\n")
    refuses(7, "plain http", { "docker-credential", "work", "get" }, "http://a.example")
    assert.equal('{"https://a.example":"<token>"}', command:ask { "docker-credential", "work",
      "list", "--host", "a.example" })
    assert.equal("{}", command:ask { "docker-credential", "work", "list" })
  end)

  it("fifty at once renew an expired token once", function()
    command:expire "work"
    local before = renewals()
    local output = succeed "for i in $(seq 50); do tokencache token work & done; wait"
    local token, others = output:match "^(%S+)\n(.*)$"
    assert.equal(before + 1, renewals())
    assert.equal((token .. "\n"):rep(49), others)
  end)
end)
