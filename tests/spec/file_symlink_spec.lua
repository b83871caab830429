-- Symbolic links at the path of a cache file: refused, or followed where the user asks for it.

local cache_file = require "tokencache.cache.file"
local folder = require "support.folder"
local keep_log = require "support.keep_log"
local log = require "tokencache.log"
local process = require "support.process"
local stages = require "support.stage"

local function token(name)
  return { access_token = name, expires_at = 4000000000 }
end

describe("a cache file that is a symbolic link", function()
  local dir, path

  before_each(function()
    dir = folder.new()
    path = dir:file("token")
    dir:shell("mkdir dotfiles")
  end)

  after_each(function()
    log.set_logger(nil)
    dir:remove()
  end)

  local function following()
    return cache_file { cache_path = path, follow_symlink = true }
  end

  it("is refused, dangling or not, by words that name the option", function()
    for _, line in ipairs { "ln -sf dotfiles/token token", "touch dotfiles/token" } do
      dir:shell(line)
      local ok, err = cache_file({ cache_path = path }):save_token_to_cache(token "t")
      assert.is_nil(ok)
      assert.equal("cache ELOOP", err.kind .. " " .. err.code)
      assert.matches("follow_symlink = true", err.message, nil, true)
    end
  end)

  it("is followed where the user asks for it: what it leads to is replaced", function()
    for _, link in ipairs { "dotfiles/token", dir:file("dotfiles/token"), "by" } do
      dir:shell("rm -rf dotfiles; mkdir dotfiles; ln -sf ../token2 dotfiles/by; "
        .. "ln -sf dotfiles/token by; ln -sf " .. link .. " token")
      local cache = following()
      assert.is_nil((cache:get_cached_token()))
      assert.is_true(cache:save_token_to_cache(token "a"))
      local _, _, entry = cache:get_cached_token()
      assert.equal(entry, cache:can_save(entry, token "a"))
      assert.is_true(cache:replace_cached_token(entry, token "b"))
      assert.equal("b", cache_file({ cache_path = dir:file("dotfiles/token") })
        :get_cached_token().access_token)
      assert.equal(link, dir:shell("readlink token"))
      _, _, entry = cache:get_cached_token()
      assert.is_true(cache:remove_cached_token(entry))
      assert.equal(link, dir:shell("readlink token"))
    end
  end)

  it("shares lock, mark and account with who names the file itself", function()
    dir:shell("ln -s dotfiles/token token")
    local cache, other = following(), cache_file { cache_path = dir:file("dotfiles/token") }
    local lock = { cache:try_lock(10) }
    assert.is_string(lock[1])
    assert.is_false((other:try_lock(10)))
    assert.is_true(cache:unlock(lock[1]))
    assert.is_true(cache:set_mark("out 1", 60))
    assert.equal("out 1", other:get_mark())
    assert.same({ other:account_id() }, { cache:account_id() })
    assert.equal("by dotfiles/token token.tokencache-lock token.tokencache-mark",
      dir:shell("echo by dotfiles/token; ls dotfiles"):gsub("%s+", " "))
  end)

  it("is looked at anew by each call", function()
    dir:shell("ln -s dotfiles/one token")
    local cache = following()
    assert.is_true(cache:save_token_to_cache(token "1"))
    dir:shell("ln -sf dotfiles/two token")
    assert.is_true(cache:save_token_to_cache(token "2"))
    assert.matches('"1"', process.read_file(dir:file("dotfiles/one")))
    assert.matches('"2"', process.read_file(dir:file("dotfiles/two")))
  end)

  it("is no link: all is as without the option", function()
    local cache = following()
    assert.is_true(cache:save_token_to_cache(token "t"))
    assert.equal("dotfiles token", dir:names())
  end)

  it("fails in a circle, at too long a path and in a missing directory", function()
    for line, code in pairs {
      ["ln -sfn token token"] = "ELOOP", ["ln -sfn nowhere/token token"] = "ENOENT",
      ["ln -sfn dotfiles token"] = "EISDIR", ["ln -sfn " .. ("d/"):rep(2046) .. " token"]
        = "ENAMETOOLONG",
    } do
      dir:shell(line)
      local ok, err = following():save_token_to_cache(token "t")
      assert.is_nil(ok)
      assert.equal("cache " .. code, err.kind .. " " .. err.code)
    end
    dir:shell("ln -sfn token token")
    local _, err = cache_file({ cache_path = path }):get_cached_token()
    assert.matches("symbolic links in a circle, or too many; name the file itself", err.message)
  end)

  it("of another user's is not followed", function()
    if not process.is_root() then return pending "takes root, to have another's link" end
    dir:shell("chmod 777 . dotfiles; ln -s dotfiles/token token; chown -h 1234 token")
    local SAVE = [[
      local cache = require("tokencache.cache.file") { cache_path = ..., follow_symlink = true }
      print(cache:save_token_to_cache { access_token = "t" })]]
    local _, output = process.run(process.as_user(process.lua(SAVE, path)))
    assert.matches("a symbolic link of another user's (uid 1234), which is not followed", output,
      nil, true)
    -- nor by root, who may write anywhere
    local ok, err = following():save_token_to_cache(token "t")
    assert.is_nil(ok)
    assert.equal("EPERM", err.code)
    local mine = process.lua(SAVE, path)
    mine.environment.SUDO_UID = "1234"
    _, output = process.run(mine)
    assert.equal("true\n", output)
  end)
end)

