rockspec_format = "3.0"
package = "tokencache"
version = "scm-1"

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
  "lua >= 5.1, < 5.6",
  "argparse >= 0.7", -- of the command
}

external_dependencies = {
  -- by their libraries alone: Debian's headers are where luarocks does not look
  CURL = { library = "curl" },
  HIREDIS = { library = "hiredis" },
  MEMCACHED = { library = "memcached" },
  MICROHTTPD = { library = "microhttpd" },
  OPENSSL = { library = "crypto" },
  ZLIB = { library = "z" },
}

build = {
  type = "make",
  variables = {
    CC = "$(CC)",
    CFLAGS = "$(CFLAGS)",
    CURL_DIR = "$(CURL_DIR)",
    HIREDIS_DIR = "$(HIREDIS_DIR)",
    MEMCACHED_DIR = "$(MEMCACHED_DIR)",
    MICROHTTPD_DIR = "$(MICROHTTPD_DIR)",
    OPENSSL_DIR = "$(OPENSSL_DIR)",
    ZLIB_DIR = "$(ZLIB_DIR)",
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
