--- Run inside nginx by shared_dict_spec.lua. The dictionary `tokens` has 100 kB.

local busted = require "busted"
local replacing = require "support.replacing"
local tokencache = require "tokencache"

local dict = ngx.shared.tokens
local equal, it = require("support.in_nginx").equal, busted.it

local function new_store(options)
  dict:flush_all()
  dict:flush_expired()
  return tokencache.store.shared_dict(dict, options)
end

local function is_full(ok, err)
  equal(nil, ok)
  equal("cache", err.kind)
  equal("shared dictionary: no memory is left; enlarge the lua_shared_dict of the tokens",
    err.message)
end

--- Saves entries of a size until there is room for none of any size.
local function fill(size)
  local count = 0
  for _, piece in ipairs { size, 900, 300, 50, 1 } do
    repeat
      count = count + 1
    until not dict:safe_set("filler" .. count, ("x"):rep(piece))
  end
end

replacing("store.shared_dict", new_store, function(key)
  local seconds = assert(dict:ttl(key))
  return seconds == 0 and -1 or seconds
end)

it("lists no key that it has replaced by nothing", function()
  local store = new_store()
  store:set("a", "old")
  equal(false, (store:replace("a", "older", nil)))
  equal("a", store:keys("")[1])
  equal(true, (store:replace("a", "old", nil)))
  equal(0, #store:keys(""))
end)

it("does not replace what is no text", function()
  local store = new_store()
  dict:rpush("list", "x")
  local ok, err = store:replace("list", nil, "bytes")
  equal(nil, ok)
  equal("cache", err.kind)
  dict:set("number", 7)
  equal(false, (store:replace("number", nil, "bytes")))
  equal(7, dict:get("number"))
end)

it("cannot save where memory has run out, and loses nothing by that", function()
  for _, evict in ipairs { false, true } do
    local store = new_store { evict = evict }
    store:set("a", ("a"):rep(700))
    fill(1000)
    if evict then
      equal(700 + 1024, #store:can_save("a", ("a"):rep(700)))
    else
      equal(true, dict:set("a", ("a"):rep(700), 0)) -- of the same length: it is still there
      is_full(store:can_save("a", ("a"):rep(700)))
      equal(("a"):rep(700), store:get("a"))
      is_full(store:replace("a", ("a"):rep(700), ("b"):rep(3000)))
      is_full(store:replace("a", ("a"):rep(700), ""))
      is_full(store:set("a", ("b"):rep(3000)))
      equal(("a"):rep(700), store:get("a"))
    end
  end
end)

it("keeps an entry that not even an empty dictionary could take", function()
  local store = new_store { evict = true }
  store:set("a", ("a"):rep(60000))
  is_full(store:replace("a", ("a"):rep(60000), ("b"):rep(200000)))
  equal(60000, #(store:get("a") or ""))
end)

it("goes on where memory has run out, as long as entries keep about their size", function()
  for _, size in ipairs { 100, 1000, 1900, 1950, 3000, 4000, 5000, 9000 } do
    local store = new_store()
    store:set("user", ("u"):rep(size))
    fill(size)
    local bytes = store:get("user")
    local replaced = 0
    for more = -40, 40 do -- in one and the same block, or found out before
      local new = ("v"):rep(size + more)
      local ok, err = store:replace("user", bytes, new)
      if ok then
        replaced, bytes = replaced + 1, new
      else
        is_full(ok, err)
      end
      equal(bytes, store:get("user"))
    end
    equal(true, replaced >= 30 or size .. ": " .. replaced)
  end
end)

it("is known by its dictionary's name, which all workers have for it", function()
  equal("shared_dict:tokens", new_store().identity)
  equal("shared_dict:tokens", new_store({ evict = true }).identity)
end)
