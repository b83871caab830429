-- --help, the completions and the manual page say the same.

local commands = require "support.command"
local process = require "support.process"

describe("of the command #once,", function()
  local command, help = nil, {}

  setup(function()
    command = commands.new()
    help[1] = command:ask { "--help" }
    for name in help[1]:match("Commands:\n(.-)\n\n"):gmatch "\n?   (%S+)  " do
      help[name] = command:ask { name, "--help" }
    end
  end)

  teardown(function()
    command:remove()
  end)

  --- The option, or the command, and what --help says of it.
  local function each_option(text)
    local block = text:match "Options:\n(.-)\n\n" or text:match "Options:\n(.*)$"
    return block:gsub("\n    +", " "):gmatch "   ([-][^\n]-)  +([^\n]+)"
  end

  it("the manual page has what --help has", function()
    local page = command:ask { "man" }
    process.write_file(command.home .. "/tokencache.1", page)
    local _, problems = process.run { "mandoc", "-T", "lint", "-W", "error",
      command.home .. "/tokencache.1" }
    assert.equal("", problems)
    page = page:gsub("\\(.)", "%1"):gsub("%s+", " ")
    for name, text in pairs(help) do
      local section = name == 1 and page:match " .SH OPTIONS (.-) .SH "
        or page:match(" .SS tokencache " .. name:gsub("%-", "%%-") .. " (.-) .S[SH] ")
      local count = 0
      for option, description in each_option(text) do
        count = count + 1
        local at = section:find(option .. " " .. description, 1, true)
        assert.is_truthy(at, option .. " of " .. name)
      end
      assert.is_true(count > 0)
    end
  end)

  it("--help, the manual page and the documentation have every exit status", function()
    local page = command:ask { "man" }:gsub("\\(.)", "%1")
    local documented = process.read_file "docs/command.md"
    for _, exit in ipairs(require("tokencache.command.say").exits) do
      assert.matches(("\n.TP\n.B %d\n%s\n"):format(exit[1], exit[3]), page, 1, true)
      assert.matches(("\n  %-3d %s\n"):format(exit[1], exit[3]), help[1] .. "\n", 1, true)
      assert.matches(("\n| %d | "):format(exit[1]), documented, 1, true)
    end
  end)

  it("the examples of --help are in the manual page too", function()
    local example = help.login:match "Examples:\n(.*)$"
    assert.is_truthy(command:ask { "man" }:gsub("\\%-", "-"):gsub("\\e", "\\")
      :find(example, 1, true))
  end)

  it("every preset is named", function()
    local _, names = pcall(function() return require("tokencache").provider.nobody end)
    assert.is_truthy(help.login:gsub("%s+", " "):find(names:match "there is (.*)$", 1, true))
  end)

  it("help is another word for --help", function()
    assert.equal(help[1], command:ask { "help" })
    assert.equal(help.token, command:ask { "help", "token" })
    assert.equal(2, (command:run { "help", "nothing" }))
  end)

  it("bash completes commands and options", function()
    process.write_file(command.home .. "/completion", command:ask { "completion", "bash" })
    local function complete(...)
      local status, output = process.run { "bash", "-c", '. "$0"; COMP_WORDS=(tokencache "$@"); '
        .. 'COMP_CWORD=$#; _tokencache; echo "${COMPREPLY[@]}"', command.home .. "/completion",
        ... }
      assert.equal(0, status, output)
      return output
    end
    assert.equal("keep-fresh\n", complete "keep")
    assert.equal("--min-valid\n", complete("token", "--min"))
    for name, text in pairs(help) do
      local seen = " " .. (name == 1 and complete "--" or complete(name, "--")):gsub("\n", " ")
      for option in each_option(text) do
        local long = option:match "%-%-[%w-]+"
        assert.is_truthy(seen:find(" " .. long .. " ", 1, true), long)
      end
    end
  end)

  for _, shell in ipairs { "zsh", "fish" } do
    it(shell .. " reads its completions, which have every command and option", function()
      local text = command:ask { "completion", shell }
      process.write_file(command.home .. "/completion", text)
      local status, output = process.run { shell, "-n", command.home .. "/completion" }
      assert.equal(0, status, output)
      for name, of_command in pairs(help) do
        assert.is_truthy(name == 1 or text:find(name, 1, true))
        for option in each_option(of_command) do
          local long = option:match "%-%-([%w-]+)"
          assert.is_truthy(text:find((shell == "fish" and "-l " or "--") .. long, 1, true), long)
        end
      end
    end)
  end
end)
