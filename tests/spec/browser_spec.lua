local browser = require "tokencache._browser"
local folder = require "support.folder"
local process = require "support.process"

local URL = "https://as.example/authorize?client_id=a&state=s1&scope=a+b%20c"

--- Opens the URL, waits until the browser is known to have failed or has written the file, and
--- closes. Its arguments are the URL and the file.
local OPEN = [[
  local url, file = ...
  local core = require "tokencache._core"
  local handle, err = require("tokencache._browser").open(url)
  if not handle then
    print("error", err.kind, err)
    return
  end
  for _ = 1, 2000 do
    local done = io.open(file)
    if handle:failed() then
      print("failed")
      break
    elseif done then
      print("opened")
      break
    end
    core.sleep(0.01)
  end
  handle:close()
  handle:close()
]]

describe("the browser", function()
  local dir

  before_each(function()
    dir = folder.new()
  end)

  after_each(function()
    dir:remove()
  end)

  --- An executable shell script; what it starts is no matter for a sanitizer.
  local function script(name, text)
    process.write_file(dir:file(name), "#!/bin/sh\nunset LD_PRELOAD\n" .. text .. "\n")
    dir:shell("chmod +x " .. name)
    return dir:file(name)
  end

  --- A browser that leaves its arguments, one a line, in the file "arguments".
  local function recorder(name)
    return script(name or "recorder", ('printf "%%s\\n" "$@" >%s/new && mv %s/new %s/arguments')
      :format(dir.path, dir.path, dir.path))
  end

  local function arguments()
    return process.read_file(dir:file("arguments"))
  end

  --- Runs OPEN in another process with $BROWSER set, or not.
  local function open(setting, environment, url)
    environment = environment or {}
    environment.BROWSER = setting or ""
    local child = process.lua(OPEN, url or URL, dir:file("arguments"))
    local status, output = process.run(child, { environment = environment })
    assert.equal(0, status, output)
    return (output:gsub("\n$", ""))
  end

  it("gets the URL as its last argument", function()
    assert.equal("opened", open(recorder() .. "  --new-window \tx"))
    assert.equal("--new-window\nx\n" .. URL .. "\n", arguments())
  end)

  it("gets the URL in place of %s", function()
    assert.equal("opened", open(recorder() .. " --url=%s,%s last %d"))
    assert.equal("--url=" .. URL .. "," .. URL .. "\nlast\n%d\n", arguments())
  end)

  it("is started without a shell", function()
    local url = "https://a/?$(touch${IFS}pwned);touch&x=`id`|cat>pwned#'\"\\*"
    assert.equal("opened", open(recorder() .. " ; touch $HOME > pwned", nil, url))
    assert.equal(";\ntouch\n$HOME\n>\npwned\n" .. url .. "\n", arguments())
    assert.equal("arguments recorder", dir:names())
  end)

  it("is the next one on the list where one cannot be started", function()
    assert.equal("opened", open("/no/such: :" .. dir.path .. "::" .. recorder() .. ":/no/other"))
    assert.equal(URL .. "\n", arguments())
  end)

  it("is the next one on the list where one fails", function()
    assert.equal("opened", open(script("broken", "exit 3") .. ":" .. recorder()))
    assert.equal(URL .. "\n", arguments())
  end)

  it("has failed where all fail", function()
    local killed = script("killed", "kill -KILL $$")
    assert.equal("failed", open(script("broken", "exit 1") .. ":" .. killed))
    assert.equal("failed", open("false:/no/such"))
  end)

  it("is xdg-open without $BROWSER, else open", function()
    local here = { PATH = dir.path .. ":/bin" }
    dir:shell("ln -s /bin/sh sh; ln -s /bin/mv mv")
    recorder("open")
    assert.equal("opened", open(nil, here))
    dir:shell("rm arguments open")
    recorder("xdg-open")
    script("open", "exit 1")
    assert.equal("opened", open(nil, here))
    assert.equal(URL .. "\n", arguments())
  end)

  it("that cannot be started is an error which tells the way out, and not the URL", function()
    local output = open("/no/such")
    assert.equal("error\tconfig\tno browser could be started; open the URL by hand, "
      .. "or name one in BROWSER", output)
    assert.equal(output, open(nil, { PATH = dir.path }))
    assert.equal(output, open(":::"))
    assert.equal(output, open(("x "):rep(1000)))
  end)

  it("opens web pages only", function()
    for _, url in ipairs {
      "", "-h", "--help", "file:///etc/passwd", "javascript:alert(1)", "http:/a", "ftp://a/",
      " http://a/", "http://a/ b", "http://a/\n", "https://a/\t", "https://a/\27[2J",
      "http://a/\127",
    } do
      local handle, err = browser.open(url)
      assert.is_nil(handle)
      assert.equal("config", err.kind)
      assert.truthy(err.message:find("url: only http and https", 1, true))
    end
    assert.has_error(function() browser.open("http://a/\0") end)
    assert.has_error(function() browser.open() end)
  end)

  it("shares no file, signal or process group with the program", function()
    local look = script("look", ([[
      cd %s
      links=$(readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2)
      echo "$links" >new
      for fd in /proc/$$/fd/*; do
        case $(readlink $fd) in *leaked*) echo leaked >>new;; esac
      done
      # not by grep: while it starts, the shell blocks signals
      while read -r line; do
        case $line in SigIgn*|SigBlk*) echo "$line" >>new;; esac
      done </proc/$$/status
      [ "$(ps -o pgid= -p $$ | tr -d ' ')" = $$ ] && echo leads >>new
      mv new arguments]]):format(dir.path))
    local child = process.lua("leaked = io.open(" .. ("%q"):format(dir:file("leaked"))
      .. ", 'w')\n" .. OPEN, URL, dir:file("arguments"))
    local _, output = process.run(
      process.behind({ "sh", "-c", "trap '' INT PIPE HUP; exec \"$@\"", "sh" }, child),
      { environment = { BROWSER = look } })
    assert.equal("opened\n", output)
    -- 32 and 33 are glibc's own
    local seen = arguments():gsub("SigIgn:\t0000000180000000", "SigIgn:\t0000000000000000")
    assert.equal(("/dev/null\n"):rep(3) .. "SigBlk:\t0000000000000000\n"
      .. "SigIgn:\t0000000000000000\nleads\n", seen)
  end)

  it("goes on after its handle is closed, and leaves no zombie", function()
    local waiting = script("waiting", ([[
      echo $$ >%s/new && mv %s/new %s/arguments
      until [ -e %s/go ] || ! [ -d %s ]; do sleep 0.01; done
      touch %s/gone]]):format(dir.path, dir.path, dir.path, dir.path, dir.path, dir.path))
    local child = process.lua([[
      local url, directory = ...
      local core = require "tokencache._core"
      local browser = require "tokencache._browser"
      local function wait_for(name)
        for _ = 1, 2000 do
          local file = io.open(directory .. "/" .. name)
          if file then
            local text = file:read("*l")
            file:close()
            return text
          end
          core.sleep(0.01)
        end
        error("no " .. name)
      end
      local function state_of(pid)
        local file = io.open("/proc/" .. pid .. "/stat")
        if not file then return "none" end
        local text = file:read("*a")
        file:close()
        return text:match("%) (%a)")
      end

      local handle = assert(browser.open(url))
      local pid = wait_for("arguments")
      print(handle:failed())
      handle:close()
      print(pcall(handle.failed, handle))
      assert(state_of(pid) ~= "none")
      handle = nil
      collectgarbage()
      io.open(directory .. "/go", "w"):close()
      wait_for("gone")
      for _ = 1, 2000 do
        if state_of(pid) == "Z" then break end
        core.sleep(0.01)
      end
      print(state_of(pid))
      assert(os.remove(directory .. "/gone"))
      assert(browser.open(url)):close()
      print(state_of(pid))
      wait_for("gone") -- the last of what it leaves in the directory
    ]], URL, dir.path)
    local _, output = process.run(child, { environment = { BROWSER = waiting } })
    assert.truthy(output:match("^false\nfalse\t[^\n]*the browser's handle is closed\nZ\nnone\n$"),
      output)
  end)

  it("has not failed where it ended well", function()
    local brief = script("brief", ("echo $$ >%s/new && mv %s/new %s/arguments")
      :format(dir.path, dir.path, dir.path))
    local child = process.lua([[
      local url, file = ...
      local core = require "tokencache._core"
      local handle = assert(require("tokencache._browser").open(url))
      for _ = 1, 2000 do
        assert(not handle:failed())
        local pid = io.open(file)
        if pid and not io.open("/proc/" .. pid:read("*l") .. "/stat") then
          print("ended", handle:failed())
          break
        end
        core.sleep(0.01)
      end
    ]], URL, dir:file("arguments"))
    local _, output = process.run(child, { environment = { BROWSER = brief .. ":false" } })
    assert.equal("ended\tfalse\n", output)
  end)
end)
