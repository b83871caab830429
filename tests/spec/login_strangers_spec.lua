-- Other users of the machine, who can read every command line and connect to every loopback port.

local folder = require "support.folder"
local http = require "socket.http"
local json = require "tokencache.json"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"
local redirect_listener = require "support.redirect_listener"
local started_browser = require "support.started_browser"

local STATE, callback = redirect_listener.STATE, redirect_listener.callback
local START = "/login/8fKq2"
local URL = "https://as.example/authorize?client_id=a&state=" .. STATE

--- What reads the address of a login from the processes' command lines, goes where that leads,
--- logs in as mallory and brings the answer, before the user does.
local ATTACK = [[
  const fs = require('fs');
  const http = require('http');
  const [provider, browser] = process.argv.slice(1);

  function request(url, body) {
    return new Promise((resolve, reject) => {
      const ours = http.request(url, { method: body ? 'POST' : 'GET' }, (answer) => {
        let text = '';
        answer.on('data', (piece) => { text += piece; });
        answer.on('end', () => resolve({ status: answer.statusCode, text,
          location: answer.headers.location }));
      });
      ours.on('error', reject);
      ours.end(body);
    });
  }

  function findAddress() {
    for (const pid of fs.readdirSync('/proc')) {
      let line = '';
      try { line = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8'); } catch { /* gone, or none */ }
      const words = line.split('\0');
      if (words[0] !== browser) continue;
      const found = words.find((word) => word.startsWith('http://127.0.0.1:'));
      if (found) return found;
    }
    return undefined;
  }

  (async () => {
    let url;
    while (!(url = findAddress())) await new Promise((resolve) => setTimeout(resolve, 10));
    if (!url.startsWith(provider)) {
      const answer = await request(url);
      console.log('start', answer.status);
      url = answer.location;
    }
    if (url) {
      const { text } = await request(`${provider}/test/login?user=mallory`, url);
      console.log('callback', (await request(text)).status);
    }
  })();
]]

--- Runs a command as another user.
local STRANGER = { "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups" }

describe("another user of the machine", function()
  if not process.is_root() then
    return pending "takes root, to be another user"
  end

  describe("at the listener", function()
    local server

    before_each(function()
      server = redirect_listener.open()
      assert(server.listener:send_to(START, URL))
    end)

    after_each(redirect_listener.close_last)

    local function start_stranger(port, words)
      return process.start(process.behind(STRANGER, process.lua([[
        local port, words = ...
        local client = assert(require("socket").connect("127.0.0.1", tonumber(port)))
        client:send(words)
        print(client:receive("*l"))
      ]], tostring(port), words)))
    end

    --- What the listener answers the stranger.
    local function ask_as_stranger(target)
      local child = start_stranger(server.port, server:http("GET", target))
      process.wait_until("the stranger", function()
        server:poll()
        return not child:is_running()
      end)
      return child:output()
    end

    it("neither begins a login nor ends it", function()
      assert.is_nil(server.listener:stranger())
      assert.matches("^HTTP/1.1 403 ", ask_as_stranger(START))
      assert.matches("^HTTP/1.1 403 ", ask_as_stranger(callback("1")))
      assert.is_nil(server.query)
      assert.is_true(server.listener:stranger() > 0)
      assert.equal(URL, server:get(START):header("location"))
      assert.is_true(server:still_waits())
    end)

    it("is not told from a stranger to the login, who knows nothing of it", function()
      assert.matches("^HTTP/1.1 400 ", ask_as_stranger("/callback?code=1&state=guessed"))
      assert.matches("^HTTP/1.1 404 ", ask_as_stranger("/login/guessed"))
      assert.is_nil(server.listener:stranger())
    end)

    it("is no stranger where they have called sudo", function()
      local _, uid = process.run { "id", "-u", "nobody" }
      local listener = process.start(process.lua([[
        local listener = assert(require("tokencache._redirect").open {
          host = "127.0.0.1", port = 0, path = "/callback", state = "st" })
        local ready = io.open(os.getenv("READY_FILE"), "w")
        ready:write(listener:port(), "\n")
        ready:close()
        local query
        repeat query = listener:poll(0.25) or listener:stranger() until query
        print(query)
      ]]), { ready = true, environment = { SUDO_UID = uid:gsub("\n", "") } })
      finally(function() listener:stop() end)
      local port = tonumber(listener.ready)
      start_stranger(port, ("GET /callback?code=1&state=st HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n")
        :format(port)):wait()
      listener:wait()
      assert.equal("code=1&state=st\n", listener:output())
    end)
  end)

  it("answers no login whose address was read from the browser's command line", function()
    local provider, work = oidc_provider.start(), folder.new()
    local children = {}
    finally(function() -- one: the last of several is the only one that is called
      for _, child in ipairs(children) do
        child:stop()
      end
      provider:stop()
      work:remove()
    end)
    -- a browser that takes its time, and ends with the test
    process.write_file(work:file("waiting-browser"), ([[#!/bin/bash
      unset LD_PRELOAD
      printf %s "$1" >$DIR/new && mv $DIR/new $DIR/start
      exec -a $DIR node -e 'const fs = require("fs");
        setInterval(() => fs.existsSync("$DIR") || process.exit(), 50)' "$1"
    ]]):gsub("%$DIR", (work.path)))
    work:shell("chmod +x waiting-browser")
    local attack = process.start { STRANGER[1], STRANGER[2], STRANGER[3], STRANGER[4], "node",
      "-e", ATTACK, provider.url, work.path }
    children[1] = attack

    local child = process.start(process.lua([[
      local json, tokencache = require "tokencache.json", require "tokencache"
      local options = assert(json.decode((...)))
      options.cache = tokencache.cache.memory {}
      local info, err = tokencache.flow.pkce(options):get_token_info()
      print("\n" .. assert(json.encode(info or { kind = err.kind })))
    ]], json.encode { provider = provider.provider, client_id = "public", scope = "openid read",
      redirect_uri = "http://127.0.0.1:0/callback" }), {
      environment = { BROWSER = work:file("waiting-browser"), SUDO_UID = "" } })
    children[2] = child

    attack:wait()
    if not attack:output():find("callback 200", 1, true) then -- it has failed: the user comes
      local url = started_browser.address(work)
      assert.is_nil(process.read_file(work:file("start")):find("state=", 1, true))
      http.request(provider:login(url))
    end
    child:wait()
    local said, text = child:output():match("^(.*)\n({.*})\n$")
    local info = json.decode(assert(text, child:output()))
    assert.equal("alice", provider:owner(info.access_token), attack:output())
    assert.equal("start 403\n", attack:output())
    assert.matches("Another user of this machine %(uid %d+%) has tried to take part", said)
  end)
end)
