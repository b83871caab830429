rockspec_format = "3.0"
package = "tokencache"
version = "dev-1"

source = {
  url = "git+file://.", -- for `luarocks make`, which builds the checkout it is run in
}

description = {
  summary = "OAuth 2.0 tokens, cached and renewed",
  detailed = [[
    Gets an access token, keeps it in a cache of your choice and renews it before it expires.
    The core is C and does no I/O; cache handlers and transports can be ours or yours.
  ]],
  license = "MIT",
}

supported_platforms = { "unix" }

dependencies = {
  "lua >= 5.1, < 5.5",
  "argparse >= 0.7", -- of the command
}

external_dependencies = {
  CURL = { header = "curl/curl.h", library = "curl" },
}

build = {
  type = "make",
  variables = {
    CC = "$(CC)",
    CFLAGS = "$(CFLAGS)",
    CPPFLAGS = "-I$(CURL_INCDIR)",
    LDFLAGS = "-L$(CURL_LIBDIR)",
    LUA_INCDIR = "$(LUA_INCDIR)",
    BUILD = "build/luarocks/$(LUA_INCDIR)", -- a folder for each version of Lua
    LUADIR = "$(LUADIR)",
    LIBDIR = "$(LIBDIR)",
    PREFIX = "$(PREFIX)",
    LUA_COMMAND = "$(LUA)",
  },
  build_target = "all",
  install_target = "install",
}

test = {
  type = "command",
  command = "make test",
}
