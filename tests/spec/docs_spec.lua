-- README.md and docs/: their links lead somewhere, all of their Lua is Lua, and what they say of
-- accounts does as they say.

local fake_endpoint = require "support.fake_endpoint"
local folder = require "support.folder"
local pages = require "support.pages"
local process = require "support.process"
local redis_server = require "support.redis_server"
local tokencache = require "tokencache"

-- luacheck: push ignore 113
local load_text, setfenv = loadstring or load, setfenv
-- luacheck: pop

describe("README.md and docs/", function()
  it("hold Lua that is Lua", function()
    local count = 0
    for _, path in ipairs(pages.all()) do
      for _, block in ipairs(pages.blocks(path)) do
        if not block:find("-->", 1, true) then -- else it lists what is returned
          local text = (block .. "\n"):gsub("\n +%.%.%.\n", "\n")
          local chunk, problem = load_text(text)
          assert(chunk or load_text("return {" .. text .. "\n}"), path .. ": " .. tostring(problem))
          count = count + 1
        end
      end
    end
    assert.is_true(count > 20)
  end)

  it("#once have links that lead somewhere, on a forge and in the site", function()
    local count, anchors = 0, {}
    for _, path in ipairs(pages.all()) do
      for _, link in ipairs(pages.links(path)) do
        local where = path .. " -> " .. link.path
        assert.equal(0, (process.run { "test", "-e", link.path }), where)
        if link.anchor then
          anchors[link.path] = anchors[link.path] or pages.anchors(link.path)
          for _, known in ipairs(anchors[link.path]) do
            assert.is_true(known[link.anchor], where .. "#" .. link.anchor)
          end
        end
        count = count + 1
      end
    end
    assert.is_true(count > 200)
  end)

  it("#once are all to be found from the README, and in the site", function()
    local found, site = { ["README.md"] = true }, assert(process.read_file "mkdocs.yml")
    for _, named in ipairs(pages.links "README.md") do
      found[named.path] = true
      for _, link in ipairs(named.path:find "%.md$" and pages.links(named.path) or {}) do
        found[link.path] = true
      end
    end
    for _, path in ipairs(pages.all()) do
      assert.is_true(found[path], "a link in README.md, or in a page that it names, to " .. path)
      assert.truthy(site:find(": " .. path .. "\n", 1, true), "a line in mkdocs.yml for " .. path)
    end
  end)

  it("#once begin with a page that is read at once", function()
    local _, lines = pages.read "README.md":gsub("\n", "")
    assert.is_true(lines < 200)
  end)

  it("#once have tables of the figures that the site draws", function()
    local figures, count = "\n" .. pages.read "docs/figures.tsv", 0
    local marked = "\n<!%-%- picture: ([%w-]+):.-%-%->\n\n|.-\n|[-|]+\n(.-\n)\n"
    for _, path in ipairs(pages.all()) do
      for name, rows in pages.read(path):gmatch(marked) do
        for row in rows:gsub("(%d),(%d)", "%1%2"):gmatch "| ([^\n]+) |\n" do
          local line = name .. "\t" .. row:gsub(" | ", "\t")
          assert.truthy(figures:find("\n" .. line .. "\n", 1, true), path .. ": " .. row)
          count = count + 1
        end
      end
    end
    assert.is_true(count > 8)
  end)
end)

describe("docs/security.md", function()
  it("names tests that there are", function()
    local count = 0
    local page = assert(process.read_file "docs/security.md")
    local tables = page:sub(1, page:find("## What is not promised", 1, true) - 1)
    for cell in tables:gmatch("|([^|\n]+)|\n") do
      for part in cell:gmatch("[^%[]+") do
        local path = part:match("^[%w_ ]+%]%(%.%./(tests/[%w_/.]+)%)")
        local content = path and assert(process.read_file(path), path)
        for name in (path and part or ""):gmatch('"([^"]+)"') do
          assert.truthy(content:find(name, 1, true), path .. ": " .. name)
          count = count + 1
        end
      end
    end
    assert.is_true(count > 50)
  end)
end)

