-- Loads modules, and uses a store of files, while allocations fail; see alloc.c.

-- luacheck: globals directory

local judge = dofile("tests/alloc/judge.lua")

dofile "tests/alloc/luajit.lua"

--- Lua 5.1 and LuaJIT leave a mark where a module failed, and then refuse to load it again.
local function forget_failed_modules()
  for name, value in pairs(package.loaded) do
    if type(value) ~= "table" and type(value) ~= "function" then
      package.loaded[name] = nil
    end
  end
end

--- As far as it goes without a D-Bus session: GLib ends the program where memory runs out.
local function use_keyring()
  local store = require "tokencache.store.secret_service" { lock_directory = directory }
  local bytes, err = store:get("entry")
  if bytes ~= nil or not tostring(err):find("no D-Bus session", 1, true) then
    error(tostring(err), 0)
  end
  local handle, guard = store:try_lock("entry", 10)
  judge.check(handle, guard)
  judge.expect(true, store:unlock(handle))
end

--- Entries that are compared, checked and listed.
local function use()
  local tokencache = require "tokencache"
  tokencache.cache.file { cache_path = directory .. "/cache" }
  tokencache.cache.memory {}
  local make_store = require "tokencache.store.file"
  local store = make_store { directory = directory }
  judge.expect(true, store:set("entry", "old"))
  judge.expect("old", store:can_save("entry", "old"))
  judge.expect(true, store:replace("entry", "old", "new"))
  judge.expect(false, store:replace("entry", "old", "newer"))
  local handle, guard = store:try_lock("entry", 10)
  judge.check(handle, guard)
  judge.expect(true, store:keep_lock(handle, 10))
  judge.expect(true, store:unlock(handle))
  judge.expect(true, store:replace("entry", "new", "newer", nil, handle))
  local keys = judge.check(store:keys("ent"))
  judge.expect(1, #keys)
  judge.expect("entry", keys[1])
  use_keyring()
end

local function verify()
  forget_failed_modules()
  use()
end

return use, verify, "anew" -- what is loaded is not loaded again
