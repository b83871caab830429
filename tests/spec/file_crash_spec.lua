local file = require("tokencache._core").file
local folder = require "support.folder"
local process = require "support.process"
local suite = require "support.suite"
local traced = require "support.traced"

local KILLS = suite.is_in_full and 500 or 25

local SLOTS = 8

--- Writes without end, so to say: contents of many sizes that tell whether they are whole.
local WRITER = [[
  local path, seed = ...
  local core = require "tokencache._core"
  math.randomseed(tonumber(seed))
  local deadline = core.monotonic() + 60
  while core.monotonic() < deadline do
    local letter = string.char(math.random(97, 122))
    local bytes = letter:rep(math.random(10) == 1 and math.random(200000) or math.random(2000))
    assert(core.file.write(path, #bytes .. ":" .. bytes))
  end
]]

local function is_whole(bytes)
  local len, content = bytes:match("^(%d+):(.*)$")
  return tonumber(len) == #content and content == content:sub(1, 1):rep(#content)
end

local function quote(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

--- Returns the writer's pid. Lighter than process.start: this happens hundreds of times, and a
--- writer ends by itself.
local function start_writer(path, seed)
  local child = process.lua(WRITER, path, tostring(seed))
  local line = { "LD_PRELOAD=" .. quote(child.environment.LD_PRELOAD or "") }
  for _, word in ipairs(child) do
    line[#line + 1] = quote(word)
  end
  local pipe = io.popen(table.concat(line, " ") .. " >/dev/null 2>&1 </dev/null & echo $!", "r")
  local pid = pipe:read("*l")
  pipe:close()
  return pid
end

local function kill(pid)
  os.execute("kill -KILL " .. pid)
end

local function count(names)
  return select(2, names:gsub("%S+", ""))
end

describe("a file whose writer is killed #c", function()
  local dir, path

  before_each(function()
    dir = folder.new()
    path = dir:file("token")
  end)

  after_each(function()
    dir:remove()
  end)

  it(("at %d random instants is whole at every read"):format(KILLS), function()
    local reads, changes, last = 0, 0, nil

    local function read()
      local bytes, err = file.read(path)
      assert.is_nil(err)
      if bytes == nil then
        assert.is_nil(last, "the file vanished")
      elseif bytes ~= last then
        assert.is_true(is_whole(bytes), "torn: " .. bytes:sub(1, 20))
        changes, last = changes + 1, bytes
      end
      reads = reads + 1
    end

    local function see_changes(wanted)
      wanted = changes + wanted
      process.wait_until("a writer to write", function()
        for _ = 1, 100 do
          read()
          if changes >= wanted then return true end
        end
      end)
    end

    local previous, dying = nil, {}

    local function all_are_gone() -- a death may wait for the end of a sync
      while dying[1] and not process.is_alive(dying[1]) do
        table.remove(dying, 1)
      end
      return #dying == 0
    end

    local function kill_previous()
      kill(previous)
      all_are_gone()
      dying[#dying + 1] = previous
    end

    for i = 1, KILLS do
      local pid = start_writer(path, i)
      see_changes(2)
      for _ = 1, math.random(300) do read() end
      -- two writers at a time: what one leaves dying is met by a living one
      if previous then
        assert.is_true(process.is_alive(previous), "the writer had ended before it was killed")
        kill_previous()
      end
      previous = pid
      read()
      if i % 50 == 0 then
        assert.is_true(count(dir:names()) <= 1 + SLOTS, dir:names())
      end
    end
    kill_previous()
    process.wait_until("the last writers to be gone", function()
      read()
      return all_are_gone()
    end)
    assert.is_true(file.write(path, "1:x"))
    assert.equal("token", dir:names())
    assert.is_true(changes > KILLS and reads > KILLS)
  end)

  it("before any of its system calls holds the old content or the new", function()
    local write = [[
      local path, bytes = ...
      assert(require("tokencache._core").file.write(path, bytes))
    ]]
    local old, new = ("old"):rep(100), ("new"):rep(200)
    file.write(path, old)
    local status, output, calls = traced.run(path, write, new)
    assert.equal(0, status, output)
    local renamed, leftovers, seen = false, 0, {}
    for _, call in ipairs(calls) do
      local name = call:match("^[%w_]+")
      seen[name] = (seen[name] or 0) + 1
      file.write(path, old)
      status, output = traced.run(path, write, new,
        ("%s:signal=KILL:when=%d"):format(name, seen[name]))
      assert.equal(128 + 9, status, call .. "\n" .. output)
      assert.equal(renamed and new or old, file.read(path), "killed before " .. call)
      renamed = renamed or call:find("^rename") ~= nil
      leftovers = leftovers + count(dir:names()) - 1
      assert.is_true(count(dir:names()) <= 2, dir:names())
    end
    assert.is_true(renamed and leftovers > 0)
    assert.is_true(file.write(path, old))
    assert.equal("token", dir:names())
  end)
end)
