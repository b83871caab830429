-- A login lives through a file system that fails: what takes privileges to arrange, or their lack,
-- is done in processes of its own.

local folder = require "support.folder"
local mounts = require "support.mounts"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"

local server, dir

setup(function() server = oidc_provider.start() end)
teardown(function() server:stop() end)
before_each(function() dir = folder.new() end)
after_each(function()
  dir:shell("chmod -R u+rwx .")
  dir:remove()
end)

--- Lua that returns a store, or a handler, whose login is in the directory.
local HANDLER = "return require('tokencache').cache.file { cache_path = %q .. '/token' }"
local STORE = "return require('tokencache').store.file { directory = %q }"
local ENCRYPTED = [[return require('tokencache').store.encrypted(
  require('tokencache').store.file { directory = %q },
  { keys = { a = "a secret of the tests' own" }, use = "a" })]]

local ways = {
  { name = "in a cache file", field = "cache", code = HANDLER },
  { name = "in a store of files", field = "store", code = STORE },
  { name = "in an encrypted store of files", field = "store", code = ENCRYPTED },
}

--- A script that begins with `trial`, with shell lines for the directory, and `now` of a process
--- before.
local START = [[
  local login_trial = require "support.login_trial"
  local shell = require("support.process").run
  local trial = login_trial.new { %s = %q, server = require("support.oidc_provider").at(%q) }
  trial.now = %d
  local function doing(line)
    return function()
      local code, output = shell { "sh", "-c", "cd " .. %q .. " && " .. line }
      assert(code == 0, output)
    end
  end
]]

local now

local function script(way, text, path)
  path = path or dir.path
  return process.lua(START:format(way.field, way.code:format(path), server.url, now, path) .. text)
end

local function expect_success(command)
  local code, output = process.run(command)
  assert.equal("", output)
  assert.equal(0, code)
end

local TMPFS = "mount -t tmpfs -o size=64k tokencache "

--- By a process that may write only what is its own.
local UNPRIVILEGED = {
  { name = "a directory that becomes read-only", fail = "chmod 555 .", mend = "chmod 755 ." },
}

--- By a process that may mount.
local MOUNTED = {
  { name = "a disk that gets full", fail = "cat /dev/zero >filler 2>&- || true",
    mend = "rm filler", is_sudden = true },
  { name = "a read-only file system", fail = "mount -o remount,bind,ro .",
    mend = "mount -o remount,bind,rw ." },
}

for _, way in ipairs(ways) do
  describe("a login " .. way.name .. " #c", function()
    before_each(function() now = os.time() end)

    local function survives(fault)
      return ("trial:log_in() trial:survives_failed_save(doing %q, doing %q)")
        :format(fault.fail, fault.mend)
    end

    local function foresees(fault)
      return ("trial:log_in() trial:foresees(doing %q, doing %q)"):format(fault.fail, fault.mend)
    end

    local function is_logged_out_whole(fault)
      return ("trial:log_in() trial:is_logged_out_whole(doing %q, doing %q)")
        :format(fault.fail, fault.mend)
    end

    for _, fault in ipairs(UNPRIVILEGED) do
      it("survives " .. fault.name .. " after the request was sent", function()
        expect_success(process.unprivileged(script(way, survives(fault))))
      end)

      it("is not spent at " .. fault.name, function()
        expect_success(process.unprivileged(script(way, foresees(fault))))
      end)

      it("is logged out whole, or not at all, at " .. fault.name, function()
        expect_success(process.unprivileged(script(way, is_logged_out_whole(fault))))
      end)
    end

    for _, fault in ipairs(MOUNTED) do
      -- what is open for writing keeps a file system from becoming read-only
      local sudden = fault.is_sudden and it or function() end
      sudden("survives " .. fault.name .. " after the request was sent", function()
        if not mounts.are_possible() then return pending(mounts.RIGHT) end
        expect_success(mounts.own(TMPFS .. dir.path, script(way, survives(fault))))
      end)

      it("is not spent at " .. fault.name, function()
        if not mounts.are_possible() then return pending(mounts.RIGHT) end
        expect_success(mounts.own(TMPFS .. dir.path, script(way, foresees(fault))))
      end)

      it("is logged out whole, or not at all, at " .. fault.name, function()
        if not mounts.are_possible() then return pending(mounts.RIGHT) end
        expect_success(mounts.own(TMPFS .. dir.path, script(way, is_logged_out_whole(fault))))
      end)
    end

    --- One process logs in, one meets the fault, one finds it mended.
    local function in_turns(fail, mend, wrap)
      expect_success(script(way, "trial:log_in()"))
      dir:shell(fail)
      expect_success(wrap(script(way, "trial:is_not_spent(function() end)")))
      dir:shell(mend)
      now = now + 3700
      expect_success(script(way, "trial:recovers(function() end)"))
    end

    local function alone(command)
      return command
    end

    it("is not spent in a directory of another owner", function()
      if not process.is_root() then return pending "takes root, to have another's directory" end
      in_turns("chown -R 65534 . && chmod -R a+rX .", "chown -R 0 .", process.unprivileged)
    end)

    it("is not spent where the file is a symbolic link", function()
      in_turns("f=$(ls | head -1) && mkdir real && mv \"$f\" real/ && ln -s \"real/$f\" \"$f\"",
        "f=$(ls real); rm \"$f\"; mv \"real/$f\" .; rmdir real", alone)
    end)

    it("is not spent where another file is mounted over it", function()
      if not mounts.are_possible() then return pending(mounts.RIGHT) end
      in_turns("true", "true", function(command)
        return mounts.own(("f=%s/$(ls %s | head -1) && mount --bind \"$f\" \"$f\"")
          :format(dir.path, dir.path), command)
      end)
    end)

    it("is not spent where the quota is used up", function()
      in_turns("true", "true", function(command)
        return process.behind({ "prlimit", "--fsize=4096" }, command)
      end)
    end)
  end)
end

describe("a login in a cache file whose name is as long as names may be", function()
  it("is not spent: the file that would replace it has no room for its own name", function()
    now = os.time()
    local long = ("n"):rep(240)
    expect_success(script(ways[1], "trial:log_in()"))
    dir:shell("mv token " .. long)
    local way = { field = "cache", code = HANDLER:gsub("/token", "/" .. long) }
    expect_success(script(way, "trial:is_not_spent(function() end)"))
    dir:shell("mv " .. long .. " token")
    now = now + 3700
    expect_success(script(ways[1], "trial:recovers(function() end)"))
  end)
end)
