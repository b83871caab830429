--- What `replace` and `can_save` do in every store that pads its entries, as busted's tests; they
--- run inside nginx too.
---
---     replacing("store.redis", function() return new_empty_store() end, seconds_left)

local equal = require("support.in_nginx").equal

local BLANKS = (" "):rep(1024)

---@param name string          of the store, as its messages have it
---@param new fun(): tokencache.Store  makes an empty one
---@param seconds_left fun(key: string): number  how long it still keeps an entry; -1: for good
---@param keeps_end? boolean   can_save does not change the end of an entry
return function(name, new, seconds_left, keeps_end)
  local it = require("busted").it

  local function expect_seconds(wanted)
    local left = seconds_left "k"
    equal(true, left == wanted or left > wanted - 10 and left <= wanted or left)
  end

  it("an entry that is what it is expected to be, and no other", function()
    local one = new()
    one:set("k", "old")
    equal(true, (one:replace("k", "old", "new\0\r\n")))
    equal("new\0\r\n", one:get "k")
    equal(false, (one:replace("k", "old", "newer")))
    equal(false, (one:replace("k", "new\0\r\n ", "newer")))
    equal(false, (one:replace("k", nil, "newer")))
    equal("new\0\r\n", one:get "k")
    equal(true, (one:replace("k", "new\0\r\n", "new\0\r\n")))
  end)

  it("nothing, if nothing is to be there", function()
    local one = new()
    equal(false, (one:replace("k", "old", "new")))
    equal(false, (one:replace("k", "", "new")))
    equal(nil, (one:get "k"))
    equal(true, (one:replace("k", nil, "")))
    equal("", one:get "k")
    equal(false, (one:replace("k", nil, "new")))
    equal(true, (one:replace("k", "", "new")))
  end)

  it("what is to go by nothing, and nothing else", function()
    local one = new()
    one:set("k", "old", 1000)
    equal(false, (one:replace("k", "older", nil)))
    equal("old", one:get "k")
    equal(true, (one:replace("k", "old", nil)))
    equal(nil, (one:get "k"))
    equal(false, (one:replace("k", "old", nil)))
    equal(true, (one:replace("k", nil, "")))
    equal(true, (one:replace("k", "", nil, 100)))
    equal(nil, (one:get "k"))
  end)

  it("with the time to live that it is given, or none", function()
    local one = new()
    one:set("k", "old", 5000)
    equal(true, (one:replace("k", "old", "new", 100)))
    expect_seconds(100)
    equal(true, (one:replace("k", "new", "newer")))
    equal(-1, seconds_left "k")
  end)

  it("only while no other has the lock", function()
    local one = new()
    one:set("k", "old")
    local handle = one:try_lock("k", 10)
    equal(true, (one:replace("k", "old", "new", nil, handle)))
    equal(true, one:unlock(handle))
    equal(true, (one:replace("k", "new", "newer", nil, handle))) -- ended, and nobody has it
    local other = one:try_lock("k", 10)
    equal(false, (one:replace("k", "newer", "lost", nil, handle)))
    equal(false, (one:can_save("k", "newer", nil, handle)))
    equal(false, (one:replace("k", "newer", nil, nil, handle)))
    equal("newer", one:get "k")
    equal(true, (one:replace("k", "newer", "newest", nil, other)))
    equal(true, (one:replace("k", "newest", "without a lock")))
    equal(true, (one:replace("k", "without a lock", nil, nil, other)))
    equal(false, (one:replace("k", nil, "lost", nil, handle)))
    equal(nil, (one:get "k"))
  end)

  it("nothing by what is no string", function()
    local one = new()
    for _, case in ipairs { { "old", 7, "a number" }, { nil, nil, "nil" } } do
      local ok, message = pcall(function() one:replace("k", case[1], case[2]) end)
      equal(false, ok)
      equal(name .. ": replace: bytes must be a string, not " .. case[3],
        message:match("replacing%.lua:%d+: (.*)"))
    end
  end)

  it("with blanks at the end, over what was read alone, to show that it can save", function()
    local one, bytes = new(), '{"a":"b"}'
    local longer = bytes .. BLANKS
    one:set("k", bytes, 5000)
    equal(longer, one:can_save("k", bytes, 100))
    equal(longer, one:get "k")
    expect_seconds(keeps_end and 5000 or 100)
    one:set("k", longer)
    equal(longer, one:can_save("k", longer, keeps_end and 5 or nil))
    equal(longer, one:get "k")
    equal(-1, seconds_left "k")
    equal(false, (one:can_save("k", bytes)))
    equal(longer, one:get "k")
    local handle = one:try_lock("k", 10)
    equal(longer, one:can_save("k", longer, nil, handle))
    equal(true, one:unlock(handle))
    equal(true, one:try_lock("k", 10) and true)
    equal(false, (one:can_save("k", longer, nil, handle)))
    one:delete "k"
    equal(false, (one:can_save("k", longer)))
    local saved, err = one:can_save("k", nil)
    equal(nil, saved)
    equal(nil, err)
    equal(nil, (one:get "k"))
  end)
end
