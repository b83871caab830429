-- Whether a file could be replaced, told without touching it.

local core = require "tokencache._core"
local file = core.file
local folder = require "support.folder"
local mounts = require "support.mounts"
local process = require "support.process"
local traced = require "support.traced"

local OLD = "the old content"
local SIZE = 20000

local CHECK = [[
  local path = ...
  local can, err = require("tokencache._core").file.can_replace(path, 20000)
  print(can, err and err.kind, err and err.code, err)
]]

local WRITE = [[
  local path = ...
  local saved, err = require("tokencache._core").file.write(path, "new")
  print(saved, err and err.kind, err and err.code, err)
]]

local CAN = "true\tnil\tnil\tnil\n"

describe("a file", function()
  local dir, path

  before_each(function()
    dir = folder.new()
    path = dir:file("token")
    file.write(path, OLD)
  end)

  after_each(function()
    dir:shell("chmod -R u+rwx .")
    dir:remove()
  end)

  local function assert_failed(code, words, status, output)
    local prefix = ("nil\tcache\t%s\t%s: "):format(code, path)
    assert.equal(0, status, output)
    assert.equal(prefix, output:sub(1, #prefix), output)
    assert.truthy(output:find(words, 1, true), output)
    assert.truthy(output:find("; ", 1, true), "the message tells no way out: " .. output)
  end

  it("can be replaced, be it there or not, and nothing is changed by asking", function()
    assert.is_true(file.can_replace(dir:file("new"), SIZE))
    assert.is_true(file.can_replace(dir:file("new"), 0))
    local before = dir:shell("stat -c '%n %i %s %y %z' token")
    assert.is_true(file.can_replace(path, SIZE))
    assert.equal(before, dir:shell("stat -c '%n %i %s %y %z' token"))
    assert.equal("token", dir:names())
    assert.equal(OLD, file.read(path))
  end)

  it("has its room set aside on the disk before it is said that there is some", function()
    local _, output, calls = traced.run(path, CHECK, "")
    assert.equal(CAN, output)
    local order = {}
    for _, call in ipairs(calls) do
      order[#order + 1] = call:match("^fallocate.*, 0, 0, 20000") or call:match("^unlinkat")
    end
    assert.equal(3, #order, table.concat(calls, "\n"))
    assert.equal("unlinkat fallocate unlinkat", (table.concat(order, " "):gsub("%(.-20000", "")))
  end)

  it("is written to where room cannot be set aside", function()
    for _, code in ipairs { "EOPNOTSUPP", "ENOSYS" } do
      local _, output, calls = traced.run(path, CHECK, "", "fallocate:error=" .. code)
      assert.equal(CAN, output)
      local written = 0
      for _, call in ipairs(calls) do
        written = written + tonumber(call:match("^write%(.* = (%d+)$") or 0)
      end
      assert.equal(SIZE, written)
      assert.equal("token", dir:names())
    end
  end)

  it("is asked about despite interruptions", function()
    for _, call in ipairs { "openat", "flock", "fallocate" } do
      local _, output = traced.run(path, CHECK, "", call .. ":error=EINTR:when=1+2")
      assert.equal(CAN, output, call)
    end
    assert.equal("token", dir:names())
  end)

  describe("cannot be replaced", function()
    local cases = {
      { "in a missing directory", "ENOENT", "its directory does not exist; create",
        function() path = dir:file("no/such/token") end },
      { "where a directory is", "EISDIR", "a directory", "rm token; mkdir token" },
      { "through a symbolic link", "ELOOP", "a symbolic link",
        "mv token other; ln -s other token" },
      { "through a dangling symbolic link", "ELOOP", "a symbolic link to what does not exist",
        "rm token; ln -s other token" },
      { "where a FIFO is", "EINVAL", "not a regular file", "rm token; mkfifo token" },
      { "below a file", "ENOTDIR", "not a directory", function() path = dir:file("token/x") end },
      { "under a name that leaves none for the temporary file", "ENAMETOOLONG",
        "too long, as its lock and its temporary files have longer ones; choose one of 239 bytes",
        function() path = dir:file(("n"):rep(240)) end },
      { "under the name of a temporary file", "EINVAL", "temporary",
        function() path = dir:file("token.tokencache-tmp3") end },
    }
    for _, case in ipairs(cases) do
      local name, code, words, prepare = case[1], case[2], case[3], case[4]
      it(name .. ", in the words of a write", function()
        if type(prepare) == "string" then dir:shell(prepare) else prepare() end
        local before = dir:shell("find . -ls")
        local status, output = process.run(process.lua(CHECK, path))
        assert_failed(code, words, status, output)
        assert.same({ status, output }, { process.run(process.lua(WRITE, path)) })
        assert.equal(before, dir:shell("find . -ls"))
      end)
    end

    it("in a read-only directory", function()
      dir:shell("chmod 555 .")
      assert_failed("EACCES", "permission denied in its directory",
        process.run(process.unprivileged(process.lua(CHECK, path))))
    end)

    it("where it is another's, in a directory in which everybody keeps his own", function()
      if not process.is_root() then return pending "takes root, to have another's file" end
      dir:shell("chown 65534 . token; chmod 1777 .; chmod 644 token")
      for _, code in ipairs { CHECK, WRITE } do
        assert_failed("EPERM", "not permitted: the file is another user's",
          process.run(process.unprivileged(process.lua(code, path))))
      end
      assert.equal("token", dir:names())
      assert.equal(CAN, (select(2, process.run(process.lua(CHECK, path)))))
    end)

    --- Runs it, where all names of temporary files are taken: it fails without a pause.
    local function expect_taken(code, wrap)
      local pauses = dir.path .. ".pauses"
      local command = { "strace", "-qq", "-f", "-o", pauses, "-e", "trace=clock_nanosleep", "-E",
        "ASAN_OPTIONS=" .. (os.getenv("ASAN_OPTIONS") or "") .. ":detect_leaks=0" }
      for _, word in ipairs(wrap(process.lua(code, path))) do
        command[#command + 1] = word
      end
      local status, output = process.run(command)
      local paused = process.read_file(pauses)
      os.remove(pauses)
      assert_failed("EEXIST", "are taken by what this user cannot remove", status, output)
      assert.equal("", paused)
    end

    it("where the names of the temporary files are taken, which is no matter of waiting", function()
      dir:shell("for i in 0 1 2 3 4 5 6 7; do mkdir token.tokencache-tmp$i; done")
      for _, code in ipairs { CHECK, WRITE } do
        expect_taken(code, function(lua) return process.behind({}, lua) end)
      end
    end)

    it("where files that another user holds locked have these names, in a directory in which "
      .. "everybody keeps his own", function()
      if not process.is_root() then return pending "takes root, to have another's files" end
      dir:shell("rm token; chmod 1777 .; for i in 0 1 2 3 4 5 6 7; do "
        .. "touch token.tokencache-tmp$i; done; chmod 666 *tmp*; chown 1234 *tmp*")
      expect_taken(WRITE, process.as_user)
      local words = {}
      for i = 0, 7 do
        words[#words + 1] = ("flock -n %s.tokencache-tmp%d"):format(path, i)
      end
      local holder = process.start({ "sh", "-c", table.concat(words, " ")
        .. " sh -c 'echo held >\"$READY_FILE\"; exec sleep 60'" }, { ready = true })
      finally(function() holder:stop() end)
      expect_taken(CHECK, process.as_user)
    end)

    it("where the file system cannot tell that a file is on the disk, and so is known before",
      function()
        for _, code in ipairs { CHECK, WRITE } do
          assert_failed("EOPNOTSUPP", "cannot tell when a file is safely on the disk",
            traced.run(path, code, "", "fsync:error=EOPNOTSUPP:when=1"))
          assert.equal(OLD, file.read(path))
        end
        -- a directory need not be able to
        assert.equal(CAN, (select(2, traced.run(path, CHECK, "", "fsync:error=EOPNOTSUPP:when=2"))))
      end)

    it("over the limit on file sizes, which kills no process", function()
      assert_failed("EFBIG", "ulimit",
        process.run(process.behind({ "prlimit", "--fsize=19999" }, process.lua(CHECK, path))))
      local can, err = file.can_replace(path, 2 ^ 20 + 1)
      assert.is_nil(can)
      assert.equal("cache EFBIG", err.kind .. " " .. err.code)
    end)

    it("on a full file system, until there is room", function()
      local code = [[
        local directory = ...
        assert(os.execute("mount -t tmpfs -o size=64k tokencache " .. directory))
        local file = require("tokencache._core").file
        local path = directory .. "/token"
        assert(file.write(path, "the old content"))
        assert(file.can_replace(path, 20000))
        os.execute("cat /dev/zero 2>&- >" .. directory .. "/filler")
        local can, err = file.can_replace(path, 20000)
        print(can, err and err.kind, err and err.code, err)
        assert(file.read(path) == "the old content")
        assert(io.popen("ls -A " .. directory):read("*a") == "filler\ntoken\n")
        os.remove(directory .. "/filler")
        assert(file.can_replace(path, 20000))
      ]]
      if not mounts.are_possible() then return pending(mounts.RIGHT) end
      assert_failed("ENOSPC", "no space left",
        process.run(mounts.own("true", process.lua(code, dir.path))))
    end)

    --- statx tells since Linux 5.8; before that, the list of mounts does.
    for _, way in ipairs { "", "strace -qqf -o /dev/null -e inject=statx:error=ENOSYS" } do
      it("where another file is mounted" .. (way == "" and "" or ", on an old kernel"),
        function()
          if not mounts.are_possible() then return pending(mounts.RIGHT) end
          path = dir:file("a token\\in")
          file.write(path, OLD)
          file.write(dir:file("other"), OLD)
          local function said_by(code, at)
            local command = process.lua(code, at)
            command.environment.ASAN_OPTIONS = (os.getenv("ASAN_OPTIONS") or "")
              .. ":detect_leaks=0"
            return process.run(mounts.own(("mount --bind '%s' '%s'")
              :format(dir:file("other"), path), command, way))
          end
          for _, code in ipairs { CHECK, WRITE } do
            assert_failed("EBUSY", "a mount point, which cannot be replaced", said_by(code, path))
          end
          for _, name in ipairs { "other", "token", "a token", "a token\\in2", "in" } do
            assert.equal(CAN, (select(2, said_by(CHECK, dir:file(name)))))
          end
        end)
    end

    for _, case in ipairs {
      { "with a full disk", "fallocate", "ENOSPC", "no space left" },
      { "with the quota used up", "fallocate", "EDQUOT", "quota" },
      { "with a read-only file system", "unlinkat", "EROFS", "read-only; mount it for writing" },
      { "with a failing disk", "fsync", "EIO", "input/output" },
    } do
      it(case[1], function()
        assert_failed(case[3], case[4],
          traced.run(path, CHECK, "", ("%s:error=%s:when=1"):format(case[2], case[3])))
        assert.equal("token", dir:names())
      end)
    end
  end)

  it("keeps nothing of a process that was killed while it asked", function()
    local _, output, calls = traced.run(path, CHECK, "")
    assert.equal(CAN, output)
    local seen, leftovers = {}, 0
    for _, call in ipairs(calls) do
      local name = call:match("^[%w_]+")
      seen[name] = (seen[name] or 0) + 1
      assert.equal(128 + 9, (traced.run(path, CHECK, "",
        ("%s:signal=KILL:when=%d"):format(name, seen[name]))), call)
      leftovers = leftovers + (dir:names() == "token" and 0 or 1)
      assert.equal(OLD, file.read(path))
      assert.is_true(file.can_replace(path, SIZE))
      assert.equal("token", dir:names())
    end
    assert.is_true(leftovers > 0)
  end)

  it("is asked about without harm to those who are writing", function()
    local holder = process.start({ "flock", "-n", "--no-fork", path .. ".tokencache-tmp0", "sh",
      "-c", "echo held >\"$READY_FILE\"; exec sleep 60" }, { ready = true })
    finally(function() holder:stop() end)
    assert.is_true(file.can_replace(path, SIZE))
    assert.equal("token token.tokencache-tmp0", dir:names())
  end)

  it("is asked about with a path and a size", function()
    assert.error_matches(function() file.can_replace("a\0b", 1) end, "NUL")
    assert.error_matches(function() file.can_replace(path, -1) end, "negative")
    assert.error_matches(function() file.can_replace(path) end, "number expected")
  end)
end)

describe("a directory", function()
  local dir

  before_each(function() dir = folder.new() end)
  after_each(function() dir:remove() end)

  it("is listed, hidden names too, each followed by a slash", function()
    assert.equal("", file.list(dir.path))
    dir:shell("touch .a 'b c' d; mkdir e")
    local names = {}
    for name in file.list(dir.path):gmatch("([^/]+)/") do names[#names + 1] = name end
    table.sort(names)
    assert.same({ ".a", "b c", "d", "e" }, names)
  end)

  it("is an error where it is none", function()
    dir:shell("touch a")
    for name, code in pairs { missing = "ENOENT", a = "ENOTDIR" } do
      local names, err = file.list(dir:file(name))
      assert.is_nil(names)
      assert.equal("cache " .. code, err.kind .. " " .. err.code)
      assert.equal(dir:file(name) .. ": ", err.message:sub(1, #dir:file(name) + 2))
    end
  end)

  it("has one real path, also while some of it does not exist", function()
    dir:shell("mkdir -p a/b; ln -s a/b link; touch file")
    local real = dir:shell("pwd -P")
    for path, wanted in pairs {
      ["a/b"] = "/a/b", ["a//b/"] = "/a/b", ["link"] = "/a/b", ["link/.."] = "/a", ["."] = "",
      ["a/none"] = "/a/none", ["link/none/more//"] = "/a/b/none/more", ["file/x"] = "/file/x",
    } do
      assert.equal(real .. wanted, file.real_path(dir:file(path)))
    end
    local here = file.real_path(".")
    assert.equal("/", here:sub(1, 1))
    assert.equal(here .. "/lua", file.real_path("lua/"))
    assert.equal(here .. "/no/such", file.real_path("no/such"))
    assert.equal("/", file.real_path("/"))
    assert.equal("/none", file.real_path("/none"))
    local endless = ("x/"):rep(3000)
    assert.equal(endless, file.real_path(endless))
  end)
end)
