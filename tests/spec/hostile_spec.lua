-- What a browser may bring that nobody sent out: nothing of it is accepted, echoed raw, or sent on.

local log = require "tokencache.log"
local random_numbers = require "support.random_numbers"
local stages = require "support.stage"

local CODE = "the-code-of-the-user"

local stage, flow, state, pending

local function begin()
  local url
  stage = stages.new()
  flow = stage:user_flow()
  url, pending = flow:get_authorize_url()
  state = url:match("[?&]state=([^&]+)")
end

before_each(begin)

after_each(function()
  log.set_logger(nil)
end)

local function genuine()
  return stages.REDIRECT_URI .. "?code=" .. CODE .. "&state=" .. state
end

--- The response is refused before anything is asked of the server or the cache, and the login can
--- still be finished.
local function expect_refused(kind, query)
  local info, err = flow:exchange(stages.REDIRECT_URI .. query, pending)
  assert.is_nil(info)
  assert.equal(kind, err.kind, tostring(err))
  local message = tostring(err) .. (err.code or "") .. (err.description or "")
  assert.is_true(#message < 1200)
  assert.is_nil(message:find("[%c\127]"), message)
  assert.is_nil(message:find(CODE, 1, true), message)
  assert.is_nil(message:find(state, 1, true), message)
  assert.equal("", stage:acts())
  assert.equal(0, #stage.requests)
  assert.equal("access-1", assert(flow:exchange(genuine(), pending)).access_token)
  return err
end

describe("a response with", function()
  it("a forged state", function()
    local forgeries = {
      function() return "x" end,
      function() return state .. "x" end,
      function() return state:sub(2) end,
      function() return state:sub(1, -2) end,
      function() return state:sub(1, -2) .. "+" end,
      function() return state:lower() .. state:upper() end,
    }
    for _, forge in ipairs(forgeries) do
      begin()
      expect_refused("state", "?code=" .. CODE .. "&state=" .. forge())
    end
  end)

  it("no state", function()
    expect_refused("state", "?code=" .. CODE)
  end)

  it("an empty state", function()
    expect_refused("state", "?code=" .. CODE .. "&state=")
    begin()
    expect_refused("state", "?code=" .. CODE .. "&state")
  end)

  it("the state of another login", function()
    local url = flow:get_authorize_url()
    expect_refused("state", "?code=" .. CODE .. "&state=" .. url:match("[?&]state=([^&]+)"))
  end)

  it("two states, in any spelling and place", function()
    for _, second in ipairs { "&state=x", "&st%61te=x", "#state=x", "&state" } do
      begin()
      expect_refused("protocol", "?code=" .. CODE .. "&state=" .. state .. second)
    end
  end)

  it("two codes", function()
    expect_refused("protocol", "?code=" .. CODE .. "&code=mine&state=" .. state)
  end)

  it("no code, an empty one, or a list of them", function()
    for _, code in ipairs { "", "code=&", "code&", "code[]=" .. CODE .. "&" } do
      begin()
      expect_refused("protocol", "?" .. code .. "state=" .. state)
    end
  end)

  it("a query of 1 MB", function()
    expect_refused("protocol", "?code=" .. CODE .. "&state=" .. state .. "&x=" .. ("y"):rep(2 ^ 20))
  end)

  it("a million parameters", function()
    expect_refused("protocol", "?code=" .. CODE .. "&state=" .. state .. ("&x"):rep(10 ^ 6))
  end)

  it("NUL bytes, raw or encoded", function()
    for _, query in ipairs { "?code=a\0b&state=", "?x=\0&code=a&state=", "?code=a%00b&state=" } do
      begin()
      expect_refused("protocol", query .. state)
    end
  end)

  it("percent signs that encode nothing", function()
    for _, query in ipairs { "?code=%&state=", "?code=%4&state=", "?code=%zz&state=",
      "?%=x&code=a&state=", "?code=a%C3%&state=" } do
      begin()
      expect_refused("protocol", query .. state)
    end
  end)

  it("an error full of markup and control characters", function()
    local err = expect_refused("denied", "?error=%3Cscript%3Ealert(1)%3C/script%3E%1b%5B2J%0D%0A"
      .. "&error_description=%07%9b%C2%9B%7F%FF%ED%A0%80" .. ("%3C"):rep(1000)
      .. "&state=" .. state)
    assert.equal("<script>alert(1)</script>?[2J??", err.code)
    assert.matches("^%?%?%?%?%?", err.description)
    assert.is_true(#err.description < 256)
  end)

  it("an error, but not our state", function()
    local err = expect_refused("state", "?error=access_denied&state=x")
    assert.is_nil(err.code)
  end)

  it("an error that repeats our state and code", function()
    expect_refused("denied", "?error=access_denied&code=" .. CODE .. "&state=" .. state)
  end)
end)

describe("a pending login that is", function()
  local function refused(text)
    local info, err = flow:exchange(genuine(), text)
    assert.is_nil(info)
    assert.equal("state", err.kind)
    assert.is_nil(tostring(err):find(state, 1, true))
    assert.equal(0, #stage.requests)
  end

  it("empty, cut, longer, of another version, or nonsense", function()
    refused("")
    for len = 1, #pending - 1, 7 do
      local cut = pending:sub(1, len)
      if not cut:find("&redirect_uri=") then refused(cut) end
    end
    refused("2" .. pending:sub(2))
    refused(pending .. "&state=x")
    refused(pending .. "&more=x")
    refused(pending .. "%")
    refused(("\255"):rep(100))
    refused("1." .. ("&"):rep(2 ^ 20))
    refused(pending .. ("&"):rep(2 ^ 20))
    refused("1.\0" .. pending:sub(3))
  end)

  it("of another state, client or redirect URI", function()
    refused((pending:gsub("state=[^&]+", "state=x")))
    refused((pending:gsub("client_id=[^&]+", "client_id=x")))
    refused((pending:gsub("redirect_uri=[^&]+", "redirect_uri=x")))
    refused((pending:gsub("created=%d+", "created=999999999999999")))
    refused((pending:gsub("created=%d+", "created=-1")))
  end)
end)

describe("parse_auth_response_url", function()
  it("tells what is there, unchecked and decoded", function()
    assert.same({ code = "a b", state = "é" },
      flow:parse_auth_response_url(stages.REDIRECT_URI .. "?code=a+b&state=%C3%A9&x=%zz"))
    assert.same({ error = "access_denied" }, flow:parse_auth_response_url("?error=access_denied"))
    assert.same({ code = "AQBx_8-" }, flow:parse_auth_response_url(" AQBx_8-\n"))
  end)

  it("refuses what cannot be one", function()
    for _, text in ipairs { "", " \n", "https://app.example/callback", "a/b", "a%20b", "a\0b",
      "?code=a&code=b", "?code=%", "?code=" .. ("y"):rep(2 ^ 20), ("y"):rep(2 ^ 20) } do
      local response, err = flow:parse_auth_response_url(text)
      assert.is_nil(response, text:sub(1, 40))
      assert.equal("protocol", err.kind)
      assert.is_true(#tostring(err) < 200)
    end
  end)

  it("raises where the address is no string", function()
    for _, wrong in ipairs { 7, {}, true } do
      assert.has_error(function() flow:parse_auth_response_url(wrong) end)
    end
  end)
end)

describe("a response changed at random", function()
  it("is never accepted without our state, never raises, never gives the code away", function()
    local random = random_numbers(20261122)
    local pieces = { "&", "=", "%", "?", "#", "\0", "%00", "state=", "code=", "error=", "x",
      "\255", "&state=x", "&code=y", "+" }
    local accepted = 0
    for _ = 1, 3000 do
      local text = genuine()
      for _ = 1, random(3) do
        local at, piece = random(#text), pieces[random(#pieces)]
        text = text:sub(1, at - 1) .. piece .. text:sub(at + random(3) - 1)
      end
      local info, err = flow:exchange(text, pending)
      if info then
        accepted = accepted + 1
        assert.is_truthy(text:find("state=" .. state, 1, true), text)
        begin()
      else
        assert.is_truthy(({ protocol = true, state = true, denied = true })[err.kind], err.kind)
        assert.is_nil(tostring(err):find("[%c]"))
        assert.is_nil(tostring(err):find(state, 1, true))
      end
    end
    assert.is_true(accepted > 0) -- some changes do not matter
  end)
end)
