-- A store of files inside nginx: each method is one call of a thread's.

local folder = require "support.folder"
local nginx = require "support.nginx"

local HTTP = [[
  init_by_lua_block {
    local tokencache = require "tokencache"
    store = tokencache.store.file { directory = "$DIRECTORY" }
    path = "$DIRECTORY/token.json"
    one = tokencache.cache.file { cache_path = path }
    answer = require("support.in_nginx").answer
    pool = require "tokencache.nginx.pool"
    local call = pool.call
    calls = 0
    function pool.call(...)
      calls = calls + 1
      return call(...)
    end
  }
]]

local SERVER = [[
  location /save {
    content_by_lua_block {
      local function say(result, err)
        answer(tostring(result) .. " " .. calls)
        calls = 0
        return result, err
      end
      say(store:can_save("ann", nil))
      say(store:replace("ann", nil, "a"))
      say(store:replace("ann", "a", "b"))
      say(store:can_save("ann", "b"))
      local lock = { store:try_lock("ann", 10) }
      calls = 0
      say(store:replace("ann", "b", "c", nil, lock[1]))
      store:unlock(lock[1])
      calls = 0
      say(store:replace("ann", "c", "d", nil, lock[1]))
      local other = { store:try_lock("ann", 10) }
      say(store:replace("ann", "d", "e", nil, lock[1]))
      store:unlock(other[1])
      calls = 0
      say(store:get("ann"))
      local token = '{"access_token":"t"}'
      say(one.store:replace(path, nil, token))
      say(one.store:can_save(path, token))
    }
  }
  location /list {
    content_by_lua_block {
      for i = 1, 450 do
        store:set((i % 9 == 0 and ("long"):rep(100) or "key") .. i, "x")
      end
      calls = 0
      local all, cursor, pages = {}, nil, 0
      repeat
        local keys
        keys, cursor = store:keys("", cursor)
        for _, key in ipairs(keys) do
          all[key] = true
        end
        pages = pages + 1
      until not cursor
      local count = 0
      for _ in pairs(all) do
        count = count + 1
      end
      answer(count .. " " .. pages .. " " .. calls)
    }
  }
]]

describe("in nginx store.file", function()
  local directory, server

  setup(function()
    directory = folder.new()
    server = nginx.start { http = HTTP, server = SERVER, values = { DIRECTORY = directory.path } }
  end)

  teardown(function()
    server:stop()
    directory:remove()
  end)

  it("reads, compares and writes in one call of a thread", function()
    local _, body = server:get "/save"
    assert.equal(table.concat({ "nil 1", "true 1", "true 1", "b 1", "true 1", "true 1",
      "false 3", "d 1", "true 1", '{"access_token":"t"} 1', "" }, "\n"), body)
  end)

  it("lists a page in two calls at most, and reads the directory once", function()
    local _, body = server:get "/list"
    assert.equal("451 3 4\n", body)
  end)
end)
