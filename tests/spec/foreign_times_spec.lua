-- The ends of tokens as other programs write them: read, and kept up in the form in which they
-- came.

local folder = require "support.folder"
local json = require "tokencache.json"
local process = require "support.process"
local stages = require "support.stage"
local timestamp = require "tokencache.util.timestamp"
local tokencache = require "tokencache"

local NOW = 1764475200 -- 2025-11-30T04:00:00Z

--- What a program writes of an end at NOW + 100, and what stands there an hour after NOW.
local FORMS = {
  { "seconds", "expires_at", NOW + 100, NOW + 3600 },
  { "seconds as text", "expires_at", tostring(NOW + 100), tostring(NOW + 3600) },
  { "milliseconds", "expires_at", (NOW + 100) * 1000, (NOW + 3600) * 1000 },
  { "milliseconds as text", "expires_at", NOW + 100 .. "000", NOW + 3600 .. "000" },
  { "a date", "expires_at", "2025-11-30T04:01:40Z", "2025-11-30T05:00:00Z" },
  { "JavaScript's date", "expires_at", "2025-11-30T04:01:40.123Z", "2025-11-30T05:00:00.000Z" },
  { "Go's date", "expiry", "2025-11-30T05:01:40.123456789+01:00",
    "2025-11-30T06:00:00.000000000+01:00" },
  { "Python's date without a zone", "expiry", "2025-11-30 04:01:40.5", "2025-11-30 05:00:00.0" },
  { "Azure's text", "expires_on", tostring(NOW + 100), tostring(NOW + 3600) },
  { "Google's milliseconds", "expiry_date", (NOW + 100) * 1000, (NOW + 3600) * 1000 },
}

describe("an end written by another program", function()
  local dir, path, stage

  before_each(function()
    dir = folder.new()
    path = dir:file("token")
    stage = stages.new()
    stage.now = NOW
  end)

  after_each(function() dir:remove() end)

  local function write(fields)
    fields.access_token, fields.refresh_token = "theirs", "r"
    process.write_file(path, json.encode(fields))
  end

  local function file_flow()
    return stage:user_flow { cache = tokencache.cache.file { cache_path = path } }
  end

  for _, form in ipairs(FORMS) do
    local field = form[2]
    it("as " .. form[1] .. " in " .. field .. " is read, and kept in that form", function()
      write { [field] = form[3], token_type = "Bearer" }
      local flow = file_flow()
      assert.equal("theirs", flow:get_access_token())
      assert.equal(NOW + 100, math.floor(flow:get_token_info().expires_at))
      stage.now = NOW + 90
      stage.on.request = function()
        return stages.answer { access_token = "ours", expires_in = 3510 }
      end
      assert.equal("ours", flow:get_access_token())
      local there = json.decode(process.read_file(path))
      assert.equal(form[4], there[field])
      if field ~= "expires_at" then assert.is_nil(there.expires_at) end
      assert.equal(NOW + 3600, file_flow():get_token_info().expires_at)
      assert.equal(1, #stage.requests)
    end)

    it("as " .. form[1] .. " in " .. field .. " is read from a user's handler too", function()
      stage.stored = { access_token = "theirs", refresh_token = "r", [field] = form[3] }
      local flow = stage:user_flow()
      assert.equal("theirs", flow:get_access_token())
      stage.now = NOW + 90
      stage.on.request = function()
        return stages.answer { access_token = "ours", expires_in = 3510 }
      end
      assert.equal("ours", flow:get_access_token())
      assert.equal(form[4], stage.stored[field])
      assert.equal("ours", stage:user_flow():get_access_token())
      assert.equal(1, #stage.requests)
    end)
  end

  it("is none where only a lifetime is told, unless it is told from when on", function()
    for _, case in ipairs { { {}, "access-1" }, { { created_at = NOW - 3540 - 1 }, "access-2" },
      { { created_at = NOW - 10 }, "theirs" },
      { { created_at = "2025-11-30T03:59:50Z" }, "theirs" },
      { { created_at = "some day" }, "access-3" },
    } do
      write { expires_in = 3600, created_at = case[1].created_at }
      assert.equal(case[2], file_flow():get_access_token())
    end
    write { expires_in = json.decode "9223372036854775807", created_at = NOW - 10 }
    assert.equal("theirs", file_flow():get_access_token())
    stage.stored = { access_token = "theirs", refresh_token = "r", expires_in = 3600 }
    assert.equal("access-4", stage:user_flow():get_access_token())
  end)

  it("is kept up beside created_at for who counts from there", function()
    write { expires_in = 3600, created_at = NOW - 7200 }
    assert.equal("access-1", file_flow():get_access_token())
    local there = json.decode(process.read_file(path))
    assert.equal(NOW, there.created_at)
    assert.equal(NOW + 3600, there.expires_at)
  end)

  it("is none as Go's time zero, or where it cannot be read", function()
    for _, expiry in ipairs { "0001-01-01T00:00:00Z", "soon", true } do
      write { expiry = expiry }
      assert.equal("theirs", file_flow():get_access_token())
    end
  end)
end)

describe("a date", function()
  it("is written as it was read, in every month and across leap years", function()
    local count = 0
    for seconds = -2208988800, 7258118400, 86400 * 29 + 3607 do
      local text = timestamp.like(seconds, "2000-01-01T00:00:00Z")
      assert.equal(seconds, (timestamp.read(text)), text)
      count = count + 1
    end
    assert.is_true(count > 3000)
    for text, seconds in pairs {
      ["1970-01-01T00:00:00Z"] = 0, ["2000-02-29T23:59:59Z"] = 951868799,
      ["2024-02-29t12:00:00z"] = 1709208000, ["2100-03-01T00:00:00+0000"] = 4107542400,
    } do
      assert.equal(seconds, (timestamp.read(text)))
      assert.equal(text, timestamp.like(seconds, text))
    end
    for _, text in ipairs { "", "2025-11-30", "2025-11-30T04:00:00 PST", "2025-11-30T04:00:00.Z"
    } do
      assert.is_nil((timestamp.read(text)))
    end
  end)
end)
