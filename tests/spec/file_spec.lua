local file = require("tokencache._core").file
local folder = require "support.folder"
local mounts = require "support.mounts"
local process = require "support.process"
local traced = require "support.traced"

local OLD = "the old content"
local NEW = "the new content"

local WRITE = [[
  local path, bytes = ...
  local saved, err = require("tokencache._core").file.write(path, bytes)
  print(saved, err and err.kind, err and err.code, err)
]]

local READ = [[
  local path = ...
  local bytes, err = require("tokencache._core").file.read(path)
  print(bytes, err and err.kind, err and err.code, err)
]]

--- Runs `code` in another process behind a wrapper such as prlimit.
local function run_behind(wrapper, code, ...)
  return process.run(process.behind(wrapper, process.lua(code, ...)))
end

local function run_unprivileged(code, ...)
  return process.run(process.unprivileged(process.lua(code, ...)))
end

describe("a file", function()
  local dir, path

  before_each(function()
    dir = folder.new()
    path = dir:file("token")
  end)

  after_each(function()
    dir:shell("chmod -R u+rwx .")
    dir:remove()
  end)

  --- Checks the result that WRITE or READ printed.
  local function assert_failed(code, words, status, output)
    local prefix = ("nil\tcache\t%s\t%s: "):format(code, path)
    assert.equal(0, status, output)
    assert.equal(prefix, output:sub(1, #prefix), output)
    assert.truthy(output:find(words, 1, true), output)
    assert.truthy(output:find("; ", 1, true), "the message tells no way out: " .. output)
  end

  local function assert_old_content_alone()
    assert.equal(OLD, file.read(path))
    assert.equal("token", dir:names())
  end

  describe("holds", function()
    for _, size in ipairs { 0, 1, 4096, 4097, 2 ^ 20 } do
      it(("%d bytes"):format(size), function()
        local bytes = ("\0\255\n%"):rep(math.ceil(size / 4)):sub(1, size)
        assert.is_true(file.write(path, bytes))
        assert.is_true(file.read(path) == bytes)
        assert.equal("token", dir:names())
      end)
    end

    it("no more than 1 MiB", function()
      file.write(path, OLD)
      local saved, err = file.write(path, ("x"):rep(2 ^ 20 + 1))
      assert.is_nil(saved)
      assert.equal("cache EFBIG", err.kind .. " " .. err.code)
      assert_old_content_alone()
    end)

    it("only what was written last", function()
      file.write(path, ("long"):rep(1000))
      file.write(path, "short")
      assert.equal("short", file.read(path))
    end)
  end)

  it("that is missing is no error", function()
    for _, missing in ipairs { path, dir:file("no/such/directory") } do
      local bytes, err = file.read(missing)
      assert.is_nil(bytes)
      assert.is_nil(err)
    end
    assert.is_true(file.remove(path))
    assert.is_true(file.remove(dir:file("no/such/directory")))
  end)

  it("is removed", function()
    file.write(path, OLD)
    assert.is_true(file.remove(path))
    assert.equal("", dir:names())
  end)

  it("in the working directory needs no slash", function()
    local name = dir.path:match("[^/]+$")
    finally(function() os.remove(name) end)
    assert.is_true(file.write(name, OLD))
    assert.equal(OLD, file.read(name))
    assert.equal(OLD, process.read_file("./" .. name))
    assert.is_true(file.remove(name))
    assert.is_nil((file.read(name)))
  end)

  it("has a path that is text without NUL", function()
    for _, method in ipairs { "read", "write", "remove" } do
      assert.error_matches(function() file[method]("a\0b", "") end, "NUL")
      assert.error_matches(function() file[method]("", "") end, "empty")
      assert.error_matches(function() file[method]() end, "string expected")
    end
  end)

  describe("is private", function()
    for _, mask in ipairs { "000", "077", "777" } do
      it("under umask " .. mask, function()
        local _, output = run_behind({ "sh", "-c", "umask " .. mask .. "; exec \"$@\"", "sh" },
          WRITE, path, OLD)
        assert.equal("true\tnil\tnil\tnil\n", output)
        assert.equal("600", dir:mode("token"))
      end)
    end

    it("from its first byte", function()
      local _, output, calls = traced.run(path, WRITE, OLD)
      assert.equal("true\tnil\tnil\tnil\n", output)
      local created
      for _, call in ipairs(calls) do
        if call:find("O_CREAT", 1, true) then
          assert.is_nil(created, "two files were created")
          created = call
        end
        assert.is_nil(call:find("chmod", 1, true), call)
      end
      for _, part in ipairs { "tmp0", "O_EXCL", "O_NOFOLLOW", "O_CLOEXEC", ", 0600)" } do
        assert.truthy(created:find(part, 1, true), created)
      end
    end)

    it("even where it was not before", function()
      dir:shell("echo >token && chmod 666 token")
      file.write(path, NEW)
      assert.equal("600", dir:mode("token"))
    end)
  end)

  it("is durable: content, then name, then directory", function()
    local _, _, calls = traced.run(path, WRITE, OLD)
    local order = {}
    for _, call in ipairs(calls) do
      order[#order + 1] = call:match("^write") or call:match("^fsync") or call:match("^rename")
    end
    assert.same({ "write", "fsync", "rename", "fsync" }, order)
  end)

  describe("cannot be written", function()
    -- file_check_spec.lua has more, for which the check says the same as the write
    local cases = {
      { "through a dangling link", "rm token; ln -s other token", "ELOOP", "a symbolic link" },
      { "with too long a name", function() path = dir:file(("n"):rep(250)) end, "ENAMETOOLONG",
        "too long" },
    }
    for _, case in ipairs(cases) do
      local name, prepare, code, words = case[1], case[2], case[3], case[4]
      it(name, function()
        file.write(path, OLD)
        if type(prepare) == "string" then dir:shell(prepare) else prepare() end
        local before = dir:shell("find . -ls")
        assert_failed(code, words, process.run(process.lua(WRITE, path, NEW)))
        assert.equal(before, dir:shell("find . -ls"))
      end)
    end

    it("in a read-only directory", function()
      file.write(path, OLD)
      dir:shell("chmod 555 .")
      assert_failed("EACCES", "permission denied in its directory",
        run_unprivileged(WRITE, path, NEW))
      assert_old_content_alone()
    end)

    it("over the limit on file sizes, which kills no process", function()
      file.write(path, OLD)
      assert_failed("EFBIG", "ulimit",
        run_behind({ "prlimit", "--fsize=10" }, WRITE, path, NEW))
      assert_old_content_alone()
    end)

    it("on a full file system", function()
      local code = [[
        local directory = ...
        assert(os.execute("mount -t tmpfs -o size=16k tokencache " .. directory))
        local file = require("tokencache._core").file
        local path = directory .. "/token"
        assert(file.write(path, "the old content"))
        os.execute("cat /dev/zero 2>&- >" .. directory .. "/filler")
        local saved, err = file.write(path, ("x"):rep(5000))
        print(saved, err and err.kind, err and err.code, err)
        assert(file.read(path) == "the old content")
        assert(io.popen("ls -A " .. directory):read("*a") == "filler\ntoken\n")
      ]]
      if not mounts.are_possible() then return pending(mounts.RIGHT) end
      assert_failed("ENOSPC", "no space left",
        process.run(mounts.own("true", process.lua(code, dir.path))))
    end)

    local injected = {
      { "when its temporary file cannot be created", "openat", "EROFS", "read-only", when = 9 },
      { "with a full disk", "write", "ENOSPC", "no space left" },
      { "with the quota used up", "write", "EDQUOT", "quota" },
      { "with the quota used up when it is synced", "fsync", "EDQUOT", "quota" },
      { "with a failing disk", "fsync", "EIO", "input/output error" },
      { "when it cannot be renamed", "renameat", "EPERM", "not permitted" },
      { "with an error that has no words", "fsync", "EUCLEAN", "system error 117",
        code = "errno 117" },
    }
    for _, case in ipairs(injected) do
      it(case[1], function()
        file.write(path, OLD)
        local inject = ("%s:error=%s:when=%d"):format(case[2], case[3], case.when or 1)
        assert_failed(case.code or case[3], case[4], traced.run(path, WRITE, NEW, inject))
        assert_old_content_alone()
      end)
    end

    it("for certain when the directory cannot be synced", function()
      file.write(path, OLD)
      assert_failed("EIO", "input/output error",
        traced.run(path, WRITE, NEW, "fsync:error=EIO:when=2"))
      assert.equal("token", dir:names())
    end)
  end)

  it("is written despite interruptions", function()
    for _, call in ipairs { "openat", "flock", "write", "fsync" } do
      local status, output = traced.run(path, WRITE, NEW, call .. ":error=EINTR:when=1+2")
      assert.equal("true\tnil\tnil\tnil\n", output, call)
      assert.equal(0, status)
    end
    assert.equal(NEW, file.read(path))
    assert.equal("token", dir:names())
  end)

  it("is written where directories cannot be synced, and files not locked", function()
    for _, inject in ipairs { "fsync:error=EINVAL:when=2", "flock:error=EOPNOTSUPP" } do
      local _, output = traced.run(path, WRITE, NEW, inject)
      assert.equal("true\tnil\tnil\tnil\n", output, inject)
      assert.equal("token", dir:names())
    end
  end)

  describe("cannot be read", function()
    it("without permission", function()
      dir:shell("echo secret >token; chmod 000 token")
      assert_failed("EACCES", "permission denied", run_unprivileged(READ, path))
    end)

    it("where a directory is", function()
      dir:shell("mkdir token")
      assert_failed("EISDIR", "a directory", process.run(process.lua(READ, path)))
    end)

    it("where a FIFO is, and that without waiting", function()
      dir:shell("mkfifo token")
      assert_failed("EINVAL", "not a regular file", run_behind({ "timeout", "10" }, READ, path))
    end)

    it("when it has 100 MB, of which none is read", function()
      dir:shell("truncate -s 100M token")
      local status, output, calls = traced.run(path, READ, "")
      assert_failed("EFBIG", "over 1 MiB", status, output)
      assert.truthy(table.concat(calls, "\n"):find("token", 1, true))
      for _, call in ipairs(calls) do
        assert.is_nil(call:find("^read") or call:find("^mmap"), call)
      end
    end)

    it("when the disk fails", function()
      file.write(path, OLD)
      assert_failed("EIO", "input/output", traced.run(path, READ, "", "read:error=EIO"))
    end)
  end)

  it("is read through a symbolic link", function()
    file.write(dir:file("other"), OLD)
    dir:shell("ln -s other token")
    assert.equal(OLD, file.read(path))
  end)

  it("is not removed where it is none", function()
    dir:shell("mkdir token")
    local removed, err = file.remove(path)
    assert.is_nil(removed)
    assert.equal("cache EISDIR", err.kind .. " " .. err.code)
    dir:shell("rmdir token; ln -s other token")
    removed, err = file.remove(path)
    assert.is_nil(removed)
    assert.equal("cache ELOOP", err.kind .. " " .. err.code)
    assert.equal("token", dir:names())
  end)

  describe("has temporary files", function()
    --- A process that holds slots as a living writer does.
    local function start_holder(...)
      local command = {}
      for _, slot in ipairs { ... } do
        for _, word in ipairs { "flock", "-n", path .. ".tokencache-tmp" .. slot } do
          command[#command + 1] = word
        end
      end
      for _, word in ipairs { "sh", "-c", "echo held >\"$READY_FILE\"; exec sleep 60" } do
        command[#command + 1] = word
      end
      return process.start(command, { ready = true })
    end

    it("of dead writers that the next write removes", function()
      dir:shell("for i in 0 1 5 7; do echo secret >token.tokencache-tmp$i; done")
      assert.is_true(file.write(path, NEW))
      assert.equal("token", dir:names())
    end)

    it("of dead writers that removal removes", function()
      dir:shell("echo secret >token.tokencache-tmp2")
      assert.is_true(file.remove(path))
      assert.equal("", dir:names())
    end)

    it("of living writers that nobody touches", function()
      local holder = start_holder(0, 2)
      finally(function() holder:stop() end)
      assert.is_true(file.write(path, NEW))
      assert.is_true(file.remove(path))
      assert.is_true(file.write(path, NEW))
      assert.equal("token token.tokencache-tmp0 token.tokencache-tmp2", dir:names())
    end)

    it("of too many living writers: an error after some seconds", function()
      local holder = start_holder(0, 1, 2, 3, 4, 5, 6, 7)
      finally(function() holder:stop() end)
      file.write(dir:file("other"), OLD)
      local child = process.lua(WRITE, path, NEW)
      local command = { "strace", "-qq", "-o", "/dev/null", "--seccomp-bpf", "-f",
        "-e", "trace=clock_nanosleep", "-e", "inject=clock_nanosleep:retval=0", "-E",
        "LD_PRELOAD=" .. (os.getenv("LD_PRELOAD") or ""), "-E",
        "ASAN_OPTIONS=" .. (os.getenv("ASAN_OPTIONS") or "") .. ":detect_leaks=0" }
      for _, word in ipairs(child) do
        command[#command + 1] = word
      end
      assert_failed("EBUSY", "too many writers", process.run(command))
    end)

    it("that are no links in disguise", function()
      file.write(dir:file("victim"), OLD)
      dir:shell("ln -s victim token.tokencache-tmp0; mkfifo token.tokencache-tmp1")
      assert.is_true(file.write(path, NEW))
      assert.equal(OLD, file.read(dir:file("victim")))
    end)
  end)

  it("has room for many writers at once, who all succeed", function()
    local code = [[
      local path, letter = ...
      local file = require("tokencache._core").file
      for i = 1, 50 do
        assert(file.write(path, letter:rep(1000 + 100 * i)))
      end
    ]]
    local writers = {}
    for i = 1, 12 do
      writers[i] = process.start(process.lua(code, path, string.char(64 + i)))
    end
    finally(function()
      for _, writer in ipairs(writers) do writer:stop() end
    end)
    process.wait_until("the writers to end", function()
      local bytes, err = file.read(path)
      assert.is_nil(err)
      assert.truthy(not bytes or bytes == bytes:sub(1, 1):rep(#bytes) and #bytes >= 1100)
      for _, writer in ipairs(writers) do
        if writer:is_running() then return false end
      end
      return true
    end, 60)
    for _, writer in ipairs(writers) do
      assert.equal("", writer:output())
    end
    assert.equal("token", dir:names())
  end)
end)
