-- Whose files are: root over a user's, and files of others. Most of it takes root, and is done by
-- processes of other users.

local cache_file = require "tokencache.cache.file"
local file_store = require "tokencache.store.file"
local folder = require "support.folder"
local keep_log = require "support.keep_log"
local log = require "tokencache.log"
local process = require "support.process"

local ANN, BOB = 1234, 1235
local TOKEN = [[{"access_token":"planted","expires_at":4000000000}]]

--- Saves, and says what came of it; with the lock in between.
local RENEW = [[
  local path, option = ...
  local cache = require("tokencache.cache.file") { cache_path = path,
    allow_foreign = option == "allow" or nil }
  local _, err, entry = cache:get_cached_token()
  local lock, problem = cache:try_lock(10)
  local saved, why = false, false
  if lock and not err then
    saved, why = cache:replace_cached_token(entry, { access_token = "t" })
  end
  print(err or not lock and problem or why or saved)]]

local function it_as_root(what, test)
  it(what, function()
    if not process.is_root() then return pending "takes root, to have the files of others" end
    test()
  end)
end

describe("a file, as to whose it is", function()
  local dir, path

  before_each(function()
    dir = folder.new()
    path = dir:file("token")
    dir:shell("chmod 755 .")
  end)

  after_each(function()
    log.set_logger(nil)
    dir:remove()
  end)

  local function said(command)
    local _, output = process.run(command)
    return output
  end

  local function owners(names)
    return dir:shell("stat -c '%n %u:%g %a' " .. names):gsub("\n", ", ")
  end

  it_as_root("stays its owner's and its group's where root saves, and so does its lock", function()
    dir:shell(("chown %d:%d .; cp /dev/null token; chown %d:%d token; chmod 640 token")
      :format(ANN, ANN, ANN, BOB))
    process.write_file(path, TOKEN)
    local sudo = process.lua(RENEW, path)
    sudo.environment.SUDO_UID = tostring(ANN)
    assert.equal("true\n", said(sudo))
    assert.equal("token 1234:1235 640, token.tokencache-lock 1234:1235 600", owners("token*"))
    assert.equal("true\n", said(process.as_user(process.lua(RENEW, path), ANN)))
    assert.equal("token 1234:1234 600, token.tokencache-lock 1234:1235 600",
      (owners("token*"))) -- she is not in that group, so none gets a right
  end)

  it_as_root("leaves no user without his lock where root came first", function()
    dir:shell(("chown %d:%d ."):format(ANN, BOB))
    local lock = { cache_file({ cache_path = path }):try_lock(10) }
    assert.is_string(lock[1])
    assert.equal("token.tokencache-lock 1234:1235 600", (owners("token*")))
    dir:shell("mkdir store common; chmod 2770 store; chown 1234:1235 store; chmod 1777 common")
    lock = { file_store({ directory = dir:file("store") }):try_lock("ann", 10) }
    assert.is_string(lock[1])
    assert.matches("1234:1235 660$", (owners("store/.*-lock")))
    lock = { cache_file({ cache_path = dir:file("common/token") }):try_lock(10) }
    assert.equal("common/token.tokencache-lock 0:0 600", (owners("common/*-lock")))
    assert.is_string(lock[1])
  end)

  it_as_root("keeps a right of the group's only where others have none", function()
    for given, kept in pairs { [660] = 660, [640] = 640, [664] = 600, [644] = 600, [600] = 600,
      [606] = 600, [770] = 660 } do
      dir:shell(("rm -f token*; cp /dev/null token; chown 0:1235 token; chmod %d token")
        :format(given))
      process.write_file(path, TOKEN)
      assert.equal("true\n", said(process.lua(RENEW, path)):match("[^\n]*\n$"))
      assert.equal(("token 0:1235 %d, token.tokencache-lock 0:1235 %d")
        :format(kept, kept == 660 and 660 or 600), (owners("token*")))
    end
  end)

  it_as_root("is not given away by a root who may not, and that is known before", function()
    dir:shell("chmod 777 .; touch token; chown 1234 token; chmod 666 token")
    local code = [[
      local can, err = require("tokencache._core").file.can_replace((...), 100)
      print(can, err.code, err)]]
    local output = said(process.unprivileged(process.lua(code, path)))
    assert.equal("nil\tEPERM\t" .. path .. ": not permitted: the file is another user's (uid "
      .. "1234), and this root may not give files away; run as that user\n", output)
    assert.equal("token", dir:names())
  end)

  it_as_root("is refused where another user has put it, by both stores and in both directions",
    function()
      dir:shell("chmod 777 .; mkdir store; chmod 777 store")
      for _, name in ipairs { "token", "store/a.token" } do
        process.write_file(dir:file(name), TOKEN)
      end
      dir:shell("chown -R 1234 .; chmod 644 token store/a.token; chmod -R o+rw .; chmod o-w token")
      local output = said(process.as_user(process.lua(RENEW, path), BOB))
      assert.equal(path .. ": it belongs to another user (uid 1234), who may have put any login "
        .. "there; remove it, give it to this user (chown), or give allow_foreign = true\n", output)
      assert.equal(TOKEN, process.read_file(path))
      local STORE = [[
        local directory, allow = ...
        local store = require("tokencache.store.file") { directory = directory,
          allow_foreign = allow == "allow" or nil }
        local bytes, err = store:get("a")
        print(bytes and #bytes or err)]]
      output = said(process.as_user(process.lua(STORE, dir:file("store")), BOB))
      assert.matches("a.token: it belongs to another user (uid 1234)", output, nil, true)
      assert.equal(#TOKEN .. "\n",
        said(process.as_user(process.lua(STORE, dir:file("store"), "allow"), BOB)))
      assert.equal("true\n", said(process.as_user(process.lua(RENEW, path, "allow"), BOB)))
      assert.matches("^token 1235:", (owners("token")))
    end)

  it_as_root("of root's is trusted, and root is told of a user's unless sudo says who he is",
    function()
      process.write_file(path, TOKEN)
      dir:shell("chmod 777 .; chmod 644 token")
      assert.equal("true\n", said(process.as_user(process.lua(RENEW, path), ANN)))
      local as_root = process.lua(RENEW, path)
      assert.equal("tokencache: warning: " .. path .. ": it belongs to another user (uid 1234), "
        .. "who may have put any login there; run as that user, or give allow_foreign = true\n"
        .. "true\n", said(as_root))
      assert.matches("^token 1234:", (owners("token")))
      as_root.environment.SUDO_UID = "1234"
      assert.equal("true\n", said(as_root))
      assert.equal("true\n", said(process.lua(RENEW, path, "allow")))
    end)

  it("that everybody may write to is a warning, once, until it is saved", function()
    process.write_file(path, TOKEN)
    dir:shell("chmod 666 token")
    local logged = keep_log()
    local cache = cache_file { cache_path = path }
    for _ = 1, 3 do assert.equal("planted", cache:get_cached_token().access_token) end
    assert.same({ "warning " .. path .. ": everybody may write to it, and put any login there; "
      .. "take that right away (chmod o-w), or give allow_foreign = true" }, logged)
    cache_file({ cache_path = path, allow_foreign = true }):get_cached_token()
    assert.equal(1, #logged)
    cache:save_token_to_cache { access_token = "t" }
    assert.equal("600", dir:mode("token"))
    -- a store's keys may let somebody in
    local key = "session:" .. ("5"):rep(64)
    local store = file_store { directory = dir.path }
    store:set(key, "x")
    dir:shell("chmod 666 session*")
    assert.equal("x", store:get(key))
    assert.equal(2, #logged)
    assert.is_nil(logged[2]:find(("5"):rep(9), 1, true), logged[2])
  end)

  describe("has a lock", function()
    --- A file that another user made, and holds locked.
    local function start_holder()
      local side = path .. ".tokencache-lock"
      dir:shell("chmod 1777 .; touch token.tokencache-lock; chmod 666 token.tokencache-lock; "
        .. "chown 1234 token.tokencache-lock")
      return process.start({ "flock", "-n", "--no-fork", side, "sh", "-c",
        "echo held >\"$READY_FILE\"; exec sleep 60" }, { ready = true })
    end

    local REFUSED = ".tokencache-lock: it belongs to another user (uid 1234), who could keep it "
      .. "locked; remove it, choose another path, or give allow_foreign = true"

    it_as_root("of another user's, which is no lock, and no call waits for it", function()
      local holder = start_holder()
      finally(function() holder:stop() end)
      assert.equal(path .. REFUSED .. "\n", said(process.as_user(process.lua(RENEW, path), BOB)))
      local handle, err = cache_file({ cache_path = path }):try_lock(10) -- by root
      assert.is_nil(handle)
      assert.equal("cache EPERM " .. path .. REFUSED, ("%s %s %s"):format(err.kind, err.code,
        tostring(err)))
      assert.is_false((cache_file({ cache_path = path, allow_foreign = true }):try_lock(10)))
      -- so a refresh token is not sent, and its timeout is not waited for
      process.write_file(path, [[{"access_token":"old","expires_at":0,"refresh_token":"r"}]])
      local flow = require("support.stage").new():user_flow {
        cache = cache_file { cache_path = path }, io = {} }
      local token
      token, err = flow:get_access_token { timeout = 1e6 }
      assert.is_nil(token)
      assert.equal("cache", err.kind)
    end)

    it_as_root("that is closed to this user: an error that names whose it is", function()
      dir:shell("chmod 777 .; touch token.tokencache-lock; chmod 600 token.tokencache-lock")
      assert.equal(path .. ".tokencache-lock: it belongs to another user (uid 0), and this one may "
        .. "not open it; remove it while nobody uses it, or give it to this user (chown)\n",
        said(process.as_user(process.lua(RENEW, path), BOB)))
    end)

    it_as_root("of the file's owner, which root takes too", function()
      dir:shell("chown 1234 .; touch token token.tokencache-lock; chown 1234 *")
      local lock = { cache_file({ cache_path = path }):try_lock(10) }
      assert.is_string(lock[1])
    end)
  end)

  it_as_root("of a group whose members all write: with allow_foreign they share it", function()
    dir:shell("chown 1234:77 .; chmod 2770 .; cp /dev/null token; chown 1234:77 token; "
      .. "chmod 660 token")
    process.write_file(path, TOKEN)
    local function member(uid)
      local command = process.as_user(process.lua(RENEW, path, "allow"), uid)
      command[4] = "--groups=77"
      return command
    end
    for _, uid in ipairs { ANN, BOB, ANN } do
      assert.equal("true\n", said(member(uid)))
      assert.equal(("token %d:77 660, token.tokencache-lock 1234:77 660"):format(uid),
        (owners("token*")))
    end
  end)
end)
