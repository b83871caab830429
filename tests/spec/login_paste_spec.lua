-- Logins on a machine without a browser: the URL is shown, the answer is pasted. At a terminal:
-- examples_spec.

local folder = require "support.folder"
local json = require "tokencache.json"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"
local query = require "support.query"
local tokencache = require "tokencache"

--- As the script, which prints what came of it, but for the cache. The state is known beforehand,
--- so that the answer can be.
local SCRIPT = [[
  local json, tokencache = require "tokencache.json", require "tokencache"
  local flow, options = ...
  options = assert(json.decode(options))
  options.cache = tokencache.cache.memory {}
  local info, err = tokencache.flow[flow](options):get_token_info()
  print("\n" .. assert(json.encode(info or { kind = err.kind, code = err.code,
    message = err.message })))
]]

describe("a pasted login", function()
  local server, work, options

  setup(function()
    server = oidc_provider.start()
  end)

  before_each(function()
    options = {
      provider = server.provider, client_id = "confidential",
      client_secret = "confidential-secret-51c9", redirect_uri = "http://127.0.0.1:8123/callback",
      scope = "read", state = "known beforehand", open_browser = false,
    }
    work = folder.new()
  end)

  teardown(function()
    server:stop()
  end)

  after_each(function()
    work:remove()
  end)

  local function authorize_url()
    return (tokencache.flow.authorization_code(options):get_authorize_url())
  end

  --- Where the browser is sent.
  local function response_url(deny)
    return server:login(authorize_url(), { deny = deny })
  end

  --- Runs the script with `input` on its standard input.
  ---@return table result
  ---@return string said
  local function paste(input, flow)
    process.write_file(work:file("input"), input)
    local command = process.lua(SCRIPT, flow or "authorization_code", json.encode(options))
    local line = 'exec "$@" <' .. work:file("input")
    local code, output = process.run({ "sh", "-c", line, "sh", command[1], command[2], command[3],
      environment = command.environment })
    assert.equal(0, code, output)
    local said, text = output:match("^(.*)\n({.*})\n$")
    return json.decode(text), said
  end

  local function assert_logged_in(result)
    assert.is_nil(result.kind, result.message)
    assert.equal("read", result.scope)
  end

  it("shows the URL and asks for the address", function()
    local result, said = paste(response_url() .. "\n")
    assert_logged_in(result)
    local shown = said:match(
      "^Open this address in a browser and log in:\n\n  (%S+)\n\nThen paste the address ")
    assert.same(query.read(authorize_url()), query.read(shown))
  end)

  it("sends nobody to port 0", function()
    options.redirect_uri = "http://127.0.0.1:0/callback"
    local result, said = paste(response_url() .. "\n")
    assert_logged_in(result)
    assert.equal("http://127.0.0.1/callback", query.read(said:match "(http%S+)").redirect_uri)
  end)

  it("takes the address with whatever surrounds it", function()
    assert_logged_in(paste("  " .. response_url() .. " \t\r\nmore\n"))
  end)

  it("takes its query alone", function()
    assert_logged_in(paste(response_url():match("%?.*") .. "\n"))
    assert_logged_in(paste(response_url():match("%?(.*)") .. "\n"))
  end)

  it("takes the bare code, from the last line without an end as well", function()
    assert_logged_in(paste(query.read(response_url()).code))
  end)

  it("takes a code with a slash for one", function()
    local result = paste("4/0AbCd-ef\n")
    assert.equal("reauthorize", result.kind) -- the server has given no such code
    assert.equal("invalid_grant", result.code)
  end)

  it("takes the code in whatever it is wrapped", function()
    for _, text in ipairs { '"%s"', "'%s'", "<%s>", " `%s` ", '("%s")', "%s," } do
      assert_logged_in(paste(text:format(query.read(response_url()).code) .. "\n"))
    end
    assert_logged_in(paste('"' .. response_url() .. '"\n'))
    assert_logged_in(paste("<" .. response_url() .. ">,\n"))
    local code = query.read(response_url()).code
    assert_logged_in(paste(("%%%02x%s\n"):format(code:byte(), code:sub(2))))
    assert_logged_in(paste(query.read(response_url()).code .. "#" .. options.state .. "\n"))
    assert.equal("state", paste("a-code#of-another\n").kind)
  end)

  it("takes a code that ends as base64 does for one", function()
    for _, text in ipairs { "b25l==\n", "b25l%3D%3d\n", "b25l=\n" } do
      assert.equal("invalid_grant", paste(text).code) -- the server has given no such code
    end
  end)

  it("serves addresses at which nobody can listen, and says so", function()
    options.redirect_uri, options.open_browser = "com.example.app:/callback", nil
    options.login = { "browser", "paste" }
    local result, said = paste(response_url() .. "\n")
    assert_logged_in(result)
    assert.truthy(said:find("The browser will be sent to com.example.app:/callback, where this "
      .. "program cannot listen", 1, true))
  end)

  it("tells the user's no", function()
    local result = paste(response_url(true) .. "\n")
    assert.equal("denied", result.kind)
    assert.equal("access_denied", result.code)
  end)

  for what, input in pairs { ["the end of input"] = "", ["an empty line"] = "\n",
    ["a blank line"] = " \t\r\n" } do
    it("is given up by " .. what, function()
      local result = paste(input)
      assert.equal("denied", result.kind)
      assert.equal("no_answer", result.code)
      assert.equal("the login was given up: no answer was pasted", result.message)
    end)
  end

  it("is refused where the address belongs to another, or is none", function()
    local requests = server:token_requests()
    local forged = response_url():gsub("known%+beforehand", "guessed")
    assert.equal("state", paste(forged .. "\n").kind)
    assert.equal("protocol", paste(options.redirect_uri .. "\n").kind)
    assert.equal("state", paste("code=a+code\n").kind)
    assert.equal("protocol", paste("%zz=1\n").kind)
    assert.equal(requests, server:token_requests())
  end)

  it("of an implicit grant takes the address with its fragment", function()
    local said
    local fragment = "access_token=a-token&token_type=bearer&expires_in=60&state=known+beforehand"
      .. "&iss=" .. server.url
    local result
    result, said = paste(options.redirect_uri .. "#" .. fragment .. "\n", "implicit")
    assert.equal("a-token", result.access_token)
    assert.matches("response_type=token", said)
    assert.equal("a-token", (paste("#" .. fragment .. "\n", "implicit")).access_token)
    assert.equal("state", (paste("a-token\n", "implicit")).kind)
  end)
end)
