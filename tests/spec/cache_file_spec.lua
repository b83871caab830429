local cache_file = require "tokencache.cache.file"
local folder = require "support.folder"
local keep_log = require "support.keep_log"
local log = require "tokencache.log"
local process = require "support.process"
local tokencache = require "tokencache"

describe("a token's file", function()
  local dir, path, handler

  before_each(function()
    dir = folder.new()
    path = dir:file("token")
    handler = cache_file { cache_path = path }
  end)

  after_each(function()
    dir:remove()
  end)

  local broken = {
    { "empty", "" },
    { "cut off", [[{"access_token": "s3cret-tok]] },
    { "an array", [=[["s3cret-token"]]=] },
    { "a string", [["s3cret-token"]] },
    { "null", "null" },
    { "without access_token", [[{"refresh_token": "s3cret-token"}]] },
    { "with a null access_token", [[{"access_token": null, "refresh_token": "s3cret-token"}]] },
    { "with a number as access_token", [[{"access_token": 1, "refresh_token": "s3cret-token"}]] },
    { "with words as expires_at", [[{"access_token": "s3cret-token", "expires_at": "s3cret"}]] },
    { "not UTF-8", "{\"access_token\": \"s3cret-token\255\"}" },
    { "no JSON", "access_token=s3cret-token" },
  }
  for _, case in ipairs(broken) do
    it(case[1] .. " is a failure that shows nothing of it", function()
      process.write_file(path, case[2])
      for _, method in ipairs { "get_cached_token", "peek_cached_token" } do
        local info, err = handler[method](handler)
        assert.is_nil(info)
        assert.equal("cache", err.kind)
        assert.equal(path .. ": ", tostring(err):sub(1, #path + 2))
        assert.is_nil(tostring(err):find("s3cret", 1, true))
      end
      assert.equal(case[2], process.read_file(path))
    end)
  end

  it("is not taken for one, and left alone, where it holds something else", function()
    for _, text in ipairs { [[{"database": "prod"}]], "return 1\n", ("x"):rep(2 ^ 21) } do
      process.write_file(path, text)
      for method, argument in pairs {
        save_token_to_cache = { access_token = "s3cret" }, remove_cached_token = text,
      } do
        local result, err = handler[method](handler, argument)
        assert.is_nil(result)
        assert.equal("cache", err.kind)
        assert.truthy(tostring(err):find(path, 1, true))
      end
      assert.is_nil((handler:remove_cached_token()))
      assert.is_true(text == process.read_file(path))
    end
  end)

  it("is replaced where it is empty or a damaged token", function()
    for _, text in ipairs { "", [[{"access_token": "s3cr]] } do
      process.write_file(path, text)
      assert.is_true(handler:save_token_to_cache({ access_token = "t" }))
      assert.equal("t", handler:get_cached_token().access_token)
    end
  end)

  it("fails with the path when it cannot be used", function()
    dir:shell("mkdir token")
    for method, argument in pairs {
      get_cached_token = false, save_token_to_cache = { access_token = "s3cret" },
      remove_cached_token = [[{"access_token":"s3cret"}]],
    } do
      local result, err = handler[method](handler, argument)
      assert.is_nil(result)
      assert.equal("cache EISDIR", err.kind .. " " .. err.code)
      assert.truthy(tostring(err):find(path, 1, true))
    end
    assert.equal("EISDIR", select(2, handler:remove_cached_token()).code)
  end)

  it("is an error, and nobody is asked to log in, where its directory is missing", function()
    local logged = keep_log()
    finally(log.set_logger)
    local lost = tokencache.cache.file { cache_path = dir:file("nowhere/token") }
    local info, err = lost:get_cached_token()
    assert.is_nil(info)
    assert.equal("cache ENOENT", err.kind .. " " .. err.code)
    assert.equal(dir:file("nowhere") .. ": the directory does not exist; create it, or mount what "
      .. "it is on", err.message)
    local flow = tokencache.flow.pkce { cache = lost, client_id = "c",
      redirect_uri = "https://app.example/", provider = { token_url = "https://login.example/t",
      authorize_url = "https://login.example/a" }, authorize = function() error "asked" end }
    local token
    token, err = flow:get_access_token()
    assert.is_nil(token)
    assert.equal("cache", err.kind)
    assert.same({ "warning the cache could not be read: " .. err.message }, logged)
  end)

  it("is a miss while missing, and after removal", function()
    assert.is_nil((handler:get_cached_token()))
    assert.is_true(handler:save_token_to_cache({ access_token = "t" }))
    assert.equal("600", dir:mode("token"))
    assert.equal("t", handler:get_cached_token().access_token)
    assert.is_true(handler:remove_cached_token())
    local info, err = handler:get_cached_token()
    assert.is_nil(info)
    assert.is_nil(err)
  end)
end)

describe("cache.file", function()
  local DESCRIBE = [[
    local cache_file = require "tokencache.cache.file"
    local username = ...
    print(cache_file({ username = username ~= "" and username or nil }))
  ]]

  local function path_for(username, environment)
    local child = process.lua(DESCRIBE, username)
    child.environment.SPOTIPY_CLIENT_USERNAME = environment
    local _, output = process.run(child)
    return output
  end

  it("shows its path", function()
    assert.equal("tokencache.cache: some/path", tostring(cache_file { cache_path = "some/path" }))
    assert.equal("tokencache.cache: some/path",
      tostring(cache_file { cache_path = "some/path", username = "ann" }))
  end)

  it("takes its path from the username, then the environment, then .cache", function()
    assert.equal("tokencache.cache: .cache-ann\n", path_for("ann", "bob"))
    assert.equal("tokencache.cache: .cache-bob\n", path_for("", "bob"))
    assert.equal("tokencache.cache: .cache\n", path_for("", ""))
  end)

  it("refuses a username that leads elsewhere", function()
    for _, name in ipairs { "../ann", "/etc/passwd", "a\0b" } do
      local _, message = pcall(function() cache_file { username = name } end)
      assert.matches("cache_file_spec.lua:%d+: cache.file: username .*cache_path", message)
    end
    assert.truthy(path_for("", "../bob"):find("SPOTIPY_CLIENT_USERNAME holds a slash", 1, true))
  end)

  it("refuses other mistakes", function()
    assert.error_matches(function() cache_file { path = "x" } end, "unknown option path")
    assert.error_matches(function() cache_file { cache_path = 1 } end, "cache_path must be a str")
    assert.error_matches(function() cache_file { cache_path = "" } end, "cache_path is empty")
    assert.error_matches(function() cache_file { cache_path = "a\0" } end, "cache_path holds a NUL")
    assert.error_matches(function() cache_file { username = "" } end, "username is empty")
  end)
end)
