local cache_failure = require "support.cache_failure"
local redis_server = require "support.redis_server"
local store_over = require "tokencache.store.redis_base"
local tokencache = require "tokencache"

describe("store.redis lists", function()
  local server, one

  setup(function() server = redis_server.start() end)
  teardown(function() server:stop() end)
  before_each(function()
    server:cli("FLUSHALL")
    one = tokencache.store.redis { port = server.port }
  end)

  --- All keys, sorted, and how many pages it took; `between` runs after each page.
  local function list(prefix, between)
    local all, pages, cursor = {}, 0, nil
    repeat
      local keys
      keys, cursor = one:keys(prefix, cursor)
      assert(keys, cursor)
      assert.is_true(#keys <= 1000)
      for _, key in ipairs(keys) do
        all[#all + 1] = key
      end
      pages = pages + 1
      if between then
        between(pages)
      end
    until not cursor
    table.sort(all)
    return all, pages
  end

  local function fill(count)
    server:cli("EVAL", "for i = 1, ARGV[1] do redis.call('SET', 'k:' .. i, '') end", 0, count)
  end

  local function expect_each_once(count, all)
    local wanted = {}
    for i = 1, count do
      wanted[i] = "k:" .. i
    end
    table.sort(wanted)
    assert.same(wanted, all)
  end

  it("nothing where nothing is", function()
    assert.same({ {} }, { one:keys "" })
  end)

  it("the keys that begin with a prefix, whatever is in it", function()
    local odd = { "a*", "a*b", "a?c", "a[bc]", "a\\d", "a^e", "a]f", "a-g", "ab", "a\0b\r\n",
      "a\0b\n5:x", "\255", "12:", "B" }
    for _, key in ipairs(odd) do
      assert.is_true(one:set(key, "v"))
    end
    table.sort(odd)
    assert.same(odd, (list ""))
    for _, key in ipairs(odd) do
      local wanted = {}
      for _, other in ipairs(odd) do
        if other:sub(1, #key) == key then
          wanted[#wanted + 1] = other
        end
      end
      assert.same(wanted, (list(key)))
    end
    assert.same({}, (list "nothing"))
  end)

  it("neither locks nor marks, nor what is no entry", function()
    one:set("k", "v")
    assert(one:try_lock("k", 10))
    one:set("tokencache-mark:k", "m")
    server:cli("LPUSH", "list", "x")
    server:cli("HSET", "hash", "a", "b")
    assert.same({ "k" }, (list ""))
    assert.same({}, (list "tokencache-"))
    assert.same({}, (list "list"))
  end)

  it("many in pages, each once", function()
    fill(3000)
    local all, pages = list "k:"
    expect_each_once(3000, all)
    assert.is_true(pages > 5)
    assert.is_true((select(2, list "nobody")) > 5) -- it looks at a few for each
  end)

  it("each once where SCAN repeats itself, as it may", function()
    local pages = { ["0"] = "2:171:a1:b", ["17"] = "1:51:b", ["5"] = "1:01:a1:c" }
    one = store_over({ place = "here" }, function(_, _, _, _, cursor) return pages[cursor] end)
    local all, count = list ""
    assert.same({ { "a", "b", "c" }, 3 }, { all, count })
  end)

  it("each once, also while the server's table grows and shrinks", function()
    fill(3000)
    local all = list("", function(page)
      if page == 3 then
        server:cli("EVAL",
          "for i = 1, 20000 do redis.call('SET', 'grow' .. i, '') end", 0)
      elseif page == 6 then
        server:cli("EVAL", "for i = 1, 20000 do redis.call('DEL', 'grow' .. i) end", 0)
      end
    end)
    local ours = {}
    for _, key in ipairs(all) do
      if key:find "^k:" then
        ours[#ours + 1] = key
      end
    end
    expect_each_once(3000, ours)
  end)

  it("only the keys of its database", function()
    tokencache.store.redis({ port = server.port, db = 2 }):set("elsewhere", "v")
    assert.same({}, (list ""))
  end)

  it("nothing without the right to, and says what is missing", function()
    server:cli("ACL", "SETUSER", "narrow", "on", ">word-1234", "~*", "+get", "+set", "+eval")
    local narrow = tokencache.store.redis { port = server.port, username = "narrow",
      password = "word-1234" }
    narrow:set("k", "v")
    for _, missing in ipairs { "+scan", "+type" } do
      local keys, err = narrow:keys ""
      cache_failure("NOPERM", keys, err)
      assert.truthy(tostring(err):find("to list keys SCAN and TYPE", 1, true), tostring(err))
      server:cli("ACL", "SETUSER", "narrow", missing)
    end
    assert.same({ { "k" } }, { narrow:keys "" })
  end)

  it("nothing, and says why, where the server is away", function()
    fill(3000)
    local _, cursor = one:keys ""
    server:kill()
    local keys, err = one:keys("", cursor)
    cache_failure("CONNECT", keys, err)
    server:restart()
    fill(3000)
    assert.is_table((one:keys("", cursor)))
  end)
end)
