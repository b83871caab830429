-- Memory under load: under ASan and its leak checker, and in what a worker has resident.
-- `make soak` runs the second for longer: LOAD_REQUESTS.

local fake_endpoint = require "support.fake_endpoint"
local folder = require "support.folder"
local memcached_server = require "support.memcached_server"
local nginx = require "support.nginx"
local process = require "support.process"
local redis_server = require "support.redis_server"

local REQUESTS = tonumber(os.getenv("LOAD_REQUESTS") or 100000)

local HTTP = [[
  lua_shared_dict tokens 1m;
  lua_worker_thread_vm_pool_size 4;
  keepalive_requests 100000000;
  init_by_lua_block {
    local tokencache = require "tokencache"
    local cache, store = tokencache.cache, tokencache.store
    local sealed = store.encrypted(store.shared_dict(ngx.shared.tokens),
      { keys = { a = ("k"):rep(32) }, use = "a" })
    local function before(back)
      return cache.tiered { front = cache.from_store(store.shared_dict(ngx.shared.tokens), "front"),
        back = back }
    end
    caches = {
      redis = cache.redis { port = $REDIS },
      memcached = cache.memcached { servers = { "127.0.0.1:$MEMCACHED" } },
      file = cache.file { cache_path = "$FILE" },
      memory = cache.memory {},
      sealed = cache.from_store(sealed, "sealed"),
      tiered = before(cache.redis { port = $REDIS, key = "behind" }),
    }
    flows = {}
    for name, handler in pairs(caches) do
      flows[name] = require("support.in_nginx").new_flow("$URL", handler)
    end
  }
]]

local SERVER = [[
  location / {
    content_by_lua_block {
      local token, err = flows[ngx.var.uri:sub(2)]:get_access_token()
      if not token then
        ngx.log(ngx.ERR, err.kind, ": ", err)
        return ngx.exit(500)
      end
      ngx.print("here")
    }
  }
  location /new {
    content_by_lua_block {
      ngx.print(assert(flows.tiered:get_access_token { check_cache = false }))
    }
  }
  location /under_way {
    content_by_lua_block {
      ngx.print(ngx.var.connections_active - 1 + ngx.timer.running_count())
    }
  }
  location /leak {
    content_by_lua_block {
      local ffi = require "ffi"
      ffi.cdef "void *malloc(size_t size);"
      ffi.C.malloc(12345)
    }
  }
]]

-- nginx does not wait for the end of its pool's threads, and what one has yet to free of its own
-- (an error of the loader's, OpenSSL's state) would be called a leak.
local AWAIT_THREADS = [[
  exit_worker_by_lua_block {
    local ffi = require "ffi"
    ffi.cdef "int usleep(unsigned int microseconds);"
    local function count()
      local status = assert(io.open("/proc/self/status"))
      local threads = status:read("*a"):match("Threads:%s*(%d+)")
      status:close()
      return tonumber(threads)
    end
    local tries = 0
    while count() > 1 do
      tries = tries + 1
      assert(tries < 10000, "threads of nginx's pool do not end")
      ffi.C.usleep(1000)
    end
  }
]]

local NAMES = { "redis", "memcached", "file", "memory", "sealed", "tiered" }

describe("memory in nginx", function()
  local endpoint, directory, memcached, redis, server

  before_each(function()
    endpoint, directory = fake_endpoint.start(), folder.new()
    memcached, redis = memcached_server.start(), redis_server.start()
  end)

  after_each(function()
    server:stop()
    redis:stop()
    memcached:stop()
    directory:remove()
    endpoint:stop()
  end)

  --- Tokens that serve for two seconds.
  local function start(settings)
    settings.http, settings.server = HTTP .. (settings.http or ""), SERVER
    settings.values = { REDIS = redis.port, MEMCACHED = memcached.port,
      FILE = directory:file("token.json"), URL = endpoint:url("expires-in?is=62") }
    server = nginx.start(settings)
  end

  ---@return integer requests  all of them answered with a token
  local function load(path)
    local _, text = process.run { "wrk", "-t1", "-c20", "-d1s", "--timeout", "30s",
      ("http://127.0.0.1:%d/%s"):format(server.port, path) }
    assert.is_nil(text:find("Non-2xx", 1, true) or text:find("errors", 1, true), text)
    return tonumber(text:match("(%d+) requests in"))
  end

  local function start_under_asan()
    local _, library = process.run { "cc", "-print-file-name=libasan.so" }
    start {
      build = "build/asan-luajit",
      main = "master_process off;",
      http = AWAIT_THREADS,
      environment = {
        LD_PRELOAD = library:gsub("\n", ""),
        ASAN_OPTIONS = (os.getenv("ASAN_OPTIONS") or "") .. ":detect_leaks=1:log_path="
          .. directory:file("report"),
      },
    }
  end

  --- Once nothing is under way: what wrk asked and did not wait for would be called a leak, too.
  local function reports()
    process.wait_until("all calls to end", function()
      local _, count = server:get("/under_way")
      return count == "0"
    end)
    server.child:signal("QUIT")
    server.child:wait(60)
    return directory:shell("cat report.* 2>&1 || true")
  end

  it("is used as it should be, and freed, in 10,000 requests", function()
    start_under_asan()
    local requests = 0
    while requests < 10000 do
      for _, name in ipairs(NAMES) do
        requests = requests + load(name)
      end
      requests = requests + load("new")
    end
    assert.is_true(#endpoint:requests() > 20)
    assert.equal("cat: 'report.*': No such file or directory", reports())
  end)

  it("that leaks would be reported", function()
    start_under_asan()
    server:get("/leak")
    assert.truthy(reports():find("leak of 12345 byte", 1, true))
  end)

  it("does not grow", function()
    start {}
    local function resident()
      local status = process.read_file("/proc/" .. server:worker_pids()[1] .. "/status")
      return tonumber(status:match("VmRSS:%s+(%d+)"))
    end
    local function run(count)
      local requests = 0
      while requests < count do
        for _, name in ipairs(NAMES) do
          requests = requests + load(name)
        end
      end
    end
    -- Caches fill and collectors find their pace in the first rounds; a leak grows in every one.
    local before = 0
    local sizes = {}
    repeat
      local last = before
      run(REQUESTS / 2)
      before = resident()
      sizes[#sizes + 1] = before
      assert.is_true(#sizes <= 10, "grows in every round: " .. table.concat(sizes, ", ") .. " KiB")
    until before - last <= 256
    run(REQUESTS)
    local growth = resident() - before
    assert.is_true(growth <= 1024, ("grown by %d KiB from %d"):format(growth, before))
  end)
end)