describe("what they say of accounts", function()
  local endpoint, redis, environment

  setup(function()
    endpoint, redis = fake_endpoint.start(), redis_server.start()
  end)

  teardown(function()
    endpoint:stop()
    redis:stop()
  end)

  before_each(function()
    endpoint:clear()
    endpoint:answer(200, { access_token = "access", refresh_token = "refresh", expires_in = 3600,
      token_type = "Bearer" })
    redis:cli("FLUSHALL")
    environment = setmetatable({
      tokencache = tokencache, client_id = "client", client_secret = "secret", user_id = "ann",
      provider = { authorize_url = "https://login.example.com/authorize",
        token_url = endpoint:url("token"), revocation_url = endpoint:url("status/200") },
      answer_to = function(url)
        return "https://app.example.com/callback?code=c&state=" .. url:match("state=([%w_-]+)")
      end,
    }, { __index = _G })
  end)

  --- Runs text of a page. `returned` is an expression for what is to be looked at.
  local function run(text, returned)
    text = text:gsub('host = "10.0.0.5"', "port = " .. redis.port)
      :gsub("request_url", "answer_to(url)") .. "\nreturn " .. returned
    if setfenv then
      return setfenv(assert(load_text(text)), environment)()
    end
    return assert(load(text, "page", "t", environment))()
  end

  it("logs in, gets a token and logs out as the README does", function()
    local url, info, token, ok, flow, account = run(pages.block("README.md", "store ="),
      "url, token_info, token, ok, flow, account")
    assert.matches("^https://login.example.com/authorize%?", url)
    assert.equal("refresh", info.refresh_token)
    assert.equal("access", token)
    assert.is_true(ok)
    local requests = endpoint:requests()
    assert.same({ "/token", "/status/200", "/status/200" },
      { requests[1].url, requests[2].url, requests[3].url })
    local err
    token, err = account:get_access_token()
    assert.is_nil(token)
    assert.equal("reauthorize", err.kind)
    assert.is_nil(flow:accounts()())
  end)

  it("does so in the requests of docs/web.md", function()
    environment.session, environment.redirect = {}, function() end
    local token, ok = run(pages.block("docs/web.md", "store ="), "token, ok")
    assert.equal("access", token)
    assert.is_true(ok)
  end)

  it("takes the README's token from a file the second time", function()
    local directory = folder.new()
    finally(function() directory:remove() end)
    local text = pages.block("README.md", "flow.client_credentials")
      :gsub("tokencache.provider.spotify", "provider")
      :gsub('"token.json"', ("%q"):format(directory:file("token.json")))
    environment.print = function() end
    assert.equal("access", run(text, "token"))
    assert.equal("access", run(text, "token"))
    assert.equal(1, #endpoint:requests())
  end)

  it("takes the key from a function, as docs/accounts.md does, and lists it", function()
    environment.ask_who_that_is = function(token)
      assert.equal("access", token)
      return { id = "ann" }
    end
    local page = "docs/accounts.md"
    local flow, info = run(pages.block(page, "store =") .. "local url, pending = "
      .. "flow:get_authorize_url()\n" .. pages.block(page, "ask_who_that_is"), "flow, token_info")
    assert.equal("access", info.access_token)
    environment.flow, environment.store = flow, flow.store
    run(pages.block(page, "flow:accounts"), "nil")
    local listed = {}
    environment.work_on = function(key) listed[#listed + 1] = key end
    run(pages.block(page, "store:keys"), "nil")
    assert.same({ "user:ann" }, listed)
  end)

  it("gets another token where the API refuses one, as docs/accounts.md does", function()
    environment.call_the_api = function() return { status = 401 } end
    local flow = tokencache.flow.client_credentials { provider = environment.provider,
      client_id = "client", client_secret = "secret",
      cache = tokencache.cache.memory { token_info = { access_token = "old", expires_in = 3600,
        expires_at = os.time() + 60, token_type = "Bearer", client_id = "client" } } }
    environment.account, environment.token = flow, "old"
    assert.equal("access", run(pages.block("docs/accounts.md", "refused ="), "token"))
  end)
end)
