local file = require "tokencache.store.file"
local folder = require "support.folder"
local process = require "support.process"

describe("store.file", function()
  local dir, store

  before_each(function()
    dir = folder.new()
    store = file { directory = dir.path }
  end)

  after_each(function()
    dir:remove()
  end)

  it("keeps a private file for each key", function()
    assert.is_nil((store:get("ann")))
    assert.is_true(store:set("ann", "a\0b", 10))
    assert.is_true(store:set("bob", "c"))
    assert.equal("a\0b", store:get("ann"))
    assert.equal("ann.token bob.token", dir:names())
    assert.equal("600", dir:mode("ann.token"))
    assert.equal("a\0b", file({ directory = dir.path .. "/" }):get("ann"))
    assert.is_true(store:delete("ann"))
    assert.is_true(store:delete("ann"))
    assert.is_nil((store:get("ann")))
    assert.equal("bob.token", dir:names())
  end)

  it("makes a name of its own out of every key, inside the directory", function()
    local long = ("x"):rep(300)
    local keys = {
      "token:ann", "token%3aann", ".", "..", "...", "../ann", "/etc/passwd", "a/b", "a\0b", "a\nb",
      " ", "", "ann", "Ann", "ANN", "%", "%25", "ann.token", "ann.token.tokencache-tmp0",
      "ann.token.tokencache-lock", "-rf", "~", "*", "\255", "\195\164", "a\204\136", "sha256=",
      long, long .. "y", long:upper(), ("/"):rep(100), ("%2f"):rep(100),
    }
    for byte = 0, 255 do
      keys[#keys + 1] = "byte " .. string.char(byte)
    end
    for i, key in ipairs(keys) do
      assert.is_true(store:set(key, "value " .. i))
    end
    for i, key in ipairs(keys) do
      assert.equal("value " .. i, (store:get(key)))
    end
    local seen, count = {}, 0
    for name in dir:shell("find . -mindepth 1 -printf '%P\\n'"):gmatch("[^\n]+") do
      assert.matches("^[a-z0-9._%%=-]*%.token$", name)
      assert.is_true(#name <= 255 - 32)
      assert.is_nil(seen[name:lower()])
      seen[name:lower()] = true
      count = count + 1
    end
    assert.equal(#keys, count)
    for _, key in ipairs(keys) do
      assert.is_true(store:delete(key))
    end
    assert.equal("", dir:names())
  end)

  it("tells a failure from a miss, with the path", function()
    dir:shell("mkdir ann.token")
    for _, method in ipairs { "get", "set", "delete" } do
      local result, err = store[method](store, "ann", "bytes")
      assert.is_nil(result)
      assert.equal("cache EISDIR", err.kind .. " " .. err.code)
      assert.truthy(err.message:find(dir:file("ann.token"), 1, true))
    end
    local result, err = file({ directory = dir:file("missing") }):set("ann", "bytes")
    assert.is_nil(result)
    assert.matches("missing/ann.token: its directory does not exist; create", err.message)
  end)

  it("does not take a directory that is away for an empty one", function()
    for _, directory in ipairs { dir:file("missing"), dir:file("missing") .. "/" } do
      local away = file { directory = directory }
      local bytes, err = away:get("ann")
      assert.is_nil(bytes)
      assert.equal("cache ENOENT", err.kind .. " " .. err.code)
      assert.equal(directory .. ": the directory does not exist; create it, or mount what it is on",
        err.message)
      dir:shell("mkdir missing")
      assert.same({}, { away:get("ann") })
      dir:shell("rmdir missing")
    end
  end)

  it("does not write through a link", function()
    dir:shell("echo precious >target; ln -s target ann.token")
    local result, err = store:set("ann", "bytes")
    assert.is_nil(result)
    assert.equal("cache", err.kind)
    assert.equal("precious", dir:shell("cat target"))
  end)

  it("shows its directory, and raises at mistakes", function()
    assert.equal("tokencache.store.file: " .. dir.path, tostring(store))
    assert.error_matches(function() file {} end, "store.file: directory is required")
    assert.error_matches(function() file { directory = "" } end, "directory is empty")
    assert.error_matches(function() file { directory = "a\0" } end, "directory holds a NUL byte")
    assert.error_matches(function() file { path = "a" } end, "unknown option path")
  end)

  it("has one file for all locks, and yet a lock for each key", function()
    local held = {}
    for i = 1, 200 do
      held[i] = { store:try_lock("key " .. i .. ("x"):rep(i % 2 * 300), 10) }
      assert.is_string(held[i][1])
    end
    assert.equal(".tokencache-lock", dir:names())
    local code = [[
      local store, said = require("tokencache.store.file") { directory = ... }, {}
      for i = 1, 201 do
        local handle = store:try_lock("key " .. i .. ("x"):rep(i % 2 * 300), 10)
        said[i] = handle and "+" or "-"
      end
      print(table.concat(said))]]
    local _, output = process.run(process.lua(code, dir.path))
    assert.equal(("-"):rep(200) .. "+\n", output)
    for i = 1, 200, 2 do store:unlock(held[i][1]) end
    _, output = process.run(process.lua(code, dir.path))
    assert.equal(("+-"):rep(100) .. "+\n", output)
    assert.same({}, (store:keys("")))
    assert.equal(".tokencache-lock", dir:names())
  end)
end)
