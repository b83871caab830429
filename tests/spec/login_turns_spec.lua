-- Two logins at once that want the same port: the second waits for the first and takes its token.

local folder = require "support.folder"
local http = require "socket.http"
local json = require "tokencache.json"
local loopback = require "support.loopback"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"
local shared_caches = require "support.shared_caches"
local started_browser = require "support.started_browser"

local IN_FULL = _VERSION == "Lua 5.4" -- what the servers do does not depend on the Lua

local SCRIPT = [[
  local json, tokencache = require "tokencache.json", require "tokencache"
  local options, cache = ...
  options = assert(json.decode(options))
  options.cache = (loadstring or load)(cache)()
  local info, err = tokencache.flow.pkce(options):get_token_info()
  print("\n" .. assert(json.encode(info or { kind = err.kind, message = err.message })))
]]

local MEMORY = "return require('tokencache').cache.memory {}"

describe("two logins at the same port", function()
  local at_end = require("support.at_end")()
  local server, first_user, second_user, runtime, port

  setup(function()
    server = oidc_provider.start()
  end)

  teardown(function()
    server:stop()
  end)

  before_each(function()
    first_user, second_user, port = folder.new(), folder.new(), loopback.free_port()
    runtime = folder.new()
  end)

  after_each(function()
    first_user:remove()
    second_user:remove()
    runtime:remove()
  end)

  local function environment_of(user)
    return { BROWSER = started_browser.command(user), XDG_RUNTIME_DIR = runtime.path }
  end

  local function options(changes)
    local all = server:options("public", { scope = "openid read",
      redirect_uri = ("http://127.0.0.1:%d/callback"):format(port) }, changes or {})
    all.cache = nil
    return all
  end

  local function start(user, cache, changes)
    local child = process.start(process.lua(SCRIPT, json.encode(options(changes)), cache),
      { environment = environment_of(user) })
    at_end(function() child:stop() end)
    return child
  end

  local function wait_for_turn(child)
    process.wait_until("the second to wait", function()
      return child:output():find("Another login is under way at port " .. port, 1, true)
    end)
  end

  local function result(child)
    child:wait()
    return json.decode(assert(child:output():match("\n({.*})\n$"), child:output()))
  end

  local function answer_as(user, name)
    http.request(server:login(started_browser.address(user), { user = name }))
  end

  --- Starts the second when the first one waits for its user.
  local function start_both(cache, changes)
    local first = start(first_user, cache)
    started_browser.address(first_user)
    local second = start(second_user, cache, changes)
    wait_for_turn(second)
    return first, second
  end

  local function take_one_token(cache)
    local before = server:counts().authorize or 0
    local first, second = start_both(cache)
    answer_as(first_user)
    local token = result(first).access_token
    assert.is_string(token)
    assert.equal(token, result(second).access_token)
    assert.equal("browser", second_user:names())
    assert.equal(before + 1, server:counts().authorize)
  end

  it("are one over a file", function()
    local path = first_user:file("cache")
    take_one_token(("return require('tokencache').cache.file { cache_path = %q }"):format(path))
  end)

  if IN_FULL then
    it("are one over Redis and Memcached", function()
      local shared = shared_caches.start()
      at_end(function() shared:stop() end)
      for _, name in ipairs { "Redis", "Memcached" } do
        take_one_token(shared.list[name].code)
        first_user:shell("rm -f start")
      end
    end)
  end

  it("are one after the other where they share no cache", function()
    local first, second = start_both(MEMORY)
    answer_as(first_user, "alice")
    assert.equal("alice", server:owner(result(first).access_token))
    answer_as(second_user, "bob")
    assert.equal("bob", server:owner(result(second).access_token))
    assert.equal("", runtime:names())
  end)

  it("do not wait for another user, who has taken what there is to take", function()
    if not process.is_root() then return pending "takes root, to be another user" end
    runtime:shell("chmod 1777 .")
    local name = ("%s/tokencache-login-%d.tokencache-lock"):format(runtime.path, port)
    local taker = process.start(process.as_user({ "python3", "-c", [[
import fcntl, socket, sys, time
taken = open(sys.argv[1], "w")
fcntl.flock(taken, fcntl.LOCK_EX)
abstract = socket.socket(socket.AF_UNIX)
abstract.bind("\0tokencache/login/0/127.0.0.1/" + sys.argv[2])
print("taken", flush=True)
time.sleep(1000)]], name, tostring(port), environment = {} }))
    at_end(function() taker:stop() end)
    process.wait_until("it to be taken", function() return taker:output():find "taken" end)
    local first = start(first_user, MEMORY)
    answer_as(first_user, "alice")
    assert.equal("alice", server:owner(result(first).access_token))
  end)

  it("do not wait for one that was killed", function()
    local first, second = start_both(MEMORY)
    first:signal("KILL")
    answer_as(second_user, "bob")
    assert.equal("bob", server:owner(result(second).access_token))
  end)

  it("wait as long as the program says", function()
    local _, second = start_both(MEMORY, { login_timeout = 0.3 })
    assert.same({ kind = "timeout", message = ("another login has kept port %d for 0.3 seconds; "
      .. "end it, or try again later"):format(port) }, result(second))
  end)

  it("do not wait for a program that is no login", function()
    local socket = require "socket"
    local listener = assert(socket.bind("127.0.0.1", port))
    at_end(function() listener:close() end)
    local answer = result(start(first_user, MEMORY))
    assert.equal("config", answer.kind)
    assert.matches(("port %d of 127.0.0.1 is in use"):format(port), answer.message, 1, true)
  end)

  --- Two coroutines of one program, the first of which is at its request when the second begins.
  local COROUTINES = [[
    local json, tokencache = require "tokencache.json", require "tokencache"
    local options, sleeps = assert(json.decode((...))), select(2, ...)
    local curl = require("tokencache.transport.curl").new { proxy = "" }
    options.cache = tokencache.cache.memory {}
    options.io = sleeps == "yielding" and { sleep = coroutine.yield } or nil
    options.http = { request = function(_, request)
      coroutine.yield()
      return curl:request(request)
    end }
    local flow = tokencache.flow.pkce(options)
    local threads, tokens = {}, {}
    for i = 1, 2 do
      threads[i] = coroutine.create(function()
        tokens[i] = assert(flow:get_token_info()).access_token
      end)
    end
    repeat
      local alive = false
      for _, thread in ipairs(threads) do
        if coroutine.status(thread) ~= "dead" then
          alive = true
          assert(coroutine.resume(thread))
        end
      end
    until not alive
    print("\n" .. assert(json.encode { same = tokens[1] == tokens[2] }))
  ]]

  it("are one in two coroutines, where the program's sleep lets the first go on", function()
    local child = process.start(process.lua(COROUTINES, json.encode(options()), "yielding"),
      { environment = environment_of(first_user) })
    at_end(function() child:stop() end)
    answer_as(first_user)
    assert.same({ same = true }, result(child))
  end)

  it("do not wait for a coroutine that cannot go on meanwhile", function()
    local child = process.start(process.lua(COROUTINES, json.encode(options()), "blocking"),
      { environment = environment_of(first_user) })
    at_end(function() child:stop() end)
    local url, given = started_browser.address(first_user)
    http.request(server:login(url))
    http.request(server:login((started_browser.address(first_user, given))))
    assert.same({ same = false }, result(child))
  end)
end)
