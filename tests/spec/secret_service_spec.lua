-- The store in a desktop's keyring, by a real bus and a real gnome-keyring.

local fake_endpoint = require "support.fake_endpoint"
local forks = require "support.forks"
local keep_log = require "support.keep_log"
local keyring = require "support.keyring"
local log = require "tokencache.log"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"
local server_loss = require "support.server_loss"
local stampede = require "support.stampede"
local tokencache = require "tokencache"
local unix = require "support.unix"

if not keyring.is_possible() then
  return it("store.secret_service #c", function() pending(keyring.NEED) end)
end

local new_store = tokencache.store.secret_service
local session, store

setup(function() session = keyring.enter() end)
teardown(function() session:stop() end)
before_each(function()
  store = new_store()
  keep_log()
end)
after_each(function() log.set_logger(nil) end)

--- Every method of a store that asks the keyring.
local function each_method(fn)
  fn(store:get "ann")
  fn(store:set("ann", "new"))
  fn(store:delete "ann")
  fn(store:replace("ann", "old", "new"))
  fn(store:can_save("ann", "old"))
  fn(store:keys "")
end

--- Expects that they all fail, with this in the message.
local function fails(text)
  each_method(function(result, err)
    assert.is_nil(result)
    assert.equal("cache", err.kind)
    assert.truthy(err.message:find(text, 1, true), err.message)
  end)
end

