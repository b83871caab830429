--- Token files written by spotipy 2.25 are read, and saved again mean the same to it.

local cache_file = require "tokencache.cache.file"
local folder = require "support.folder"
local json = require "tokencache.json"
local process = require "support.process"

local FIXTURES = "tests/fixtures/spotipy/"

-- what a program sees: a null scope is no scope
local EXPECTED = {
  authorization_code = {
    access_token = "BQC-ac_1",
    token_type = "Bearer",
    expires_in = 3600,
    refresh_token = "AQA-rt_1",
    scope = "playlist-read-private user-read-private",
    expires_at = 1760003600,
  },
  authorization_code_null_scope = {
    access_token = "BQC-ac_2",
    token_type = "Bearer",
    expires_in = 3600,
    refresh_token = "AQA-rt_2",
    expires_at = 1760003600,
  },
  client_credentials = {
    access_token = "BQD-cc_0",
    token_type = "Bearer",
    expires_in = 3600,
    expires_at = 1760003600,
  },
  implicit = {
    access_token = "BQC-ig_4",
    token_type = "Bearer",
    expires_in = 3600,
    state = "st4te",
    expires_at = 1760003600,
    scope = "user-top-read",
  },
  pkce = {
    access_token = "BQC-pk_3",
    token_type = "Bearer",
    expires_in = 3600,
    refresh_token = "AQA-rt_3",
    scope = "user-top-read",
    expires_at = 1760003600,
  },
  unicode_extra = {
    access_token = "BQC-\195\169\226\152\131",
    token_type = "Bearer",
    expires_in = 3600,
    expires_at = 1760003600,
    refresh_token = "AQA",
    display_name = "Zo\195\171 \"Z\" \\ / \226\128\168",
    nested = { a = json.array { 1, 2.5, true, json.null, json.array {} }, b = {} },
  },
}

describe("spotipy's file", function()
  local dir, handler

  before_each(function()
    dir = folder.new()
    handler = cache_file { cache_path = dir:file("token") }
  end)

  after_each(function()
    dir:remove()
  end)

  for name, expected in pairs(EXPECTED) do
    describe(name, function()
      local text

      before_each(function()
        text = process.read_file(FIXTURES .. name .. ".json")
        process.write_file(dir:file("token"), text)
      end)

      it("is read", function()
        local info = handler:get_cached_token()
        assert.same(expected, info)
        assert.equal("1760003600 3600", info.expires_at .. " " .. info.expires_in)
      end)

      it("means the same when it is saved again", function()
        assert.is_true(handler:save_token_to_cache(handler:get_cached_token()))
        local saved = process.read_file(dir:file("token"))
        assert.not_equal(text, saved) -- Python puts spaces: this is our writing
        assert.same(json.decode(text), json.decode(saved))
        assert.equal(json.encode(json.decode(text)), saved)
        assert.equal("600", dir:mode("token"))
      end)
    end)
  end

  it("is each listed here", function()
    local _, names = process.run({ "ls", FIXTURES })
    for file_name in names:gmatch("[^\n]+") do
      assert.is_not_nil(EXPECTED[file_name:match("^(.*)%.json$")], file_name)
    end
  end)
end)