describe("a login for a cache file", function()
  local dir, path, asked

  before_each(function()
    dir = folder.new()
    path, asked = dir:file("token"), 0
  end)

  after_each(function()
    log.set_logger(nil)
    dir:remove()
  end)

  local function flow_over(cache, stage)
    return stage:user_flow { cache = cache, redirect_uri = stages.REDIRECT_URI,
      authorize = function(url)
        asked = asked + 1
        return stages.REDIRECT_URI .. "?code=c&state=" .. url:match("state=([^&]+)")
      end }
  end

  it("that cannot be kept is asked of nobody", function()
    local cases = {
      ["a symbolic link to what does not exist"] = path,
      ["choose one of 239 bytes"] = dir:file(("n"):rep(240)),
    }
    dir:shell("ln -s other token")
    for words, at in pairs(cases) do
      local stage = stages.new()
      local info, err = flow_over(cache_file { cache_path = at }, stage):get_access_token()
      assert.is_nil(info)
      assert.equal("cache", err.kind)
      assert.matches(words, err.message, nil, true)
      assert.equal(0, asked)
      assert.equal(0, #stage.requests)
    end
  end)

  it("is asked for, with a warning, where the one before cannot be replaced", function()
    dir:shell("ln -s other token")
    process.write_file(path, [[{"access_token":"old","expires_at":0}]])
    local stage = stages.new()
    local logged = keep_log()
    assert.equal("access-1", flow_over(cache_file { cache_path = path }, stage):get_access_token())
    assert.equal(1, asked)
    assert.matches("^warning the user is asked to log in, though the new login cannot be kept: ",
      logged[1])
  end)

  it("is shown at the second call where a dead one cannot be removed", function()
    dir:shell("ln -s other token")
    process.write_file(path, [[{"access_token":"old","expires_at":0,"refresh_token":"dead"}]])
    local stage = stages.new()
    keep_log()
    stage.on.request = function(request)
      return request.body:find("refresh_token", 1, true)
        and stages.answer({ error = "invalid_grant" }, 400)
        or stages.answer { access_token = "new", refresh_token = "alive", expires_in = 3600 }
    end
    local function flow()
      return stage:user_flow { cache = cache_file { cache_path = path },
        provider = { token_url = "https://login.example/token", rotates_refresh_tokens = false,
          authorize_url = "https://login.example/authorize" },
        authorize = function(url)
          asked = asked + 1
          return stages.REDIRECT_URI .. "?code=c&state=" .. url:match("state=([^&]+)")
        end }
    end
    local first, err = flow():get_access_token()
    assert.is_nil(first)
    assert.equal("reauthorize", err.kind)
    assert.equal("new", flow():get_access_token())
    assert.equal("new", flow():get_access_token())
    assert.equal(1, asked)
    assert.matches("dead", process.read_file(dir:file("other")))
  end)

  it("leaves no trace beforehand where it is given up", function()
    local stage = stages.new()
    local flow = stage:user_flow { cache = cache_file { cache_path = path },
      authorize = function() return nil, "no" end }
    assert.is_nil((flow:get_access_token()))
    assert.equal("", dir:names())
  end)
end)
