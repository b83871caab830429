local cache_file = require "tokencache.cache.file"
local core = require "tokencache._core"
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

  it("that another program is writing is read again, a few times", function()
    local steps = { "", '{"access_token": "a", "refr', [[{"access_token": "a", "x": {"y": 1}]],
      [[{"access_token": "b", "x": {"y": 1}}]] }
    local sleep, slept = core.sleep, 0
    finally(function() core.sleep = sleep end)
    process.write_file(path, steps[1])
    function core.sleep(seconds)
      assert.is_true(seconds < 0.1)
      slept = slept + 1
      process.write_file(path, steps[slept + 1])
    end
    assert.equal("b", handler:get_cached_token().access_token)
    assert.equal(3, slept)
    -- nor is a token saved over what is not yet whole
    process.write_file(path, "")
    slept = 2
    assert.is_false((handler:replace_cached_token("", { access_token = "c" })))
    assert.equal(3, slept)
    core.sleep = sleep
    assert.equal("b", handler:get_cached_token().access_token)
  end)

  it("that has stayed damaged is not waited for until it changes", function()
    local sleep, slept = core.sleep, 0
    finally(function() core.sleep = sleep end)
    function core.sleep() slept = slept + 1 end
    for round = 1, 2 do
      process.write_file(path, '{"access_token": "' .. ("a"):rep(round))
      for _ = 1, 3 do
        assert.equal("cache", select(2, handler:get_cached_token()).kind)
      end
      assert.equal(6 * round, slept)
    end
    dir:shell("cp token other; touch -d @1 token other; mv other token") -- another file, as old
    assert.is_nil((handler:get_cached_token()))
    assert.equal(18, slept)
  end)

  it("is a miss, with a warning, while it is empty, and is replaced then", function()
    finally(log.set_logger)
    for _, nothing in ipairs { "", " \n", ("\0"):rep(300) } do
      process.write_file(path, nothing)
      local logged = keep_log()
      local info, err, entry = handler:get_cached_token()
      assert.is_nil(info)
      assert.is_nil(err)
      assert.equal(nothing, entry)
      assert.is_nil((handler:peek_cached_token()))
      assert.same({ "warning " .. path .. ": the entry is empty, which counts as no token" },
        logged)
      assert.equal(nothing, handler:can_save(entry))
      assert.is_true(handler:replace_cached_token(entry, { access_token = "t" }))
      assert.equal("t", handler:get_cached_token().access_token)
    end
  end)

  it("may begin with a byte order mark", function()
    process.write_file(path, "\239\187\191" .. [[{"access_token": "t"}]])
    local info, _, entry = handler:get_cached_token()
    assert.equal("t", info.access_token)
    assert.is_true(handler:replace_cached_token(entry, { access_token = "u" }))
    assert.equal([[{"access_token":"u"}]], process.read_file(path))
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

  it("says at once that .cache is a directory, as in a home directory", function()
    local home = folder.new()
    finally(function() home:remove() end)
    home:shell("mkdir .cache .cache-ann")
    local path, cpath, here = package.path, package.cpath, core.file.real_path(".")
    package.path = here .. "/lua/?.lua;" .. here .. "/lua/?/init.lua"
    package.cpath = cpath:gsub("[^;]+", function(template)
      return template:sub(1, 1) == "/" and template or here .. "/" .. template
    end)
    local child = process.lua [[
      local tokencache = require "tokencache"
      print(pcall(function() tokencache.cache.file() end))
      print(pcall(function()
        tokencache.flow.client_credentials { client_id = "c", client_secret = "s",
          provider = tokencache.provider.spotify }
      end))
      print(tokencache.cache.file { username = "bob" })]]
    package.path, package.cpath = path, cpath
    child.environment.SPOTIPY_CLIENT_USERNAME = ""
    local _, output = process.run(child, { directory = home.path })
    assert.equal("false\tline 2: cache.file: .cache, the default, is a directory here; give "
      .. "cache_path or username\nfalse\tline 4: flow.client_credentials: no cache is given, and "
      .. ".cache, the default, is a directory here; give cache = tokencache.cache.file "
      .. "{ cache_path = ... }\ntokencache.cache: .cache-bob\n",
      (output:gsub("%[string [^\n]-%]:(%d+:)", "line %1")))
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
