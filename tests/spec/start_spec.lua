-- The pages to begin with: the programs in them, as a newcomer meets them, at the provider that
-- `make provider` runs.

local commands = require "support.command"
local folder = require "support.folder"
local http = require "socket.http"
local oidc_provider = require "support.oidc_provider"
local pages = require "support.pages"
local process = require "support.process"
local started_browser = require "support.started_browser"

local HERE = "http://127.0.0.1:9000" -- where `make provider` is

describe("a newcomer's #once", function()
  local at_end = require("support.at_end")()
  local provider, work, script

  setup(function()
    script = process.start({ "tools/provider.sh" }, { directory = os.getenv "PWD",
      environment = { PORT = "0" } }) -- any that is free
    provider = oidc_provider.at(process.wait_until("the provider", function()
      return script:output():match "issuer +(http%S+)\n.*redirect URIs"
    end))
  end)

  teardown(function()
    script:stop()
  end)

  before_each(function()
    work = folder.new()
  end)

  after_each(function()
    work:remove()
  end)

  --- Starts the program, after `changes` of its text.
  local function start(text, changes)
    text = text:gsub(HERE, provider.url):gsub('cache_path = "', '%0' .. work.path .. "/")
    for from, to in pairs(changes or {}) do
      local count
      text, count = text:gsub(from, to)
      assert.equal(1, count, from)
    end
    local child = process.start(process.lua(text), { directory = os.getenv "PWD",
      environment = { BROWSER = started_browser.command(work) } })
    at_end(function() child:stop() end)
    return child
  end

  local function output_of(...)
    local child = start(...)
    child:wait()
    return child:output()
  end

  it("script gets a token, and has it in the file the second time", function()
    local program = pages.block("docs/start-script.md", "-- report.lua")
    local before = provider:token_requests()
    local first = output_of(program)
    assert.matches("^Authorization: Bearer [%w_-]+%.%.%.\n%d+ seconds left\n$", first)
    assert.equal(first:match "Bearer.-\n", output_of(program):match "Bearer.-\n")
    assert.equal(before + 1, provider:token_requests())
  end)

  it("program on a person's machine logs in by the browser, once", function()
    local program = pages.block("docs/start-desktop.md", "-- whoami.lua")
    local child = start(program, { ["http://127.0.0.1:8888/"] = "http://127.0.0.1:0/" })
    http.request(provider:login((started_browser.address(work)), { user = "ann" }))
    child:wait()
    assert.matches("Token [%w_-]+%.%.%.\nof ann\n$", child:output())
    assert.equal(child:output():match "Token.*", output_of(program))
  end)

  it("client with a key gets tokens, and exchanges one", function()
    local line = script:output():match "\n +tokencache (add try [^\n]*)\n"
    local key, command, words = line:match "%-%-client%-key (%S+)", commands.new(), {}
    at_end(function() command:remove() end)
    for word in line:gmatch "%S+" do
      words[#words + 1] = word
    end
    command:run(words)
    assert.is_true(provider:introspect(command:ask { "token", "try" }).active)
    local output = output_of(([[
      local tokencache = require "tokencache"
      for flow, with in pairs { token_exchange = { subject_token = "subject-ann" },
        jwt_bearer = { assertion_key = { file = %q }, subject = "ann" } } do
        with.provider, with.client_id, with.client_key = { issuer = %q }, "signer", { file = %q }
        with.cache = tokencache.cache.memory {}
        print(flow, assert(tokencache.flow[flow](with):get_access_token()))
      end
    ]]):format(key, provider.url, key))
    assert.matches("token_exchange\t1 for 11 ", output)
    assert.matches("jwt_bearer\tfor ann", output)
  end)

  it("program without a browser shows a code, and is logged in when that is entered", function()
    local page = "docs/start-desktop.md"
    local _, rest = pages.block(page, "-- whoami.lua"):match "^(.-)local flow = .-\n}\n(.*)$"
    local child = start('local tokencache = require "tokencache"\n'
      .. pages.block(page, "flow.device") .. rest)
    local url = process.wait_until("the code", function()
      return child:output():match "(http%S+user_code=%S+)"
    end)
    provider:login(url, { user = "bob" })
    child:wait()
    assert.matches("\nof bob\n$", child:output())
  end)
end)
