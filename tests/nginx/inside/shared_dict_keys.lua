--- Run inside nginx by shared_dict_spec.lua. The dictionary `many` has 100 MB, `tokens` 100 kB.

local busted = require "busted"
local tokencache = require "tokencache"

local equal, it = require("support.in_nginx").equal, busted.it

local function new_store(options, dict)
  dict = dict or ngx.shared.many
  dict:flush_all()
  dict:flush_expired()
  return tokencache.store.shared_dict(dict, options), dict
end

--- All keys, sorted, in one text; how many there are. `between` is called after each page.
local function list(store, prefix, between)
  local all, cursor = {}, nil
  repeat
    local keys, more = store:keys(prefix or "", cursor)
    equal("table", type(keys))
    equal(true, #keys <= 200)
    for _, key in ipairs(keys) do
      all[#all + 1] = key
    end
    cursor = more
    if between then
      between()
    end
  until not cursor
  table.sort(all)
  return table.concat(all, " "), #all
end

local function slots(dict)
  local count = 0
  for _, key in ipairs(dict:get_keys(0)) do
    count = count + (key:find("^tokencache%-keys:%d") and 1 or 0)
  end
  return count
end

it("lists the keys that begin with a prefix, as text", function()
  local store = new_store()
  equal("", list(store))
  for _, key in ipairs { "a%", "a%b", "ab", "a.c", "b\0\n" } do
    store:set(key, "bytes")
  end
  equal("a% a%b a.c ab b\0\n", list(store))
  equal("a% a%b", list(store, "a%"))
  equal("a.c", list(store, "a."))
  equal("", list(store, "c"))
end)

it("lists neither locks nor marks, nor what others keep there", function()
  local store, dict = new_store()
  store:set("a", "bytes")
  store:try_lock("a", 10)
  store:set("tokencache-mark:a", "m")
  dict:set("theirs", "x")
  dict:set("theirs too", "x", 0, 1) -- with flags like a number of ours
  dict:rpush("list", "x")
  equal("a", list(store))
  store:set("theirs too", "bytes")
  equal("a theirs too", list(store))
end)

it("lists each key once, however often it is saved", function()
  local store, dict = new_store()
  for round = 1, 5 do
    for i = 1, 300 do
      store:set("k" .. i, "round " .. round)
      store:replace("k" .. i, "round " .. round, "r" .. round, 100)
    end
    equal(300, (select(2, list(store))))
  end
  equal(300, slots(dict))
end)

it("lists no key that is gone, and takes its number again", function()
  local store, dict = new_store()
  for round = 1, 50 do
    for i = 1, 100 do
      store:set("r" .. round .. "-" .. i, "bytes", i % 2 == 0 and 100 or nil)
    end
    equal(100, (select(2, list(store))))
    for i = 1, 100 do
      store:delete("r" .. round .. "-" .. i)
    end
    equal("", list(store))
  end
  equal(0, slots(dict))
  equal(true, dict:get("tokencache-keys:top") < 500)
end)

it("lets a number end with its entry", function()
  local store, dict = new_store()
  store:set("a", "bytes")
  store:set("a", "bytes", 100)
  local number = select(2, dict:get("a"))
  equal(true, dict:ttl("tokencache-keys:" .. number) > 98)
  store:set("a", "bytes")
  equal(0, dict:ttl("tokencache-keys:" .. number))
end)

it("clears away what an entry that others removed has left", function()
  local store, dict = new_store()
  store:set("a", "bytes")
  dict:delete("a")
  for _ = 1, 3 do
    equal("", list(store))
  end
  equal(0, slots(dict))
end)

it("finds out at the next save that a number was lost", function()
  local store, dict = new_store()
  for _, lose in ipairs {
    function(number) dict:delete("tokencache-keys:" .. number) end,
    function(number) dict:set("tokencache-keys:" .. number, "b") end,
    function(number) dict:set("a", "bytes", 0, number + 1) end,
    function() dict:set("a", "bytes") end,
  } do
    store:set("a", "bytes")
    lose((select(2, dict:get("a"))))
    equal("", list(store))
    store:set("a", "bytes")
    equal("a", list(store))
  end
end)

it("lists each once that was there all the time, while others come and go", function()
  local store = new_store()
  for i = 1, 1000 do
    store:set("k" .. i, "bytes")
    store:set("gone" .. i, "bytes")
  end
  local page = 0
  local text = list(store, "", function()
    page = page + 1
    for i = 1, 50 do
      store:delete("gone" .. (page * 50 - i))
      store:set("new" .. page .. "-" .. i, "bytes")
      store:set("k" .. i, "page " .. page)
    end
  end)
  local seen, count = {}, 0
  for key in text:gmatch("%S+") do
    equal(nil, seen[key])
    seen[key] = true
    count = count + (key:find("^k") and 1 or 0)
  end
  equal(1000, count)
end)

it("lists a key once that is deleted and saved again meanwhile", function()
  local store = new_store()
  for i = 1, 1000 do
    store:set("k" .. i, "bytes")
  end
  local _, count = list(store, "", function()
    for i = 1, 1000 do
      store:delete("k" .. i)
    end
    for i = 1000, 1, -1 do
      store:set("k" .. i, "bytes")
    end
  end)
  equal(true, count <= 1000 or count)
end)

it("saves without a list where there is memory for the entry alone, evicting nothing", function()
  local store, dict = new_store(nil, ngx.shared.tokens)
  store:set("first", "bytes")
  local count = 0
  for _, size in ipairs { 50, 20, 1 } do
    repeat
      count = count + 1
    until not dict:safe_set("filler" .. count, ("x"):rep(size))
  end
  dict:delete("filler1")
  equal(true, (store:set("a", ("x"):rep(50))))
  equal(nil, (select(2, dict:get("a"))))
  equal("first", list(store))
  for i = 2, 20 do
    equal("string", type(dict:get("filler" .. i)))
  end
  dict:delete("filler2")
  store:set("a", ("x"):rep(50))
  equal("a first", list(store))
end)

it("has a list of what is left, where tokens are evicted", function()
  local store, dict = new_store({ evict = true }, ngx.shared.tokens)
  tokencache.set_logger(function() end)
  for i = 1, 1000 do
    store:set("k" .. i, ("x"):rep(1000))
  end
  tokencache.set_logger()
  local text, count = list(store)
  equal(true, count > 10 or count)
  for key in text:gmatch("%S+") do
    equal("string", type(dict:get(key)))
  end
end)

it("lets others have their turn between the pages of flow:accounts()", function()
  for _, store in ipairs { new_store(), tokencache.store.memory() } do
    for i = 1, 2000 do
      store:set("token:" .. i, "bytes")
    end
    local flow = tokencache.flow.client_credentials {
      provider = { token_url = "https://as.example/token" }, client_id = "c", client_secret = "s",
      store = store,
    }
    local turns, count = 0, 0
    local other = ngx.thread.spawn(function()
      while true do
        turns = turns + 1
        ngx.sleep(0)
      end
    end)
    for _ in flow:accounts() do
      count = count + 1
    end
    ngx.thread.kill(other)
    equal(2000, count)
    equal(true, turns >= 9 or turns) -- ten pages
  end
end)

it("never holds up a worker for long, with 100,000 keys", function()
  local store = new_store()
  local function key(i)
    return "token:" .. i .. ":0123456789abcdef"
  end
  for i = 1, 100000 do
    store:set(key(i), "bytes")
  end
  local shortest = 1
  for _ = 1, 5 do -- one may have to collect garbage
    local count, longest, cursor = 0, 0, nil
    repeat
      local start = os.clock()
      local keys, more = store:keys("token:", cursor)
      longest, count, cursor = math.max(longest, os.clock() - start), count + #keys, more
    until not cursor
    equal(100000, count)
    shortest = math.min(shortest, longest)
  end
  equal(true, shortest < 0.01 or shortest)
end)
