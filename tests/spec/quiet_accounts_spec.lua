-- A store that fails says so in the log once, however many accounts are kept there.

local file_store = require("tokencache").store.file
local folder = require "support.folder"
local from_store = require("tokencache").cache.from_store
local keep_log = require "support.keep_log"
local log = require "tokencache.log"
local logins = require "support.logins"
local new_table_store = require "support.table_store"
local stages = require "support.stage"

local COUNT = 5

describe("where a store fails for many accounts, the log has a line", function()
  local stage, logged

  before_each(function()
    stage = stages.new()
    logins.rotate(stage)
    logged = keep_log()
  end)
  after_each(function() log.set_logger(nil) end)

  --- What is warned of while each of the accounts is asked for a token.
  local function warnings_of(store, break_it)
    for i = 1, COUNT do
      assert(from_store(store, "user:" .. i):save_token_to_cache(logins.LOGIN))
    end
    break_it(store)
    local flow = stage:user_flow { store = store }
    for i = 1, COUNT do
      flow:account("user:" .. i):get_access_token()
    end
    local lines = {}
    for _, line in ipairs(logged) do
      if not line:find "^debug" then
        lines[#lines + 1] = line
      end
    end
    return lines
  end

  local function fail()
    return nil, "the server is away"
  end

  for action, methods in pairs {
    ["the cache could not be read"] = { get = fail },
    ["the cache's lock failed"] = { try_lock = fail, unlock = function() end },
    ["the token could not be saved"] = { replace = fail },
    ["the cache's lock could not be released"] =
      { try_lock = function() return 1 end, unlock = fail },
  } do
    it("and says that " .. action, function()
      local lines = warnings_of(new_table_store(), function(store)
        for name, method in pairs(methods) do
          store[name] = method
        end
      end)
      assert.equal(1, #lines, table.concat(lines, "\n"))
      assert.matches(action, lines[1], 1, true)
      assert.matches("user:#%x+: the store's %w+_?%w* failed: the server is away", lines[1])
    end)
  end

  it("in a directory, too, where each has a file", function()
    local dir = folder.new()
    finally(function() dir:remove() end)
    local lines = warnings_of(file_store { directory = dir.path }, function()
      dir:shell("for name in *.token; do rm $name; mkdir $name; done")
    end)
    assert.equal(1, #lines, table.concat(lines, "\n"))
    assert.matches("the cache could not be read: .*/user%%3a", lines[1])
  end)

  it("also where the error has no text", function()
    local lines = warnings_of(new_table_store(), function(store)
      function store.get() return nil, { kind = "cache" } end
    end)
    assert.same({ "warning the cache could not be read: an error without a message" }, lines)
  end)

  it("also where the error has a reason that is no text", function()
    for _, reason in ipairs { {}, true } do
      logged = keep_log()
      local cache = { get_cached_token = function()
        return nil, { message = "the server is away", reason = reason }
      end, save_token_to_cache = function() end }
      local _, err = stage:user_flow({ cache = cache }):get_access_token()
      assert.equal("cache: the server is away", err.kind .. ": " .. err.message)
    end
  end)
end)
