-- Clients of Python's over several servers, as docs/memcached.md names them: what one side keeps,
-- the other finds.

local memcached_server = require "support.memcached_server"
local process = require "support.process"
local tokencache = require "tokencache"

local KEYS = 100

local SCRIPT = [[
import sys
mode, kind, prefix = sys.argv[1:4]
servers = sys.argv[4:]
if kind == "pylibmc":
    import pylibmc
    client = pylibmc.Client(servers, behaviors={"ketama_weighted": True})
elif kind == "bmemcached":
    import bmemcached
    client = bmemcached.Client(servers)
else:
    from pymemcache.client.hash import HashClient
    from uhashring import HashRing

    class Ketama:
        def __init__(self):
            self.ring, self.nodes = HashRing(hash_fn="ketama"), {}

        def add_node(self, node):
            name = node[:-6] if node.endswith(":11211") else node
            self.nodes[name] = node
            self.ring.add_node(name)

        def get_node(self, key):
            return self.nodes[self.ring.get_node(key)]

    hosts = [(host, int(port)) for host, port in (s.rsplit(":", 1) for s in servers)]
    client = HashClient(hosts, hasher=Ketama) if kind == "pymemcache" else HashClient(hosts)
found = 0
for i in range(1, %d + 1):
    key, value = prefix + str(i), "value " + str(i)
    if mode == "set":
        client.set(key, value)
    else:
        got = client.get(key)
        found += (got.decode() if isinstance(got, bytes) else got) == value
print(found)
]]

-- One Lua is as good as another here.
if _VERSION == "Lua 5.4" and not os.getenv "LD_PRELOAD" then
  describe("of three memcached servers", function()
    local servers, addresses

    setup(function()
      servers = memcached_server.several(3)
      addresses = servers.addresses
    end)

    teardown(function() servers:stop() end)

    local function python(mode, kind, prefix)
      local code, output = process.run { "/usr/bin/python3", "-c", SCRIPT:format(KEYS), mode, kind,
        prefix, addresses[1], addresses[2], addresses[3] }
      assert.equal(0, code, output)
      return tonumber(output)
    end

    --- How many of ours that client finds, and how many of its we do.
    local function exchange(kind)
      local store, theirs = tokencache.store.memcached { servers = addresses }, 0
      for i = 1, KEYS do
        assert(store:set("ours-" .. kind .. i, "value " .. i))
      end
      local ours = python("get", kind, "ours-" .. kind)
      python("set", kind, "theirs-" .. kind)
      for i = 1, KEYS do
        theirs = theirs + (store:get("theirs-" .. kind .. i) == "value " .. i and 1 or 0)
      end
      return { ours, theirs }
    end

    for _, kind in ipairs { "pylibmc", "pymemcache", "bmemcached" } do
      it(kind .. " finds each key, and so do we", function()
        assert.same({ KEYS, KEYS }, exchange(kind))
      end)
    end

    it("pymemcache without our ring misses many", function()
      local found = exchange "plain"
      assert(found[1] < KEYS and found[2] < KEYS, table.concat(found, ", "))
    end)
  end)
end
