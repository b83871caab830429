-- Answers of a token endpoint with something odd in them: a token that they bring is never lost.

local fake_endpoint = require "support.fake_endpoint"
local folder = require "support.folder"
local json = require "tokencache.json"
local keep_log = require "support.keep_log"
local log = require "tokencache.log"
local process = require "support.process"
local tokencache = require "tokencache"

local CLIENT_ID = "the odd one"
local DAMAGED = "\239\191\189"

local endpoint, dir

setup(function()
  endpoint = fake_endpoint.start()
end)

teardown(function()
  endpoint:stop()
end)

before_each(function()
  endpoint:clear()
  dir = folder.new()
end)

after_each(function()
  log.set_logger(nil)
  dir:remove()
end)

--- A flow whose login has expired, in a file.
---@param seconds? number  that a request has
local function new_flow(seconds)
  local url = endpoint:url("token")
  local cache = tokencache.cache.file { cache_path = dir:file("token") }
  assert(cache:save_token_to_cache { access_token = "old", refresh_token = "refresh-1",
    expires_at = 5, authorized_at = 3, client_id = CLIENT_ID, note = "kept" })
  return tokencache.flow.pkce { provider = { authorize_url = url, token_url = url },
    client_id = CLIENT_ID, redirect_uri = "https://app.example/callback", cache = cache,
    authorize = false, proxy = "", request_time = seconds }
end

--- What another process reads.
local function in_file()
  return assert(tokencache.cache.file { cache_path = dir:file("token") }:get_cached_token())
end

local function sent()
  local tokens = {}
  for i, request in ipairs(endpoint:requests()) do
    tokens[i] = request.body:match "&refresh_token=([%w-]+)"
  end
  return table.concat(tokens, " ")
end

--- An object with that text among its members.
local function answer_with(text)
  return '{"access_token":"new","expires_in":3600,' .. text .. ',"refresh_token":"refresh-2"}'
end

local renewals = {
  ["an integer beyond 64 bits"] = { '"id":18446744073709551615', "id", 18446744073709551615.0 },
  ["a real beyond a double"] = { '"x":-1e999', "x", -1.7976931348623157e308 },
  ["a real too small for a double"] = { '"x":1e-999', "x", 0 },
  ["half a surrogate pair"] = { [["name":"a\ud83d"]], "name", "a" .. DAMAGED },
  ["a byte that is not UTF-8"] = { '"name":"caf\233"', "name", "caf" .. DAMAGED },
  ["a raw newline in a string"] = { '"name":"a\nb"', "name", "a" .. DAMAGED .. "b" },
  ["an escape that JSON has not"] = { [["name":"O\'Neil"]], "name", "O" .. DAMAGED .. "'Neil" },
  ["a NUL in a key"] = { [["a\u0000":"x"]], "a" .. DAMAGED, "x" },
  ["a key twice"] = { '"scope":"a","scope":"b"', "scope", "b" },
  ["a token twice"] = { '"access_token":"newer"', "access_token", "newer" },
  ["blanks around the token_type"] = { '"token_type":" bearer\\n"', "token_type", "bearer" },
}

describe("a login is renewed by an answer with", function()
  for what, case in pairs(renewals) do
    it(what, function()
      local flow = new_flow()
      keep_log()
      endpoint:answer(200, answer_with(case[1]))
      local info = assert(flow:get_token_info())
      assert.equal("refresh-1", sent())
      local stored = in_file()
      assert.equal(case[2] == "access_token" and "newer" or "new", stored.access_token)
      assert.equal("refresh-2", stored.refresh_token)
      assert.equal(3, stored.authorized_at)
      assert.equal(case[3], info[case[2]])
      assert.equal(case[3], stored[case[2]])
      assert.is_falsy(flow.unsaved)
    end)
  end

  it("the name of an encoding that there is not", function()
    local _, version = process.run { "curl-config", "--version" }
    local major, minor = version:match "(%d+)%.(%d+)"
    local is_refused = tonumber(major) * 100 + tonumber(minor) >= 805 -- by libcurl itself
    for _, name in ipairs { "utf-8", "aws-chunked", " UTF8 " } do
      local flow = new_flow()
      endpoint:answer(200, answer_with '"a":1', { ["Content-Encoding"] = name })
      local token, err = flow:get_access_token()
      assert.equal(is_refused and "protocol" or "new", is_refused and err.kind or token)
      assert.equal(is_refused and "refresh-1" or "refresh-2", in_file().refresh_token)
    end
  end)

  it("a byte order mark before it", function()
    endpoint:answer(200, "\239\187\191" .. answer_with '"x":1')
    assert.equal("new", new_flow():get_access_token())
    assert.equal("refresh-2", in_file().refresh_token)
  end)

  it("a refresh token that cannot be read, and keeps the old one", function()
    endpoint:answer(200, [[{"access_token":"new","expires_in":3600,"refresh_token":"r\udead"}]])
    assert.equal("new", new_flow():get_access_token())
    assert.equal("refresh-1", in_file().refresh_token)
  end)

  it("a lifetime beyond all numbers", function()
    endpoint:answer(200, '{"access_token":"new","expires_in":1e999,"refresh_token":"refresh-2"}')
    assert.equal("new", new_flow():get_access_token())
    assert.equal("refresh-2", in_file().refresh_token)
  end)
end)

