-- The command over a desktop's keyring: locked, and gone.

local commands = require "support.command"
local keyrings = require "support.keyring"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"

describe("the command over a keyring #once", function()
  if not keyrings.is_possible() then
    return it("works", function() pending(keyrings.NEED) end)
  end
  local server, keyring, command

  setup(function()
    server = oidc_provider.start { device_interval = 0.1 }
    keyring = keyrings.start()
    command = commands.new { XDG_RUNTIME_DIR = keyring.environment.XDG_RUNTIME_DIR,
      DBUS_SESSION_BUS_ADDRESS = keyring.environment.DBUS_SESSION_BUS_ADDRESS }
    assert.equal(0, (process.run { "mkdir", "-p", command.accounts }))
    process.write_file(command.accounts .. "/../config.lua", 'store = "secret-service"\n')
    command:log_in(server, "work")
  end)

  teardown(function()
    command:remove()
    keyring:stop()
    server:stop()
  end)

  it("keeps tokens there and in no file", function()
    local token = command:ask { "token", "work" }
    assert.equal(token, command:ask { "token", "work" })
    assert.equal("alice", server:owner(token))
    local status, found = process.run { "grep", "-rl", token, command.home }
    assert.equal("1", status .. found)
  end)

  it("keeps the passphrase of a client's key there", function()
    local key = command.home .. "/key.pem"
    local status, output = process.run { "openssl", "genpkey", "-algorithm", "EC", "-pkeyopt",
      "ec_paramgen_curve:P-256", "-aes256", "-pass", "pass:passphrase-4711", "-out", key }
    assert.equal(0, status, output)
    local _, public = process.run { "node", "-e", ([[
      const { createPublicKey, createPrivateKey } = require("crypto");
      const key = createPrivateKey({ key: require("fs").readFileSync("%s"),
        passphrase: "passphrase-4711" });
      process.stdout.write(JSON.stringify(createPublicKey(key).export({ format: "jwk" })));
    ]]):format(key) }
    server:change_client({ token_endpoint_auth_method = "private_key_jwt",
      token_endpoint_auth_signing_alg = "ES256",
      jwks = { keys = { require("tokencache.json").decode(public) } } }, "robot")
    local input = command.home .. "/stdin"
    command:ask({ "add", "-q", "robot", "--issuer", server.url, "--client-id", "robot", "--grant",
      "client_credentials", "--client-key", key, "--client-key-passphrase-file", "-" },
      { input = "passphrase-4711\n" })
    os.remove(input)
    assert.is_true(server:introspect(command:ask { "token", "robot" }).active)
    local found
    status, found = process.run { "grep", "-rl", "passphrase-4711", command.home }
    assert.equal("1", status .. found)
    command:ask { "remove", "-q", "robot" }
  end)

  it("says what to do where it is locked, and asks nobody", function()
    keyring:lock()
    local status, out, err = command:run { "token", "work" }
    assert.equal("8", status .. out)
    assert.matches("^tokencache: work: [^\n]*unlock[^\n]*; run: tokencache status work\n$", err)
    keyring:unlock()
    assert.equal("alice", server:owner(command:ask { "token", "work" }))
  end)

  it("puts nothing elsewhere where it has died", function()
    keyring:kill()
    for _, words in ipairs { { "token", "work" }, { "login", "work", "--paste" } } do
      local status, _, err = command:run(words)
      assert.equal(8, status, err)
    end
    local _, found = process.run { "find", command.tokens, "-type", "f" }
    assert.equal("", found)
    keyring:restart()
    assert.equal("alice", server:owner(command:ask { "token", "work" }))
  end)
end)
