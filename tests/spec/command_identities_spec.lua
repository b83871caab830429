-- The command as a client that has no secret: with a key, a certificate or an assertion in a file.

local certificates = require "support.certificates"
local commands = require "support.command"
local folder = require "support.folder"
local jose_keys = require "support.jose_keys"
local json = require "tokencache.json"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"

describe("the command #once", function()
  local server, command, dir

  setup(function()
    server, command, dir = oidc_provider.start { device_interval = 0.1 }, commands.new(),
      folder.new()
    certificates.make(dir.path)
    jose_keys.make(dir.path)
    dir:shell [[
      openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout one.key \
        -out one.pem -subj /CN=one -CA ca.pem -CAkey ca.key
      openssl pkcs8 -topk8 -v2 aes256 -passout pass:correct -in ec.pem -out sealed.pem
      chmod 600 *.key *.pem
    ]]
    local public = json.decode(process.read_file(dir:file "ec.public.jwk"))
    for _, id in ipairs { "robot", "public" } do
      server:change_client({ token_endpoint_auth_method = "private_key_jwt",
        token_endpoint_auth_signing_alg = "ES256", jwks = { keys = { public } } }, id)
    end
  end)

  teardown(function()
    server:stop()
    command:remove()
    dir:remove()
  end)

  --- Makes an account by the options, run in the directory of the keys.
  local function add(name, id, words, input)
    local all = { "add", "-q", name, "--issuer", server.url, "--client-id", id, "--grant",
      "client_credentials" }
    for _, word in ipairs(words) do
      all[#all + 1] = word
    end
    command:ask(all, { directory = dir.path, input = input })
  end

  local function is_active(name)
    return server:introspect(command:ask { "token", name }).active
  end

  it("signs with a key, whose passphrase is beside the tokens", function()
    add("plain", "robot", { "--client-key", "ec.jwk" })
    assert.is_true(is_active "plain")
    assert.matches("\nclient_key = \"" .. dir.path .. "/ec.jwk\"\n",
      process.read_file(command.accounts .. "/plain.lua"), 1, true)
    add("sealed", "robot", { "--client-key", dir:file "sealed.pem",
      "--client-key-passphrase-file", "-" }, "correct\n")
    assert.is_true(is_active "sealed")
    assert.is_nil(process.read_file(command.accounts .. "/sealed.lua"):find("correct", 1, true))
    command:ask { "set", "-q", "sealed", "--client-key-passphrase-file", "" }
    command:expire "sealed"
    local status, out, err = command:run { "token", "sealed" }
    assert.equal("7", status .. out)
    assert.matches("/sealed.pem is encrypted, and no client_key_passphrase is given; run: "
      .. "tokencache set sealed --help\n", err, 1, true)
    command:ask { "set", "-q", "sealed", "--client-key-passphrase-command", "echo correct" }
    assert.is_true(is_active "sealed")
  end)

  it("finds what settings name beside them, also as the library has it", function()
    for _, form in ipairs { '"key.jwk"', '{ file = "key.jwk" }' } do
      process.write_file(command.accounts .. "/beside.lua", ('issuer = %q\nclient_id = "robot"\n'
        .. 'grant = "client_credentials"\nclient_key = %s\n'):format(server.url, form))
      dir:shell("cp ec.jwk " .. command.accounts .. "/key.jwk")
      assert.is_true(is_active "beside")
      command:ask { "logout", "-q", "beside" }
    end
    command:ask { "status" }
  end)

  it("takes a key in place of a secret, which is not kept beside it", function()
    add("work", "robot", { "--client-secret-file", "-" }, "secret")
    local change = { "set", "work", "-q", "--client-key", dir:file "ec.pem" }
    local status, _, err = command:run(change)
    assert.equal(7, status)
    assert.matches('work: client_secret is of no use beside client_key; leave it out, by '
      .. '--client-secret-file ""; run: tokencache set work --help\n', err, 1, true)
    change[6], change[7] = "--client-secret-file", ""
    command:ask(change)
    assert.is_true(is_active "work")
    command:ask { "remove", "-q", "work" }
  end)

  it("takes no relative path where the directory that one is in is gone", function()
    add("work", "robot", { "--client-secret-file", "-" }, "secret")
    local words = { "sh", "-c", 'mkdir gone && cd gone && rmdir ../gone && "$@"', "sh" }
    for _, word in ipairs(command:words { "set", "-q", "work", "--client-key", "ec.pem" }) do
      words[#words + 1] = word
    end
    local status, output = process.run(words,
      { environment = command.environment, directory = dir.path })
    assert.equal(2, status)
    assert.matches("--client-key: the directory that one is in now does not exist any more; go to "
      .. "another, or give the whole path", output, 1, true)
    command:ask { "remove", "-q", "work" }
  end)

  it("says where a secret goes that is given in a wrong place, and never shows it", function()
    local path = command.accounts .. "/new.lua"
    for name, where in pairs { ["ec.pem"] = "", ["ec.jwk"] = "--client-key: " } do
      local text = process.read_file(dir:file(name))
      local status, out, err = command:run { "add", "new", "--issuer", server.url, "--client-id",
        "robot", "--client-key", text }
      assert.equal("2", status .. out)
      assert.equal("tokencache: " .. where .. "give the path of a file, and not what is in it", (err
        :gsub("; run: tokencache add %-%-help", ""):gsub("\n", "")))
      assert.is_nil(process.read_file(path))
    end
    for problem, text in pairs {
      ["client_key has in place of a path what is in the file; give its path; run: tokencache set "
        .. "new --help\n"] = "client_id = 'a'\nissuer = 'https://a.example'\n"
        .. [[client_key = '{"d":"4711"}']],
      ["/new.lua: client_key_passphrase is no setting, for these hold no secrets; give "
        .. "--client-key-passphrase-file to `tokencache set`, or client_key_passphrase_command; "]
        = 'client_key_passphrase = "4711"',
    } do
      process.write_file(path, text)
      local status, out, err = command:run { "token", "new" }
      assert.equal("7", status .. out)
      assert.matches(problem, err, 1, true)
      assert.is_nil(err:find "4711")
    end
    command:ask { "remove", "-q", "new" }
  end)

  it("shows a certificate", function()
    server:change_client({ token_endpoint_auth_method = "tls_client_auth",
      tls_client_auth_subject_dn = "CN=one" }, "one")
    server:control("tls", nil, dir.path)
    add("shown", "one", { "--client-key", "one.key", "--client-certificate", "one.pem",
      "--token-endpoint-auth-method", "tls_client_auth" })
    local path = command.accounts .. "/shown.lua"
    process.write_file(path, process.read_file(path) .. ('ca_file = %q\n'):format(
      dir:file "ca.pem"))
    assert.is_true(is_active "shown")
  end)

  it("makes no account where an option names a file that cannot be read", function()
    process.write_file(dir:file "empty", "\n")
    for _, option in ipairs { "--client-secret-file", "--client-key-passphrase-file",
      "--client-key", "--client-certificate", "--client-assertion" } do
      for path, problem in pairs {
        ["/nowhere"] = "/nowhere: No such file or directory; check the path, and that this user "
          .. "may read it",
        ["/"] = "/: Is a directory; check the path",
        [dir:file "empty"] = dir:file "empty" .. ": there is nothing in it",
        ['{"d":"4711"}'] = "give the path of a file, and not what is in it",
      } do
        for _, words in ipairs { { "add", "new" }, { "login", "new", "--paste" },
          { "import", "-", "new" } } do
          for _, word in ipairs { "--issuer", server.url, "--client-id", "a", option, path } do
            words[#words + 1] = word
          end
          local status, out, err = command:run(words, { input = '{"refresh_token":"a"}' })
          assert.equal("2", status .. out)
          assert.equal("tokencache: " .. option .. ": " .. problem .. "\n", err)
        end
      end
    end
    assert.is_nil(process.read_file(command.accounts .. "/new.lua"))
    local status, _, err = command:run({ "add", "new", "--issuer", server.url, "--client-id", "a",
      "--client-secret-file", "-" }, { input = "\n" })
    assert.equal("2tokencache: --client-secret-file: stdin: there is nothing in it\n",
      status .. err)
  end)

  it("sends the assertion of a file, which is read anew", function()
    local status, _, err
    process.write_file(dir:file "assertion", "a.b.c\n")
    add("given", "robot", { "--client-assertion", "assertion" })
    os.remove(dir:file "assertion")
    status, _, err = command:run { "token", "given" }
    assert.equal(7, status)
    assert.matches(dir:file "assertion" .. ": No such file", err, 1, true)
    local claims = json.encode { iss = "robot", sub = "robot", aud = server.url, jti = "1",
      exp = os.time() + 60 }
    local jws = assert(require("tokencache.worker.signature").sign(
      jose_keys.read(dir:file "ec.pem"), { typ = "JWT" }, claims))
    process.write_file(dir:file "assertion", jws .. "\n")
    dir:shell "chmod 600 assertion"
    assert.is_true(is_active "given")
  end)

  it("lets a person log in, and renews, with a key", function()
    command:log_in(server, "work", { "--client-key", dir:file "ec.jwk" })
    local token = command:ask { "token", "work" }
    assert.equal("alice", server:owner(token))
    command:expire "work"
    local renewed = command:ask { "token", "work" }
    assert.not_equal(token, renewed)
    command:ask { "logout", "-q", "work" }
    assert.is_false(server:introspect(renewed).active)
  end)
end)
