-- Saving over what was read and nothing else, in both stores of files.

local cache_file = require "tokencache.cache.file"
local core = require "tokencache._core"
local file_store = require "tokencache.store.file"
local folder = require "support.folder"
local process = require "support.process"

local A, B, C = '{"access_token":"a"}', '{"access_token":"b"}', '{"access_token":"c"}'

--- What makes each store and key, and the files' names in order.
local kinds = {
  ["store.file"] = function(dir)
    return file_store { directory = dir.path }, "ann", "ann.token"
  end,
  ["store.file, with a long key,"] = function(dir)
    local key = ("A long key, "):rep(50)
    local name = "sha256=" .. require("tokencache.key").sha256(key) .. ".token"
    return file_store { directory = dir.path }, key, name
  end,
  ["cache.file"] = function(dir)
    local path = dir:file("token.json")
    return cache_file({ cache_path = path }).store, path, "token.json"
  end,
}

--- Keeps the lock of a key.
local HOLD = [[
  local directory, key = ...
  local store = directory ~= "" and require("tokencache.store.file") { directory = directory }
    or require("tokencache.cache.file")({ cache_path = key }).store
  local lock = { store:try_lock(key, 10) }
  local ready = io.open(os.getenv "READY_FILE", "w")
  ready:write(tostring(lock[1]), "\n")
  ready:close()
  require("tokencache._core").sleep(60)]]

for kind, make in pairs(kinds) do
  describe(kind, function()
    local dir, store, key, name

    before_each(function()
      dir = folder.new()
      store, key, name = make(dir)
    end)

    after_each(function()
      dir:shell("chmod -R u+rwx .")
      dir:remove()
    end)

    local function assert_cache_error(code, result, err)
      assert.is_nil(result)
      assert.equal("cache " .. tostring(code), err.kind .. " " .. tostring(err.code))
    end

    it("replaces what was read", function()
      assert.is_true(store:set(key, A))
      assert.is_true(store:replace(key, A, B, 10))
      assert.equal(B, store:get(key))
      assert.equal("600", dir:mode("'" .. name .. "'"))
      assert.equal(name, dir:names())
    end)

    it("removes what was read", function()
      store:set(key, A)
      assert.is_true(store:replace(key, A, nil))
      assert.is_nil((store:get(key)))
      assert.equal("", dir:names())
      assert.same({ false }, { store:replace(key, A, nil) })
    end)

    it("leaves alone what is newer, or gone", function()
      store:set(key, B)
      assert.same({ false }, { store:replace(key, A, C) })
      assert.same({ false }, { store:replace(key, nil, C) })
      assert.same({ false }, { store:replace(key, A, nil) })
      assert.same({ false }, { store:replace(key, B .. " ", C) })
      assert.same({ false }, { store:replace(key, B:sub(1, -2), C) })
      assert.same({ false }, { store:can_save(key, A) })
      assert.same({ false }, { store:can_save(key, nil) })
      assert.equal(B, store:get(key))
      store:delete(key)
      assert.same({ false }, { store:replace(key, B, C) })
      assert.same({ false }, { store:can_save(key, B) })
      assert.is_nil((store:get(key)))
      assert.equal("", dir:names())
    end)

    it("saves where nothing is", function()
      assert.same({}, { store:can_save(key, nil) })
      assert.equal("", dir:names())
      assert.is_true(store:replace(key, nil, A))
      assert.equal(A, store:get(key))
    end)

    it("can save over what was read, and does not touch it", function()
      store:set(key, A)
      local before = dir:shell("stat -c '%n %i %s %y %z' *")
      assert.equal(A, store:can_save(key, A, 10))
      assert.equal(before, dir:shell("stat -c '%n %i %s %y %z' *"))
    end)

    it("saves under its lock, and under one that has ended", function()
      store:set(key, A)
      local lock = { store:try_lock(key, 10) }
      assert.equal(A, store:can_save(key, A, nil, lock[1]))
      assert.is_true(store:replace(key, A, B, nil, lock[1]))
      assert.same({ false }, { store:try_lock(key, 10) })
      store:unlock(lock[1])
      assert.equal(B, store:can_save(key, B, nil, lock[1]))
      assert.is_true(store:replace(key, B, C, nil, lock[1]))
      assert.is_true(store:replace(key, C, nil, nil, lock[1]))
      local again = { store:try_lock(key, 10) }
      assert.is_string(again[1], "the lock was not given back")
      store:unlock(again[1])
    end)

    it("saves nothing where another has taken the lock since", function()
      store:set(key, A)
      local lock = { store:try_lock(key, 10) }
      store:unlock(lock[1])
      local other = { store:try_lock(key, 10) }
      assert.same({ false }, { store:can_save(key, A, nil, lock[1]) })
      assert.same({ false }, { store:replace(key, A, B, nil, lock[1]) })
      assert.same({ false }, { store:replace(key, A, nil, nil, lock[1]) })
      assert.equal(A, store:get(key))
      assert.is_true(store:replace(key, A, B, nil, other[1]))
      assert.is_true(store:replace(key, B, C)) -- asks for no lock
      store:unlock(other[1])
    end)

    it("does not count on a lock whose file somebody has removed", function()
      store:set(key, A)
      local lock = { store:try_lock(key, 10) }
      dir:shell("rm -f *.tokencache-lock .tokencache-lock")
      assert.is_false(core.file.holds_lock(lock[1]))
      local other = { store:try_lock(key, 10) }
      assert.same({ false }, { store:replace(key, A, B, nil, lock[1]) })
      store:unlock(other[1])
      assert.is_true(store:replace(key, A, B, nil, lock[1]))
      store:unlock(lock[1])
    end)

    it("saves nothing where another process has taken the lock since", function()
      store:set(key, A)
      local lock = { store:try_lock(key, 10) }
      store:unlock(lock[1])
      local holder = process.start(process.lua(HOLD, store.directory or "", key), { ready = true,
        environment = { LD_PRELOAD = os.getenv "LD_PRELOAD" } })
      finally(function() holder:stop() end)
      assert.same({ false }, { store:replace(key, A, B, nil, lock[1]) })
      assert.same({ false }, { store:can_save(key, A, nil, lock[1]) })
      holder:stop()
      assert.is_true(store:replace(key, A, B, nil, lock[1]))
    end)

    it("tells what would fail before it does, and what fails", function()
      store:set(key, A)
      dir:shell(("mv '%s' other; ln -s other '%s'"):format(name, name))
      assert.equal(A, store:get(key))
      assert_cache_error("ELOOP", store:can_save(key, A))
      assert_cache_error("ELOOP", store:replace(key, A, B))
      assert.equal(A, store:get(key))
      dir:shell(("rm '%s'; mkdir '%s'"):format(name, name))
      assert_cache_error("EISDIR", store:can_save(key, A))
      assert_cache_error("EISDIR", store:replace(key, A, B))
    end)

    it("does not take a directory that is away for another's word", function()
      store:set(key, A)
      dir:shell("cd .. && mv " .. dir.path .. " " .. dir.path .. ".away")
      finally(function() os.execute("mv " .. dir.path .. ".away " .. dir.path) end)
      assert_cache_error("ENOENT", store:can_save(key, A))
      assert_cache_error("ENOENT", store:replace(key, A, B))
      assert_cache_error("ENOENT", store:can_save(key, nil))
      assert_cache_error("ENOENT", store:replace(key, nil, B))
    end)

    it("keeps a mark of its own for each key", function()
      local mark = store.mark_key and store:mark_key(key) or "tokencache-mark:" .. key
      assert.is_true(store:set(mark, "17", 86400))
      assert.equal("17", store:get(mark))
      assert.is_nil((store:get(key)))
      assert.is_true(store:set(mark, "18", 86400))
      assert.is_true(store:delete(mark))
      assert.same({}, { store:get(mark) })
      assert.equal("", dir:names())
    end)
  end)
