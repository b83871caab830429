-- Logins of other programs, taken over by the command.

local commands = require "support.command"
local json = require "tokencache.json"
local merged = require "support.merged"
local process = require "support.process"

describe("tokencache import #once", function()
  local server, command, login

  setup(function()
    command, server = commands.logged_in()
    login = command:token "work"
  end)

  teardown(function()
    command:remove()
  end)

  --- Imports this, renews it, and shows whose it is.
  local function import(name, object, ...)
    local words = { "import", "-", name, "--quiet" }
    for _, word in ipairs { ... } do
      words[#words + 1] = word
    end
    command:ask(words, { input = json.encode(object) })
    if object.refresh_token then
      login = command:token(name)
      command:expire(name)
      assert.equal("alice", server:owner(command:ask { "token", name }))
      login = command:token(name)
    end
  end

  local function client()
    return "--issuer", server.url, "--client-id", "public"
  end

  it("takes spotipy's", function()
    import("spotipy", { access_token = login.access_token, refresh_token = login.refresh_token,
      expires_at = os.time() + 3000, expires_in = 3600, scope = "openid read",
      token_type = "Bearer" }, client())
  end)

  it("takes those of Go's oauth2", function()
    import("go", { access_token = login.access_token, refresh_token = login.refresh_token,
      token_type = "bearer", expiry = "2020-01-02T15:04:05.999999999+01:00" }, client())
  end)

  it("renews a token whose life is not known, where it does not last", function()
    import("short", { access_token = login.access_token, token_type = "bearer",
      expiry = os.date("!%Y-%m-%dT%H:%M:%SZ", os.time() + 1900) }, client())
    local info = command:token "work"
    info.expires_in, info.expires_at = nil, os.time() + 1900
    info.access_token, info.refresh_token = login.access_token, login.refresh_token
    process.write_file(command.tokens .. "/short.token", json.encode(info))
    local long = { "token", "short", "--min-valid", "50m" }
    local token = command:ask(long)
    assert.not_equal(login.access_token, token)
    assert.equal(token, command:ask(long))
    login = command:token "short"
  end)

  it("takes Google's application default credentials, and gets a token at once", function()
    import("adc", { type = "authorized_user", client_id = "public",
      refresh_token = login.refresh_token, quota_project_id = "p" }, "--issuer", server.url)
  end)

  it("takes what oama and mutt_oauth2.py have, decrypted", function()
    import("oama", { email = "alice@example.com", service = "google", scope = "openid read",
      access_token = login.access_token, refresh_token = login.refresh_token,
      exp_date = "Thu Jan  2 15:04:05 2020", token_type = "Bearer" }, client())
    import("mutt", { registration = "microsoft", authflow = "authcode", email = "alice@example.com",
      access_token = login.access_token, refresh_token = login.refresh_token,
      access_token_expiration = "2020-01-02T15:04:05.123456" }, client())
  end)

  it("finds the provider, and keeps the secret apart", function()
    import("desktop", { installed = { client_id = "1-a.apps.googleusercontent.com",
      client_secret = "GOCSPX-not-a-secret", token_uri = "https://oauth2.googleapis.com/token" } })
    local text = process.read_file(command.accounts .. "/desktop.lua")
    assert.matches('\nprovider = "google"\nclient_id = "1%-a.apps', text)
    assert.is_nil(text:find "GOCSPX")
    assert.equal("GOCSPX-not-a-secret",
      process.read_file(command.tokens .. "/client_secret%3adesktop.token"))
  end)

  it("takes an empty text and null for nothing", function()
    for _, text in ipairs { '""', "null" } do
      local object = '{"client_id":"public","client_secret":' .. text .. ',"refresh_token":"'
        .. login.refresh_token .. '","access_token":' .. text .. ',"scope":' .. text .. "}"
      command:ask({ "import", "-q", "-", "empty", "--issuer", server.url }, { input = object })
      login = command:token "empty"
      assert.equal("alice", server:owner(command:ask { "token", "empty" }))
      os.rename(command.accounts .. "/empty.lua", command.home .. "/gone")
    end
  end)

  it("says which field makes no sense", function()
    for _, value in ipairs { "1", "[{}]" } do
      for _, name in ipairs { "access_token", "refresh_token", "client_id", "client_secret",
        "service", "registration", "token_uri", "type", "token" } do
        local _, _, err = command:run({ "import", "-", "none", "--issuer", server.url },
          { input = ('{"%s":%s}'):format(name, value) })
        assert.matches("^tokencache: %-: " .. name .. " must be a string, not a %l+\n$", err)
      end
      for _, name in ipairs { "scope", "expires_at", "exp_date", "installed", "web",
        "expires_in" } do
        local status, _, err = command:run({ "import", "-", "odd", client() }, {
          input = ('{"access_token":"a","%s":%s}'):format(name, value) })
        assert.is_true(status == 0 or status == 2, err)
        if status == 0 then
          assert.not_equal(1, (command:run { "remove", "odd" }))
        end
      end
    end
  end)

  it("leaves nothing behind of what is no login", function()
    for text, message in pairs { ["not JSON"] = "not a JSON object", ["{}"] = "neither a token",
      ['{"access_token":"a\\nb"}'] = "control character" } do
      local status, _, err = command:run({ "import", "-", "none", client() }, { input = text })
      assert.equal(2, status)
      assert.matches(message, err)
    end
    local status = command:run({ "import", "-", "none", client() }, { input = json.encode(merged(
      login, { access_token = json.null, refresh_token = "dead" })) })
    assert.equal(3, status)
    assert.is_nil(command:ask({ "list" }):find "none")
  end)
end)
