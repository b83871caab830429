#!/bin/sh
# Usage: tools/chroot.sh sid tools/other_lua.sh lua5.5 [SUITE...]
# Installs a Lua that is optional in luas.list, on a release of Debian that has busted for it, and
# runs suites with it: the specs and the allocation trials unless named. lua-cjson is built from
# its source where Debian's package leaves that Lua out. Takes root.
set -eu
cd "$(dirname "$0")/.."
lua=${1:?usage: tools/other_lua.sh LUA [SUITE...]}
shift
[ $# -gt 0 ] || set -- "$lua" "alloc-$lua"
export DEBIAN_FRONTEND=noninteractive

tools/dependencies.sh test
apt-get install -y --no-install-recommends "$lua" "lib$lua-dev" </dev/null >/dev/null

build_cjson() (
  sed 's/^deb /deb-src /' /etc/apt/sources.list >/etc/apt/sources.list.d/source.list
  apt-get update >/dev/null
  cd "$(mktemp -d)"
  apt-get source --tar-only lua-cjson >/dev/null 2>&1
  tar --strip-components=1 -xf ./*.orig.tar.*
  # shellcheck disable=SC2046 # flags
  cc -w -O2 -fPIC -shared $(pkg-config --cflags "$lua") -o cjson.so lua_cjson.c strbuf.c fpconv.c
  install -D -m 644 cjson.so "/usr/local/lib/lua/${lua#lua}/cjson.so"
)
"$lua" -e 'require "cjson"' 2>/dev/null || build_cjson

make -s "build-$lua"
exec tests/run.sh "$@"
