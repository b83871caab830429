-- What store.file lists.

local file_store = require "tokencache.store.file"
local folder = require "support.folder"
local keep_log = require "support.keep_log"
local key_names = require "tokencache.key"
local log = require "tokencache.log"
local process = require "support.process"

local LONG = ("long"):rep(100)

local function name_of(key)
  return "sha256=" .. key_names.sha256(key) .. ".token"
end

describe("store.file", function()
  local dir, store

  before_each(function()
    dir = folder.new()
    store = file_store { directory = dir.path }
  end)

  after_each(function()
    log.set_logger(nil)
    dir:remove()
  end)

  --- All keys, sorted; calls `between` before each page but the first.
  local function list(prefix, between)
    local all, cursor, pages = {}, nil, 0
    repeat
      local keys
      keys, cursor = store:keys(prefix, cursor)
      assert.is_table(keys, cursor)
      assert.is_true(#keys <= 200)
      for _, key in ipairs(keys) do all[#all + 1] = key end
      pages = pages + 1
      if cursor and between then between() end
    until not cursor
    table.sort(all)
    return all, pages
  end

  it("lists keys of every kind as they were given", function()
    local keys = { "", ".", "..", "...", "../ann", "/etc/passwd", "a/b", "a\0b", "a\nb", "ann",
      "Ann", "ANN", "%", "%25", "%2e", "ann.token", "ann.token.tokencache-tmp0",
      "ann.token.tokencache-lock", "sha256=", "\255", "\195\164", "tokencache-mark",
      "tokencache-locks:a", LONG, LONG:upper(), ("/"):rep(100), "." .. LONG, ("\0"):rep(300) }
    for byte = 0, 255 do
      keys[#keys + 1] = "byte " .. string.char(byte)
      keys[#keys + 1] = LONG .. string.char(byte)
    end
    for i, key in ipairs(keys) do
      assert.is_true(store:set(key, "value " .. i))
    end
    local listed = list ""
    for i, key in ipairs(keys) do
      assert.equal("value " .. i, (store:get(key)))
    end
    table.sort(keys)
    assert.same(keys, listed)
  end)

  it("lists nothing of an empty directory, and an error of one that is away", function()
    assert.same({ {} }, { store:keys("") })
    local keys, err = file_store({ directory = dir:file("missing") }):keys("")
    assert.is_nil(keys)
    assert.equal("cache ENOENT", err.kind .. " " .. err.code)
    assert.equal(dir:file("missing") .. ": the directory does not exist; create it, or mount what "
      .. "it is on", err.message)
  end)

  it("lists those that begin with a prefix", function()
    for _, key in ipairs { "a", "a:1", "a:2", "ab", "A:1", ".a", "%", "%25", "a:" .. LONG, LONG } do
      store:set(key, "x")
    end
    assert.same({ "a:1", "a:2", "a:" .. LONG }, list "a:")
    assert.same({ "A:1" }, list "A")
    assert.same({ ".a" }, list ".")
    assert.same({ "%", "%25" }, list "%")
    assert.same({ "%25" }, list "%25")
    assert.same({ LONG }, list(LONG:sub(1, 300)))
    assert.same({}, list(LONG .. "more"))
    assert.same({}, list "sha256=")
  end)

  it("lists neither locks, marks, temporary files, nor what is not its own", function()
    store:set("ann", "x")
    for _, prefix in ipairs { "tokencache-mark:", "tokencache-lock:" } do
      store:set(prefix .. "ann", "x")
      store:set(prefix .. LONG, "x")
    end
    local handle = store:try_lock("bob", 10)
    dir:shell("touch ann.token.tokencache-tmp0 token Eve.token %2E.token %6a.token 'a b.token' "
      .. ("x"):rep(240) .. ".token sha256=1.token '" .. name_of "eve" .. "'")
    process.write_file(dir:file(name_of "joe"), "tokencache-key: eve\nx") -- moved there
    process.write_file(dir:file(name_of "jo"), "tokencache-key: jo\nx") -- not a long key
    assert.same({ "ann" }, list "")
    assert.same({}, list "tokencache-")
    store:unlock(handle)
  end)

  it("lists each once, in pages, however many there are and however many come and go", function()
    local stays, count = {}, 1200
    for i = 1, count do
      local key = (i % 3 == 0 and LONG or "key:") .. i
      if i % 4 ~= 0 then stays[#stays + 1] = key end
      process.write_file(dir:file(i % 3 == 0 and name_of(key) or "key%3a" .. i .. ".token"),
        i % 3 == 0 and "tokencache-key: " .. key .. "\nx" or "x")
    end
    local all, pages = list ""
    assert.equal(count, #all)
    assert.equal(6, pages)
    local next_gone, next_new = 4, 1
    all = list("", function()
      for _ = 1, 60 do
        store:delete((next_gone % 3 == 0 and LONG or "key:") .. next_gone)
        store:set("new:" .. next_new, "x")
        store:set("new:" .. LONG .. next_new, "x")
        next_gone, next_new = next_gone + 4, next_new + 1
      end
    end)
    local seen = {}
    for _, key in ipairs(all) do
      assert.is_nil(seen[key], key)
      seen[key] = true
    end
    for _, key in ipairs(stays) do
      assert.is_true(seen[key], key)
    end
  end)

  it("goes on from a cursor as often as it is asked", function()
    for i = 1, 250 do store:set("key" .. i, "x") end
    local _, cursor = store:keys("")
    local keys = store:keys("", cursor)
    assert.equal(50, #keys)
    assert.same({ keys }, { store:keys("", cursor) })
  end)

  it("tells entry, lock and mark of a long key from those of a key like its digest", function()
    local digest = key_names.sha256(LONG)
    local like = { digest, "sha256=" .. digest, "tokencache-key: " .. LONG }
    store:set(LONG, "x")
    assert.is_true(store:set(store:mark_key(LONG), "17", 86400))
    local handle, guard = store:try_lock(LONG, 10)
    for _, key in ipairs(like) do
      assert.is_nil((store:get(key)))
      assert.is_nil((store:get(store:mark_key(key))))
      store:unlock((assert(store:try_lock(key, 10))))
    end
    assert.equal("17", store:get(store:mark_key(LONG)))
    assert.is_false((store:try_lock(LONG, 10)))
    store:unlock(handle, guard)
  end)

  it("keeps a long key in its file, and reads files without it", function()
    process.write_file(dir:file(name_of(LONG)), "old")
    assert.equal("old", store:get(LONG))
    assert.same({}, list "")
    assert.equal("old", store:can_save(LONG, "old"))
    assert.is_true(store:replace(LONG, "old", "a\nb\0"))
    assert.equal("tokencache-key: " .. LONG .. "\na\nb\0",
      process.read_file(dir:file(name_of(LONG))))
    assert.equal("a\nb\0", store:get(LONG))
    assert.same({ LONG }, list "")
    store:set(LONG, "tokencache-key: " .. LONG .. "\nc")
    assert.equal("tokencache-key: " .. LONG .. "\nc", store:get(LONG))
    store:set(LONG, "")
    assert.equal("", store:get(LONG))
  end)

  it("names a file that could not be read, and lists the others", function()
    local logged = keep_log()
    store:set("ann", "x")
    dir:shell("mkdir '" .. name_of(LONG) .. "'")
    assert.same({ "ann" }, list "")
    assert.equal(1, #logged)
    assert.truthy(logged[1]:find("warning store.file: a key is left out of the list: "
      .. dir:file(name_of(LONG)) .. ": a directory", 1, true), logged[1])
  end)

  it("is known by its directory, however that is spelled", function()
    dir:shell("mkdir a; ln -s a b")
    local identity = file_store({ directory = dir:file("a") }).identity
    assert.equal("file:" .. dir:shell("pwd -P") .. "/a", identity)
    for _, spelling in ipairs { "a/", "b", "b/../a/." } do
      assert.equal(identity, file_store({ directory = dir:file(spelling) }).identity)
    end
    assert.not_equal(identity, store.identity)
  end)
end)