end

describe("cache.file", function()
  local dir, path, store

  before_each(function()
    dir = folder.new()
    path = dir:file("token.json")
    store = cache_file({ cache_path = path }).store
  end)

  after_each(function()
    dir:remove()
  end)

  it("replaces no file that holds something else", function()
    for _, text in ipairs { [[{"database": "prod"}]], "return 1\n" } do
      process.write_file(path, text)
      for _, method in ipairs { "replace", "can_save" } do
        local result, err = store[method](store, path, text, A)
        assert.is_nil(result)
        assert.equal("cache", err.kind)
        assert.truthy(err.message:find("holds something other than a token", 1, true))
        assert.is_false((store[method](store, path, A, B)))
        assert.is_false((store[method](store, path, nil, B)))
      end
      assert.equal(text, process.read_file(path))
    end
  end)

  it("knows one file by one name", function()
    dir:shell("mkdir a; ln -s a b")
    local real = dir:shell("pwd -P")
    for _, spelling in ipairs { "a/token", "a/../b/token", "b//token", "./a/token" } do
      assert.equal(real .. "/a/token", store:identity_key(dir:file(spelling)))
    end
    assert.equal(real .. "/none/token", store:identity_key(dir:file("none/token")))
    assert.equal(core.file.real_path(".") .. "/.cache", store:identity_key(".cache"))
    assert.equal("/token", store:identity_key("/token"))
    assert.equal("path", store.identity)
    assert.equal(store, cache_file({}).store)
  end)

  it("keeps no token where marks are", function()
    assert.error_matches(function() cache_file { cache_path = "a.tokencache-mark" } end,
      "cache_path ends in .tokencache%-mark")
    assert.equal(path .. ".tokencache-mark", store:mark_key(path))
  end)
end)
