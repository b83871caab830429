-- The lock of the file handler: between coroutines, Lua states, threads and processes.

local cache_file = require "tokencache.cache.file"
local collect = require "support.collect"
local core = require "tokencache._core"
local flow_locks = require "support.flow_locks"
local folder = require "support.folder"
local log = require "tokencache.log"
local process = require "support.process"
local stages = require "support.stage"
local unix = require "support.unix"

local SUFFIX = ".tokencache-lock"

--- Says what try_lock returns, and keeps the lock as long as it lives.
local TRY = [[
  local path, after = ...
  local cache = require("tokencache.cache.file") { cache_path = path }
  local handle, more = cache:try_lock(10)
  local unix = require "support.unix"
  io.stdout:setvbuf("no")
  print(handle and "locked" or handle == false and "taken" or more.code .. " " .. more)
  ]]

describe("the lock of a file", function()
  local dir, path, handler

  before_each(function()
    dir = folder.new()
    path = dir:file("token")
    handler = cache_file { cache_path = path }
  end)

  after_each(function()
    log.set_logger(nil)
    dir:shell("chmod -R u+rwx .")
    dir:remove()
  end)

  --- What another process says that tries to take it.
  local function said_by(command)
    local _, output = process.run(command)
    return (output:gsub("\n$", ""))
  end
  local function elsewhere()
    return said_by(process.lua(TRY, path))
  end

  --- A process that says so once it has the lock, then runs `code`.
  local function start_holder(code)
    local child = process.start(process.lua(TRY .. [[
      local ready = io.open(os.getenv "READY_FILE", "w")
      ready:write(tostring(handle), "\n")
      ready:close()
      ]] .. code, path), { ready = true, environment = { LD_PRELOAD = os.getenv "LD_PRELOAD" } })
    return child
  end

  local SLEEP = [[require("tokencache._core").sleep(60)]]

  it("is held by one, here and elsewhere, until it is released", function()
    local lock = { handler:try_lock(10) }
    assert.is_string(lock[1])
    assert.is_false((handler:try_lock(10)))
    assert.is_false((cache_file { cache_path = path }:try_lock(10)))
    assert.equal("taken", elsewhere())
    assert.is_true(handler:unlock(lock[1]))
    assert.equal("locked", elsewhere())
    lock = { handler:try_lock(10) }
    assert.is_string(lock[1])
    assert.is_true(handler:unlock(lock[1]))
  end)

  it("is on a file beside it, private, empty, and there for good", function()
    local lock = { handler:try_lock(10) }
    assert.equal("token" .. SUFFIX, dir:names())
    assert.equal("600", dir:mode("token" .. SUFFIX))
    assert.equal("", process.read_file(path .. SUFFIX))
    handler:unlock(lock[1])
    handler:save_token_to_cache { access_token = "t" }
    handler:remove_cached_token()
    assert.equal("token" .. SUFFIX, dir:names())
  end)

  it("is made private and usable under any umask", function()
    local umask = { "sh", "-c", "umask 0777; \"$@\"", "sh" }
    assert.equal("locked", said_by(process.behind(umask, process.lua(TRY, path))))
    assert.equal("600", dir:mode("token" .. SUFFIX))
  end)

  it("knows no handle but its own", function()
    local lock = { handler:try_lock(10) }
    for _, other in ipairs { "", "0", "1", lock[1] .. "0", "-" .. lock[1], lock[1] .. " ", "x",
      lock[1]:sub(1, -2), ("9"):rep(40) } do
      assert.is_true(handler:unlock(other))
      assert.is_false((handler:try_lock(10)), other)
    end
    assert.error_matches(function() handler:unlock {} end, "string expected")
    assert.is_true(handler:unlock(lock[1]))

    local later = { handler:try_lock(10) }
    assert.not_equal(lock[1], later[1])
    assert.is_true(handler:unlock(lock[1])) -- it has ended
    lock[2] = nil
    collect()
    assert.equal("taken", elsewhere())
    assert.is_true(handler:unlock(later[1]))
  end)

  it("ends with its guard", function()
    local lock = { handler:try_lock(10) }
    collect()
    assert.equal("taken", elsewhere())
    assert.is_userdata(lock[2])
    lock[2] = nil
    collect()
    assert.equal("locked", elsewhere())
  end)

  it("that nobody can release any more is free to who asks in the same process", function()
    handler:try_lock(10)
    process.wait_until("the garbage to go", function() return handler:try_lock(10) end)
  end)

  it("is released from another thread and Lua state", function()
    local there = ("package.path, package.cpath = %q, %q\n"):format(package.path, package.cpath)
    local lock = { handler:try_lock(10) }
    assert.equal("false", unix.in_thread(there .. [[
      local path = ...
      local cache = require("tokencache.cache.file") { cache_path = path }
      return tostring((cache:try_lock(10)))]], path))
    assert.equal("true", unix.in_thread(there .. [[
      return tostring(require("tokencache.worker.file").unlock(...))]], lock[1]))
    assert.equal("locked", elsewhere())
  end)

  it("is taken by another thread for the Lua state that has its guard", function()
    local new = { core.file.new_lock() }
    local take = ("package.path, package.cpath = %q, %q\n"):format(package.path, package.cpath)
      .. [[
      local path, handle = (...):match("(.*) (.*)")
      return tostring(require("tokencache.worker.file").try_lock(path, nil, handle))]]
    assert.equal("true", unix.in_thread(take, path .. " " .. new[2]))
    assert.equal("taken", elsewhere())
    new[1] = nil
    collect()
    assert.equal("false", unix.in_thread(take, path .. " " .. new[2])) -- nobody waits for it
    assert.equal("locked", elsewhere())
  end)

  it("is one of many in a process", function()
    local held = {}
    for i = 1, 300 do
      local handle, guard = cache_file({ cache_path = path .. i }):try_lock(10)
      held[i] = { handle, guard }
    end
    for i = 1, 300, 2 do
      handler:unlock(held[i][1])
    end
    for i = 1, 300 do
      local handle, guard = cache_file({ cache_path = path .. i }):try_lock(10)
      assert.equal(i % 2 == 1, handle ~= false, i)
      held[i + 300] = { handle, guard }
    end
    held = nil -- luacheck: ignore
    collect()
    local pipe = io.popen "ls -l /proc/$PPID/fd"
    local descriptors = pipe:read("*a")
    pipe:close()
    assert.is_nil(descriptors:find(SUFFIX, 1, true), descriptors)
  end)

  it("ends with its process, however that dies", function()
    local holder = start_holder(SLEEP)
    assert.is_false((handler:try_lock(10)))
    holder:signal("KILL")
    holder:wait()
    local lock = { handler:try_lock(10) }
    assert.is_string(lock[1])
    holder:stop()
  end)

  it("ends with its process though a child of that lives on", function()
    local holder = start_holder([[
      local child = unix.fork()
      if child > 0 then print("child " .. child) end ]] .. SLEEP)
    local child = process.wait_until("the fork", function()
      return holder:output():match "child (%d+)"
    end)
    assert.is_false((handler:try_lock(10)))
    holder:signal("KILL")
    holder:wait()
    local lock = { handler:try_lock(10) }
    local alive = dir:shell("kill -0 " .. child .. " && echo alive; kill -KILL " .. child)
    assert.equal("alive", alive)
    assert.is_string(lock[1])
    holder:stop()
  end)

  it("is not a child's to release", function()
    local lock = { handler:try_lock(10) }
    local pid = unix.fork()
    if pid == 0 then
      handler:unlock(lock[1])
      lock[2] = nil
      collect()
      local taken = handler:try_lock(10) == false
      local other = cache_file { cache_path = path .. "-other" }
      local of_child, of_child_guard = other:try_lock(10)
      unix.exit(taken and of_child and of_child_guard and 0 or 1)
    end
    assert.equal(0, unix.wait(pid))
    assert.equal("taken", elsewhere())
    assert.is_true(handler:unlock(lock[1]))
    assert.equal("locked", elsewhere())
  end)

  it("is another once its file was removed, never two on one", function()
    local lock = { handler:try_lock(10) }
    dir:shell("rm token" .. SUFFIX)
    assert.equal("locked", elsewhere())
    assert.is_true(handler:unlock(lock[1]))
    lock = { handler:try_lock(10) }
    assert.equal("taken", elsewhere())
    handler:unlock(lock[1])
  end)

  describe("cannot be had", function()
    local function fails(code, words)
      local handle, err = handler:try_lock(10)
      assert.is_nil(handle)
      assert.equal("cache " .. code, err.kind .. " " .. err.code)
      assert.equal(path .. SUFFIX .. ": " .. words, tostring(err))
    end

    it("through a symbolic link", function()
      dir:shell("ln -s elsewhere token" .. SUFFIX)
      fails("ELOOP", "a symbolic link, and no lock is taken through one; remove it")
      assert.equal("token" .. SUFFIX, dir:names())
    end)

    it("on a directory", function()
      dir:shell("mkdir token" .. SUFFIX)
      fails("EISDIR", "a directory, where the lock needs a file; remove it")
    end)

    it("on a FIFO", function()
      dir:shell("mkfifo token" .. SUFFIX)
      fails("EINVAL", "not a regular file, which the lock needs; remove it")
    end)

    it("in a directory that does not exist", function()
      path = dir:file("no/token")
      handler = cache_file { cache_path = path }
      fails("ENOENT", "its directory does not exist; create it")
    end)

    it("by a name that is too long", function()
      path = dir:file(("x"):rep(240))
      handler = cache_file { cache_path = path }
      local _, problem = handler:try_lock(10)
      assert.equal(path .. ": the name is too long, as its lock and its temporary files have "
        .. "longer ones; choose one of 239 bytes at most", tostring(problem))
      handler = cache_file { cache_path = ("x/"):rep(4096) }
      local handle, err = handler:try_lock(10)
      assert.is_nil(handle)
      assert.equal("ENAMETOOLONG", err.code)
    end)

    it("in a directory where this user may not write", function()
      dir:shell("chmod 555 .")
      local unprivileged = process.unprivileged(process.lua(TRY, path))
      assert.equal("EACCES " .. path .. SUFFIX .. ": permission denied; give this user write "
        .. "access to it and to its directory", said_by(unprivileged))
      dir:shell("chmod 755 . && touch token" .. SUFFIX .. " && chmod 555 .")
      assert.equal("locked", said_by(unprivileged))
    end)

    it("and the flow goes on without it, with a warning", function()
      dir:shell("mkdir token" .. SUFFIX)
      local stage = stages.new()
      assert.equal("access-1", stage:flow({ cache = handler }):get_access_token())
      assert.equal("warning the cache's lock failed, going on without it: " .. path .. SUFFIX
        .. ": a directory, where the lock needs a file; remove it", stage.logged[#stage.logged])
      assert.equal("access-1", handler:get_cached_token().access_token)
    end)
  end)

  it("has a name that is for nothing else", function()
    local other = cache_file { cache_path = path .. SUFFIX }
    local function expect_refused(result, err)
      assert.is_nil(result)
      assert.equal(path .. SUFFIX .. ": that name is for temporary files and locks; choose another "
        .. "path", tostring(err))
    end
    expect_refused(other:save_token_to_cache { access_token = "t" })
    expect_refused(other:remove_cached_token())
  end)

  it("outlives no call that a transport ended with an error", function()
    flow_locks.check_raising(handler)
    assert.equal("locked", elsewhere())
  end)

  it("is kept by a call that waits for its transport", function()
    flow_locks.check_waiting(handler, function() assert.equal("taken", elsewhere()) end)
    assert.equal("locked", elsewhere())
  end)
end)
