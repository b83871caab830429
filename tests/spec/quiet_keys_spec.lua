local cache_file = require "tokencache.cache.file"
local core = require "tokencache._core"
local crypto = require "tokencache.crypto"
local encrypted = require "tokencache.store.encrypted"
local file = require "tokencache.store.file"
local folder = require "support.folder"
local from_store = require "tokencache.cache.from_store"
local keep_log = require "support.keep_log"
local keys = require "tokencache.key"
local log = require "tokencache.log"
local memory = require "tokencache.store.memory"
local table_store = require "support.table_store"
local tiered = require "tokencache.cache.tiered"

local SESSION = ("5e55"):rep(16)

describe("a key", function()
  local logged

  before_each(function() logged = keep_log() end)
  after_each(function() log.set_logger(nil) end)

  --- All that a handler says about its key: as text, in the log, and where the store fails.
  local function said_of(key)
    local store = table_store()
    local handler = from_store(store, key)
    local said = { tostring(handler), tostring(tiered { front = handler, back = handler }) }
    handler:get_cached_token()
    for entry in pairs { ["{"] = true, ["[]"] = true, ['{"expires_at":"x"}'] = true } do
      function store.get() return entry end
      said[#said + 1] = tostring(select(2, handler:get_cached_token()))
    end
    for _, method in ipairs { "get", "set", "delete" } do
      store[method] = function() return nil, "away" end
    end
    said[#said + 1] = tostring(select(2, handler:get_cached_token()))
    said[#said + 1] = tostring(select(2, handler:save_token_to_cache({ access_token = "t" })))
    said[#said + 1] = tostring(select(2, handler:remove_cached_token()))
    for _, line in ipairs(logged) do
      said[#said + 1] = line
    end
    return said
  end

  --- What key.digest raises.
  local function message_of(secret)
    local ok, message = pcall(function() keys.digest(secret) end)
    assert.is_false(ok)
    return message
  end

  it("is shown as it is where it is a short name", function()
    for _, said in ipairs(said_of "client_credentials") do
      assert.matches("client_credentials", said, 1, true)
    end
    assert.equal("", keys.shown "")
    assert.equal("\195\188", keys.shown "\195\188")
  end)

  it("is shown without the id of a session", function()
    for _, key in ipairs { { "session", SESSION }, "session:" .. SESSION, SESSION,
      { SESSION, "token" }, { "session", "s3cret5e55" }, ("5e55"):rep(6) } do
      for _, said in ipairs(said_of(key)) do
        assert.is_nil(said:find("5e555e555", 1, true))
        assert.is_nil(said:find("s3cret", 1, true))
        assert.matches("#%x%x%x%x%x%x%x%x", said)
      end
    end
  end)

  it("is told from others by its digest, which is the file's and sha256sum's", function()
    assert.equal("session:#478c5d7d", keys.shown "session:17")
    assert.equal("tokencache.cache: token:#" .. keys.sha256("token:a%3ab"):sub(1, 8),
      tostring(from_store(memory(), { "token", "a:b" })))
    assert.not_equal(keys.shown "session:17", keys.shown "session:18")
    assert.equal("5e555e55#" .. keys.sha256(SESSION):sub(1, 8), keys.shown(SESSION))
  end)

  it("forges no line of a log", function()
    for _, key in ipairs { "joe\ntokencache: error: forged", "a\nb", "a\27[2Jb", "a\0b", "a\255b",
      "a\194\155b" } do
      for _, said in ipairs(said_of(key)) do
        assert.is_nil(said:find("%c"))
        assert.equal(core.printable(said), said)
      end
    end
    assert.equal("joe?tokencache:", (keys.shown "joe\ntokencache: error: forged":match("^[^#]*")))
    assert.equal("a?b", keys.shown "a\0b")
    assert.equal("a?b", keys.shown "a\255b")
  end)

  it("is not shown by store.encrypted either", function()
    local inner = memory()
    local store = encrypted(inner, { keys = { a = ("k"):rep(32) }, use = "a" })
    for _, entry in ipairs { "{}", "neither", "tokencache-sealed:1", "tokencache-sealed:1:b:c:d:e",
      "tokencache-sealed:1:a:c:d:e" } do
      inner:set("session:" .. SESSION, entry)
      local _, err = store:get("session:" .. SESSION)
      assert.matches("^session:#%x%x%x%x%x%x%x%x: the .*entry", err.message)
    end
  end)

  it("is shown without a digest where there is no libcrypto", function()
    local sha256 = crypto.sha256
    finally(function() crypto.sha256 = sha256 end)
    crypto.sha256 = function() return nil, "no libcrypto" end
    assert.equal("tokencache.cache: session:#",
      tostring(from_store(memory(), { "session", SESSION })))
    assert.matches("quiet_keys_spec.lua:%d+: key.digest: no libcrypto", message_of("a"))
  end)

  it("is shown as a whole where it is a path, but printable", function()
    local path = "/tmp/a name that is long: " .. ("token"):rep(9) .. "\nb"
    for name, options in pairs {
      [path:gsub("\n", "?")] = { cache_path = path },
      [".cache-joe?b"] = { username = "joe\nb" },
    } do
      local handler = cache_file(options)
      assert.equal("tokencache.cache: " .. name, tostring(handler))
      assert.is_nil((handler:get_cached_token()))
      assert.equal("debug " .. name .. ": no token is cached", logged[#logged])
    end
  end)

  it("may hold the digest of an id in its place", function()
    assert.equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      keys.digest "abc")
    for _, mistake in ipairs { "", 17, false } do
      assert.matches("quiet_keys_spec.lua:%d+: key.digest: a string expected that is not empty",
        message_of(mistake))
    end
    assert.matches("a string expected", message_of())
  end)
end)

describe("store.file", function()
  local dir, store

  before_each(function()
    dir = folder.new()
    store = file { directory = dir.path }
  end)

  after_each(function()
    dir:remove()
  end)

  --- What its methods say where a directory lies at the file's place.
  local function said_of(key)
    store:set(key, "bytes")
    local name = dir:names()
    dir:shell("rm *; mkdir '" .. name .. "'")
    local said = {}
    for _, method in ipairs { "get", "set", "delete" } do
      local result, err = store[method](store, key, "bytes")
      assert.is_nil(result)
      said[#said + 1] = err.message
    end
    dir:shell("rmdir '" .. name .. "'; touch '" .. name .. "'")
    return said
  end

  it("names a file whose name may hold a session's id by a pattern that finds it", function()
    for key, pattern in pairs {
      ["session:" .. SESSION] = "session%3a5e555e55*",
      [SESSION] = "5e555e55*",
      [SESSION .. ":token"] = "5e555e55*",
      ["session:" .. ("Ab"):rep(15)] = "session%3a%41b%41b*",
    } do
      for _, said in ipairs(said_of(key)) do
        assert.equal(dir:file(pattern), said:match("^(.-): "))
      end
      assert.not_equal("", dir:shell("ls -d " .. pattern))
      dir:shell("rm -r *")
    end
  end)

  it("names others as they are", function()
    for key, name in pairs {
      ["spotify"] = "spotify.token",
      ["token:ann"] = "token%3aann.token",
      [("x"):rep(300)] = "sha256=" .. keys.sha256(("x"):rep(300)) .. ".token",
    } do
      for _, said in ipairs(said_of(key)) do
        assert.equal(dir:file(name), (said:match("^(.-): ")))
      end
      dir:shell("rm -r *")
    end
  end)

  it("shows no id where a path is too long to be shown as a whole", function()
    for length = 200, 330 do
      local deep = dir.path .. ("/" .. ("d"):rep(99)):rep(2)
      deep = deep .. "/" .. ("e"):rep(math.max(1, length - #deep))
      local _, err = file({ directory = deep }):set("session:" .. SESSION, "bytes")
      assert.is_nil(err.message:find("5e555e555", 1, true))
    end
  end)
end)
