-- Servers that were started in ways in which not all of memcached is there.

local expect = require "support.cache_failure"
local keep_log = require "support.keep_log"
local log = require "tokencache.log"
local loopback = require "support.loopback"
local memcached_server = require "support.memcached_server"
local process = require "support.process"
local tokencache = require "tokencache"

before_each(function() keep_log() end)
after_each(function() log.set_logger() end)

local PROTOCOLS = { text = "", binary = "--BINARY-PROTOCOL" }

local function store(address, options, timeout)
  return tokencache.store.memcached { servers = { address }, options = options, timeout = timeout }
end

--- All calls fail, by messages that name what is to be changed.
local function expect_all(one, what)
  for _, result in ipairs {
    { one:get "k" }, { one:set("k", "v") }, { one:delete "k" }, { one:try_lock("k", 10) },
    { one:replace("k", nil, "v") }, { one:can_save("k", "v") },
  } do
    assert.is_nil(result[1])
    assert.equal("cache", result[2].kind)
    assert.truthy(tostring(result[2]):find(what, 1, true), tostring(result[2]))
  end
end

for protocol, options in pairs(PROTOCOLS) do
  it("without versions (-C) a lock is not taken, nor left behind: " .. protocol,
    function()
      local server = memcached_server.start { "-C" }
      finally(function() server:stop() end)
      local one = store(server.address, options)
      for _ = 1, 2 do
        local message = expect(nil, one:try_lock("k", 10))
        assert.truthy(message:find("start memcached without -C", 1, true), message)
      end
      assert.truthy(server:ask("stats"):find("curr_items 0", 1, true))
    end)
end

it("without versions a login is not renewed, and a client's own token is", function()
  local server = memcached_server.start { "-C" }
  finally(function() server:stop() end)
  local sent = 0
  local function ask(constructor, token)
    local cache = tokencache.cache.memcached { servers = { server.address }, key = constructor }
    assert(cache:save_token_to_cache(token))
    return tokencache.flow[constructor] {
      provider = { token_url = "https://a.example/t", authorize_url = "https://a.example/a" },
      client_id = "c", client_secret = "s", cache = cache,
      redirect_uri = constructor ~= "client_credentials" and "http://127.0.0.1:8080/" or nil,
      http = { request = function()
        sent = sent + 1
        return { status = 200, body = '{"access_token":"new","token_type":"Bearer"}' }
      end },
    }:get_access_token()
  end
  local expired = { access_token = "old", expires_at = 5, client_id = "c" }
  assert.equal("new", ask("client_credentials", expired))
  expired.refresh_token = "once"
  local message = expect(nil, ask("authorization_code", expired))
  assert.truthy(message:find("start memcached without -C", 1, true), message)
  assert.equal(1, sent)
end)

it("with a file of passwords (-Y) the server is said to ask for a login", function()
  local directory = process.temporary_directory()
  process.write_file(directory .. "/passwords", "user:password\n")
  local server = memcached_server.start { "-Y", directory .. "/passwords" }
  finally(function()
    server:stop()
    process.remove_directory(directory)
  end)
  expect_all(store(server.address), "asks for a login, which is not supported; start it without -Y")
  local message = tostring(select(2, store(server.address, PROTOCOLS.binary):get "k"))
  assert.truthy(message:find("without -Y", 1, true), message)
end)

describe("with SASL (-S)", function()
  local directory, address, child

  setup(function()
    directory = process.temporary_directory()
    process.write_file(directory .. "/memcached.conf", "mech_list: plain\n")
    local port = loopback.free_port()
    address = "127.0.0.1:" .. port
    child = process.start { "env", "SASL_CONF_PATH=" .. directory, "memcached", "-u", "root", "-t",
      "1", "-l", "127.0.0.1", "-p", port, "-U", 0, "-S" }
    process.wait_until("memcached to be ready", function()
      assert(child:is_running(), child:output())
      return loopback.is_listening(port)
    end)
  end)

  teardown(function()
    child:stop()
    process.remove_directory(directory)
  end)

  it("the server is said to ask for a login, by the binary protocol", function()
    expect_all(store(address, PROTOCOLS.binary), "asks for a login, which is not supported; "
      .. "start it without -S")
  end)

  it("the server is said not to understand the text protocol", function()
    local one = store(address, nil, 0.5)
    assert.truthy(expect("TIMEOUT", one:get "k"):find("-S", 1, true)) -- waits for more
    one = store(address)
    assert.truthy(expect("CONNECTION_FAILURE", one:get(("k"):rep(40))):find("memcached: no "
      .. "connection, or the server closed it; check that it runs, that it is a memcached, and "
      .. "started without -S", 1, true))
  end)
end)