describe("store.secret_service #c", function()
  it("keeps items that other programs find", function()
    assert.is_nil((store:get "ann"))
    assert.is_true(store:set("ann", '{"access_token":"a"}'))
    local _, found = process.run(process.lua [[
      print(require("tokencache").store.secret_service():get "ann")]])
    assert.equal('{"access_token":"a"}\n', found)
    local _, secret = session:tool("lookup", "application", "tokencache", "key", "ann")
    assert.equal('{"access_token":"a"}', secret)
    local _, item = session:tool("search", "application", "tokencache")
    assert.matches("label = tokencache: ann\n", item)
    assert.is_true(store:set("ann", "b"))
    assert.is_nil((new_store({ application = "another" }):get "ann"))
    assert.is_true(store:delete "ann")
    assert.is_true(store:delete "ann")
    assert.equal(1, (session:tool("lookup", "application", "tokencache", "key", "ann")))
  end)

  it("takes an item that another program has put there, and leaves it where it is", function()
    local tool = "printf theirs | secret-tool store --label=Theirs --collection=session "
      .. "application tokencache key bob"
    assert.equal(0, (process.run({ "sh", "-c", tool })))
    assert.equal("theirs", store:get "bob")
    assert.is_true(store:replace("bob", "theirs", "ours"))
    assert.equal("ours", store:get "bob")
    local _, item = session:tool("search", "--all", "application", "tokencache")
    assert.matches("^%[[^\n]*\nlabel = Theirs\nsecret = ours\n", item)
    assert.is_true(store:delete "bob")
  end)

  it("keeps any bytes under any key, and lists it", function()
    local keys = { "", " ", "a:b", "a%3ab", "%:", "%:a", "\195\164", "\255", "a\0b", "a\nb",
      ("x"):rep(10000) }
    for i, key in ipairs(keys) do
      assert.is_true(store:set(key, i .. "\0\255\n"))
    end
    for i, key in ipairs(keys) do
      assert.equal(i .. "\0\255\n", store:get(key))
    end
    local listed = store:keys ""
    table.sort(listed)
    table.sort(keys)
    assert.same(keys, listed)
    assert.same({ "a:b" }, (store:keys "a:"))
    for _, key in ipairs(keys) do
      assert.is_true(store:delete(key))
    end
    assert.same({}, (store:keys ""))
  end)

  it("lists what stays while other items come and go", function()
    assert.is_true(store:set("stays", "here"))
    local others = process.start(process.lua [[
      local process = require "support.process"
      local store = require("tokencache").store.secret_service()
      while true do
        for i = 1, 5 do assert(store:set("comes " .. i, "x")) end
        for i = 1, 5 do assert(store:delete("comes " .. i)) end
        process.write_file(os.getenv "READY_FILE", "ready\n")
      end]], { ready = true })
    finally(function() others:stop() end)
    for _ = 1, 20 do
      assert.same({ "stays" }, (store:keys "stays"))
    end
    assert.is_true(others:is_running())
    others:stop()
    for _, key in ipairs(store:keys "") do
      assert.is_true(store:delete(key))
    end
  end)

  it("finds an entry at each moment of its way from one collection to another", function()
    local mover = process.start(process.lua([[
      local process = require "support.process"
      local function tool(command)
        assert(process.run { "sh", "-c", command } == 0, command)
      end
      local function items()
        local _, found = process.run { "dbus-send", "--session", "--print-reply=literal",
          "--dest=org.freedesktop.secrets", "/org/freedesktop/secrets",
          "org.freedesktop.Secret.Service.SearchItems", "dict:string:string:key,moves" }
        return found:gmatch "/org/freedesktop/secrets/collection/[%w_/]+"
      end
      for i = 1, 6 do
        local to = i % 2 == 0 and "session" or "login"
        tool("printf here | secret-tool store --label=Moves --collection=" .. to
          .. " application tokencache key moves")
        for item in items() do
          if not item:find("/" .. to .. "/", 1, true) then
            tool("dbus-send --session --print-reply --dest=org.freedesktop.secrets " .. item
              .. " org.freedesktop.Secret.Item.Delete")
          end
        end
        process.write_file(os.getenv "READY_FILE", "ready\n")
      end]]), { ready = true })
    finally(function() mover:stop() end)
    repeat
      assert.equal("here", store:get "moves")
    until not mover:is_running()
    assert.equal("", mover:output())
    assert.is_true(store:delete "moves")
  end)

  it("says of a locked keyring how to unlock it, and asks nobody", function()
    assert.is_true(store:set("ann", "old"))
    session:lock()
    fails 'the keyring "default" is locked; unlock it'
    local _, err = store:get "nobody" -- no miss
    assert.matches("is locked; unlock it", err.message)
    store = new_store { unlock = true }
    fails "and nobody has unlocked it" -- there is no window here
    session:unlock()
    assert.equal("old", store:get "ann")
    assert.is_true(store:set("new", "in an unlocked keyring"))
    assert.is_true(store:delete "new")
    assert.is_true(store:delete "ann")
  end)

  it("has its user asked where that is wanted, who may take longer than a keyring", function()
    local bare = keyring.start_session()
    finally(function() bare:stop() end)
    bare:add_person(2.5)
    bare:start_daemon()
    local monitor = bare:listen()
    keyring.enter(bare)
    assert.is_true(store:set("ann", "old"))
    bare:lock()
    fails "is locked; unlock it"
    bare:lock() -- the last that the monitor hears of
    local said = process.wait_until("both locks", function()
      return monitor:output():match "member=Lock.*member=Lock"
    end)
    assert.is_nil(said:find("member=Prompt", 1, true))
    assert.equal("old", new_store({ unlock = true, timeout = 2 }):get "ann")
    process.wait_until("the prompt to be heard", function()
      return monitor:output():find("member=Prompt", 1, true)
    end)
    assert.equal("old", store:get "ann")
    bare:lock()
    local bytes, err = require("tokencache._secret_service").get({ application = "tokencache",
      collection = "default", timeout = 5, patience = 0.1 }, "ann")
    assert.is_nil(bytes)
    assert.matches("is locked, and nobody has unlocked it", err.message)
    local function count(member)
      return select(2, monitor:output():gsub("member=" .. member .. "\n", ""))
    end
    process.wait_until("the second prompt", function() return count "Prompt" == 2 end)
    bytes, err = new_store({ unlock = true }):get "ann" -- who left it alone is not asked again
    assert.is_nil(bytes)
    assert.matches("is locked, and nobody has unlocked it", err.message)
    local locks = count "Lock"
    bare:lock()
    process.wait_until("the last lock", function() return count "Lock" > locks end)
    assert.equal(2, count "Prompt")
    bare:unlock()
    assert.equal("old", store:get "ann")
    bare:lock()
    assert.is_nil((require("tokencache._secret_service").get({ application = "tokencache",
      collection = "default", timeout = 5, patience = 0.1 }, "ann")))
    process.wait_until("a prompt after the keyring was unlocked", function()
      return count "Prompt" == 3
    end)
  end)

  it("takes no locked keyring for an account without a login", function()
    local endpoint = fake_endpoint.start()
    finally(function() endpoint:stop() end)
    session:lock()
    local asked = false
    local flow = tokencache.flow.authorization_code {
      provider = { authorize_url = endpoint:url "authorize", token_url = endpoint:url "token" },
      client_id = "id", client_secret = "secret", redirect_uri = "http://127.0.0.1:1/",
      store = store, authorize = function() asked = true end,
    }
    local token, err = flow:account("ann"):get_access_token()
    session:unlock()
    assert.is_nil(token)
    assert.equal("cache", err.kind)
    assert.matches("is locked; unlock it", err.message)
    assert.is_false(asked)
    assert.equal(0, #endpoint:requests())
  end)

  for _, name in ipairs { "daemon", "bus" } do
    it("waits no longer than its timeout for a stopped " .. name, function()
      session[name]:freeze()
      finally(function() session[name]:signal "CONT" end)
      store = new_store { timeout = 0.2 }
      fails "the keyring has not answered within 0.2 seconds; restart"
    end)
  end

  it("loses no token where the keyring dies while it is on its way", function()
    local cache = tokencache.cache.from_store(store, "ours")
    local said = server_loss(session, cache)
    assert.matches("this D%-Bus session has no keyring", said)
    assert.is_true(store:delete "ours")
  end)

  it("does not end with the bus", function()
    local other, client = keyring.start()
    finally(function()
      if client then client:stop() end
      other:stop()
    end)
    local monitor = other:listen()
    other.daemon:freeze()
    client = process.start(process.lua [[
      print(select(2, require("tokencache").store.secret_service({ timeout = 60 }):get "ann"))]],
      { environment = other.environment })
    process.wait_until("a call that is under way", function()
      return monitor:output():find "path=/org/freedesktop/secrets;[^\n]*member=GetAll"
    end)
    other.bus:signal "KILL"
    client:wait()
    assert.matches("^the keyring .+\n$", client:output())
  end)

  it("says where there is no keyring, and no session", function()
    local bare = keyring.start_session()
    finally(function() bare:stop() end)
    keyring.enter(bare)
    fails "this D-Bus session has no keyring (org.freedesktop.secrets); start what offers one"
    unix.setenv("DBUS_SESSION_BUS_ADDRESS", nil)
    unix.setenv("XDG_RUNTIME_DIR", nil)
    fails "there is no D-Bus session, and so no keyring"
    local handle, err = store:try_lock("ann", 10)
    assert.is_nil(handle)
    assert.matches("no place for locks, as XDG_RUNTIME_DIR is not set; set it", err.message)
    assert.is_string((new_store({ lock_directory = bare.directory }):try_lock("ann", 10)))
  end)

  it("is refused to a forked child of a process that has used it", function()
    assert.is_nil((store:get "ann"))
    assert.equal(0, forks.run(function()
      fails "the keyring was used before this process was forked"
      return true
    end))
    assert.is_nil((store:get "ann"))
  end)

  it("has locks that other processes see, each application its own", function()
    local handle = assert(store:try_lock("ann", 10))
    local code = [[
      local store = require("tokencache").store
      for _, name in ipairs { "tokencache", "another" } do
        print((store.secret_service({ application = name }):try_lock("ann", 10) ~= false))
      end]]
    local _, free = process.run(process.lua(code))
    assert.equal("false\ntrue\n", free)
    store:unlock(handle)
    _, free = process.run(process.lua(code))
    assert.equal("true\ntrue\n", free)
  end)

  it("raises at mistakes, and in nginx", function()
    assert.equal("tokencache.store.secret_service: tokencache", tostring(store))
    assert.error_matches(function() new_store { application = "" } end, "application must be")
    assert.error_matches(function() new_store { collection = "\255" } end, "collection must be")
    assert.error_matches(function() new_store { key = "a" } end, "unknown option key")
    local _, said = process.run(process.lua [[
      ngx = { get_phase = function() end }
      package.loaded.ngx = ngx
      print(pcall(require "tokencache.store.secret_service"))]])
    assert.matches("^false\t.*in nginx, keep tokens in Redis", said)
  end)

  it("names libsecret where that is not installed", function()
    local _, said = process.run(process.lua [[
      package.preload["tokencache._secret_service"] = function() error "no such file" end
      print(select(2, require("tokencache").store.secret_service():get "ann").message)]])
    assert.matches("^libsecret cannot be loaded; install it, or build tokencache anew", said)
  end)
end)

--- With GLib's functions at hand, as in a program that has a bus of its own.
if rawget(_G, "jit") then
  describe("store.secret_service in a program that has GLib's bus", function()
    it("leaves it as it was", function()
      local ffi = require "ffi"
      ffi.cdef [[void *g_bus_get_sync(int type, void *cancellable, void *error);
        int g_dbus_connection_get_exit_on_close(void *bus);
        int g_dbus_connection_is_closed(void *bus);
        void g_object_unref(void *object);]]
      local gio = ffi.load "libgio-2.0.so.0"
      local bus = gio.g_bus_get_sync(2, nil, nil) -- of the session
      assert.is_true(bus ~= nil)
      assert.equal(1, gio.g_dbus_connection_get_exit_on_close(bus))
      assert.is_nil((store:get "ann"))
      assert.equal(1, gio.g_dbus_connection_get_exit_on_close(bus))
      assert.equal(0, gio.g_dbus_connection_is_closed(bus))
      gio.g_object_unref(bus)
    end)
  end)
end

describe("over one expired login in a keyring #once", function()
  it("20 processes make one refresh between them", function()
    local server = oidc_provider.start()
    finally(function() server:stop() end)
    local code = [[return require("tokencache").cache.from_store(
      require("tokencache").store.secret_service(), "login")]]
    local compile = loadstring or load -- luacheck: ignore 113
    local report = stampede.rounds(server, { name = "keyring", code = code, new = compile(code) },
      { rounds = 1, processes = 20 })
    assert.same({ ["token " .. report.tokens[1]] = 20 }, report.results[1])
    assert.equal(1, report.refreshes[1])
    assert.equal(1, report.active)
  end)
end)
