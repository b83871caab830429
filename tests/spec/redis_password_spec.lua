-- A password of Redis that changes.

local expect = require "support.cache_failure"
local folder = require "support.folder"
local process = require "support.process"
local redis_server = require "support.redis_server"
local tokencache = require "tokencache"

describe("store.redis, whose password changes,", function()
  local server, directory, path

  setup(function()
    server, directory = redis_server.start { "--requirepass", "first-word" }, folder.new()
    path = directory:file "password"
  end)

  teardown(function()
    server:stop()
    directory:remove()
  end)

  --- From now on it is this one, and all connections are lost.
  local function change(word)
    server:cli("CONFIG", "SET", "requirepass", word)
    server.password = word
    server:cli("CLIENT", "KILL", "TYPE", "normal")
  end

  before_each(function()
    server.password = server.password or "first-word"
    change "first-word"
  end)

  local function store(password)
    return tokencache.store.redis { port = server.port, password = password }
  end

  it("reads its file anew for each connection", function()
    local one = store { file = path }
    for _, word in ipairs { "second-word", "third-word" } do
      process.write_file(path, word .. "\n")
      change(word)
      assert.is_true(one:set("k", word))
      assert.equal(word, one:get "k")
    end
  end)

  it("asks its function for each connection, and once more where that was refused", function()
    local now, kept, asked = "first-word", nil, {}
    local one = store(function(is_refused)
      asked[#asked + 1] = is_refused
      kept = (is_refused or not kept) and now or kept -- as who keeps what is costly to get
      return kept
    end)
    assert.is_true(one:set("k", "v"))
    assert.equal("v", one:get "k")
    assert.same({ false }, asked)
    now = "second-word"
    change(now)
    assert.equal("v", one:get "k")
    assert.same({ false, false, true }, asked)
  end)

  it("shows the way out where it stays wrong, and not the word", function()
    local asked = 0
    local one = store(function()
      asked = asked + 1
      return "wrong-word"
    end)
    for i = 1, 2 do
      local message = expect("WRONGPASS", one:get "k")
      assert.truthy(message:find("check username= and password=", 1, true), message)
      assert.is_nil(message:find("wrong-word", 1, true), message)
      assert.equal(2 * i, asked)
    end
  end)

  it("says why there is none", function()
    local function problem(password)
      local bytes, err = store(password):get "k"
      assert.is_nil(bytes)
      assert.equal("cache", err.kind)
      return tostring(err):match "Redis: no password: (.*)"
    end
    assert.equal("/nowhere/word: No such file or directory"
      .. "; check the path, and that this user may read it", problem { file = "/nowhere/word" })
    assert.truthy(problem({ file = directory.path }):find("Is a directory", 1, true))
    assert.equal("the vault is closed", problem(function() return nil, "the vault is closed" end))
    assert.equal("its function must return a string, not a table",
      problem(function() return {} end))
    assert.error_matches(function() store(function() error "a mistake" end):get "k" end,
      "a mistake")
  end)
end)