describe("a refresh token outlives", function()
  for what, text in pairs {
    ["a token_type that nobody knows"] = '"access_token":"new","token_type":"mac"',
    ["an access_token that cannot be read"] = [["access_token":"\ud83d"]],
    ["an access_token with a control character"] = [["access_token":"a\n"]],
    ["a missing access_token"] = '"token_type":"Bearer"',
  } do
    it(what .. ", which is reported", function()
      local flow = new_flow()
      endpoint:answer(200, '{"expires_in":3600,"refresh_token":"refresh-2","note":"other",'
        .. text .. "}")
      endpoint:behave("token")
      local token, err = flow:get_access_token()
      assert.is_nil(token)
      assert.equal("protocol", err.kind)
      assert.same({ access_token = "old", refresh_token = "refresh-2", expires_at = 5,
        authorized_at = 3, client_id = CLIENT_ID, note = "kept" },
        in_file())
      assert.equal("access-1", flow:get_access_token())
      assert.equal("refresh-1 refresh-2", sent())
    end)
  end

  it("that and a failing save", function()
    local flow = new_flow()
    local lines = keep_log()
    endpoint:answer(200, '{"access_token":"new","token_type":"mac","refresh_token":"refresh-2"}')
    endpoint:behave("token")
    local fails = function() return nil, "the disk is full" end
    local handler = flow.handler
    flow.handler = setmetatable({
      save_token_to_cache = fails, replace_cached_token = fails,
    }, { __index = handler })
    assert.is_nil((flow:get_access_token()))
    assert.matches("error the token could not be saved", lines[1], 1, true)
    assert.equal("refresh-1", in_file().refresh_token)
    flow.handler = handler
    assert.equal("access-1", flow:get_access_token())
    assert.equal("refresh-1 refresh-2", sent())
    assert.equal("refresh-2", in_file().refresh_token)
  end)
end)

describe("an error is understood in an answer with", function()
  it("something odd beside it", function()
    local flow = new_flow()
    keep_log()
    endpoint:answer(400, '{"error":"invalid_grant","trace":18446744073709551615,"x":"\255"}')
    local token, err = flow:get_access_token()
    assert.is_nil(token)
    assert.equal("reauthorize", err.kind)
    assert.equal("invalid_grant", err.code)
  end)
end)

describe("a cached token", function()
  it("is not read with anything odd in it: it would be altered by its renewal", function()
    for _, text in ipairs { '"id":18446744073709551615', [["name":"\ud83d"]], '"a":1,"a":2' } do
      local file = assert(io.open(dir:file("token"), "w"))
      file:write(answer_with(text))
      file:close()
      local info, err =
        tokencache.cache.file { cache_path = dir:file("token") }:get_cached_token()
      assert.is_nil(info)
      assert.equal("cache", err.kind)
    end
  end)
end)

describe("json.decode_answer", function()
  it("reads what decode reads, alike", function()
    local text = [=[
      {"a":[1,2.5,"x\u0000",true,false,null,{},[]],"b":9007199254740993,"c":"\u00e9"}]=]
    assert.equal(json.encode(assert(json.decode(text))),
      json.encode(assert(json.decode_answer(text))))
  end)

  it("leaves decode as strict as it is", function()
    assert(json.decode_answer '{"a":1,"a":2}')
    assert.is_nil((json.decode '{"a":1,"a":2}'))
    assert.is_nil((json.decode('"\255"', true)))
  end)

  it("lets the last of several members count, in whatever it is nested", function()
    local value = assert(json.decode_answer '[{"a":{"b":1},"c":0,"a":[1],"a":{"b":2,"b":3}}]')
    assert.same({ { a = { b = 3 }, c = 0 } }, value)
  end)

  it("refuses what is no JSON, without quoting it", function()
    for _, text in ipairs {
      "", "{", "<p>SECRET", '{"SECRET":1,}', '{"a":"SECRET}', "[01]", "{} x",
    } do
      local value, message = json.decode_answer(text)
      assert.is_nil(value)
      assert.matches("^not JSON: ", message)
      assert.is_nil(message:find("SECRET", 1, true))
    end
    assert.error_matches(function() json.decode_answer(nil) end, "string expected")
  end)
end)

for path, what in pairs {
  ["too-short"] = "of which more was announced",
  unended = "whose end does not come",
  ["half-chunked"] = "without its last chunk",
  ["bad-chunk"] = "whose last chunk is none",
} do
  it("a whole answer " .. what .. " is an answer", function()
    endpoint:behave(path)
    local seconds = path == "unended" and 0.5 or nil
    assert.equal("access-1", new_flow(seconds):get_access_token { timeout = seconds })
    assert.equal("whole", in_file().refresh_token)
    assert.equal("refresh-1", sent()) -- once: the answer is not taken for lost
  end)
end

it("half an answer that broke off is none, and is asked for once more", function()
  endpoint:behave("partial", "token")
  assert.equal("access-1", new_flow():get_access_token())
  assert.equal("refresh-1 refresh-1", sent())
end)
