#!/bin/sh
# Usage: tools/dependencies.sh build|demo|provider|nginx|test|check|bench|docs|fuzz
# Installs what that purpose needs and this machine lacks. Where all is there it only looks: no
# network, no root. On other systems than Debian and its kin it names what is missing.
set -u
cd "$(dirname "$0")/.." || exit 1
purpose=${1:?usage: tools/dependencies.sh build|demo|provider|nginx|test|check|bench|docs|fuzz}
missing=""
npm=""

# need PACKAGE PROBE...: Debian's name for it, and a command that succeeds where it is present; of
# names with a bar between them, the first that this release has; "-" is none, where it can be
# spared
need() {
  package=$1
  shift
  "$@" >/dev/null 2>&1 || missing="$missing $package"
}

program() { command -v "$1"; }
library() { pkg-config --exists "$1"; }
module() { "lua$1" -e "require '$2'"; }
debians_python() { /usr/bin/python3 -c "import $1"; }
has_fuzzer() {
  echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
    clang -fsanitize=fuzzer -x c - -o /dev/null
}
has_material() { ls -d /usr/share/mkdocs/themes/material || debians_python material; }
header() { echo "#include <$1>" | cc -E -; }

compiler() {
  need gcc program cc
  need libc6-dev header stdlib.h
  need pkg-config program pkg-config
  need libcurl4-openssl-dev library libcurl
  need libmicrohttpd-dev library libmicrohttpd
  need libssl-dev library libssl
  need libhiredis-dev library hiredis
  need libmemcached-dev library libmemcached
  need zlib1g-dev library zlib
}

lua54() {
  need lua5.4 program lua5.4
  need liblua5.4-dev library lua5.4
}

all_luas() {
  for lua in $(tools/luas.sh required); do
    [ "$lua" != luajit ] || { jit && continue; }
    need "$lua" program "$lua"
    need "lib$lua-dev|lib$lua-0-dev" library "$lua"
  done
}

# the one that nginx's Lua module is built with
jit() {
  need "luajit2|luajit" program luajit
  need "libluajit2-5.1-dev|libluajit-5.1-dev" library luajit
}

nginx_with_lua() {
  need nginx program nginx
  need libnginx-mod-http-lua test -e /usr/lib/nginx/modules/ngx_http_lua_module.so
}

fuzzers() {
  need clang program clang
  need libclang-rt-dev has_fuzzer
}

manual() {
  need mkdocs program mkdocs
  need mkdocs-material has_material
  need gnuplot-nox program gnuplot
}

# npm where Node is absent brings several hundred packages: only then.
node_and_npm() {
  npm=yes
  need nodejs program node
  need npm program npm
  need ca-certificates test -s /etc/ssl/certs/ca-certificates.crt
}

case $purpose in
  build) compiler && lua54 ;;
  demo)
    compiler
    lua54
    [ -n "${SPOTIPY_CLIENT_ID:-}" ] && [ -n "${SPOTIPY_CLIENT_SECRET:-}" ] || node_and_npm
    ;;
  provider) node_and_npm ;;
  nginx) # the examples
    compiler
    jit
    nginx_with_lua
    [ -n "${SPOTIPY_CLIENT_ID:-}${TOKEN_URL:-}" ] || node_and_npm
    ;;
  test)
    compiler
    all_luas
    fuzzers
    node_and_npm
    need chromium program chromium
    need "glewlwyd|-" program glewlwyd
    need sqlite3 program sqlite3
    need libasan8 test -e "$(cc -print-file-name=libasan.so 2>/dev/null || echo libasan.so)"
    need libsecret-1-dev library libsecret-1
    need libsecret-tools program secret-tool
    need gnome-keyring program gnome-keyring-daemon
    need dbus-daemon program dbus-daemon
    need dbus-bin program dbus-send
    need lua-busted program busted
    need lua-cjson module 5.4 cjson
    need lua-redis module 5.3 redis
    need lua-socket module 5.4 socket
    need luarocks program luarocks
    need curl program curl
    need fish program fish
    need git program git
    need lua-argparse module 5.4 argparse
    need mandoc program mandoc
    need msmtp program msmtp
    need openssl program openssl
    nginx_with_lua
    need libqrencode-dev header qrencode.h
    need lua-nginx-redis test -e /usr/share/lua/5.1/nginx/redis.lua
    need lua-nginx-memcached test -e /usr/share/lua/5.1/nginx/memcached.lua
    need procps program ps
    need prometheus program promtool
    need python3-aiosmtpd debians_python aiosmtpd
    need python3-django-redis debians_python django_redis
    need python3-django-oauth-toolkit debians_python oauth2_provider
    need python3-flask debians_python flask
    need python3-flask-session debians_python flask_session
    need "python3-msgspec|python3-flask-session" debians_python \
      "flask_session; hasattr(flask_session, 'sessions') or __import__('msgspec')" # from 0.7 on
    need python3-redis debians_python redis
    need python3-msgpack debians_python msgpack
    need lua-sql-sqlite3 module 5.3 luasql.sqlite3
    need lua-sql-postgres module 5.4 luasql.postgres
    need postgresql sh -c 'ls /usr/lib/postgresql/*/bin/initdb'
    need python3-psycopg2 debians_python psycopg2
    need python3-requests /usr/bin/python3 -c "import requests" # for spotipy, in tests/vendor
    need memcached program memcached
    need python3-binary-memcached debians_python bmemcached
    need python3-pylibmc debians_python pylibmc
    need python3-pymemcache debians_python pymemcache
    need python3-uhashring debians_python uhashring
    need redis-server program redis-server
    need nutcracker program /usr/sbin/nutcracker # twemproxy
    need strace program strace
    need systemd program systemd-analyze
    need util-linux program setpriv
    need wrk program wrk
    need zsh program zsh
    ;;
  check)
    compiler
    manual
    all_luas
    need clang-format program clang-format
    need clang-tidy program clang-tidy
    need libsecret-1-dev library libsecret-1
    need libqrencode-dev header qrencode.h
    need lua-check program luacheck
    ;;
  bench)
    compiler
    all_luas
    node_and_npm
    need golang-go program go
    need golang-golang-x-oauth2-dev test -d /usr/share/gocode/src/golang.org/x/oauth2
    need lua-dkjson module 5.4 dkjson
    need lua-socket module 5.4 socket
    need memcached program memcached
    need nginx program nginx
    need libnginx-mod-http-lua test -e /usr/lib/nginx/modules/ngx_http_lua_module.so
    need lua-nginx-redis test -e /usr/share/lua/5.1/nginx/redis.lua
    need python3-django debians_python django
    need python3-flask debians_python flask
    need python3-requests debians_python requests # for spotipy, in tests/vendor
    need redis-server program redis-server
    need wrk program wrk
    ;;
  docs) manual ;;
  fuzz)
    compiler
    fuzzers
    ;;
  *)
    echo "tools/dependencies.sh: unknown purpose $purpose" >&2
    exit 2
    ;;
esac

finish() {
  [ -z "$npm" ] || exec tools/oidc_provider.sh
  exit 0
}
[ -z "$missing" ] && finish

if ! command -v apt-get >/dev/null; then
  echo "To $purpose, install what provides these (Debian's names):$missing" >&2
  exit 1
fi

as_root=""
if [ "$(id -u)" -ne 0 ]; then
  as_root="sudo --preserve-env=DEBIAN_FRONTEND"
  if ! command -v sudo >/dev/null; then
    echo "To $purpose, first run as root: apt-get install$missing" >&2
    exit 1
  fi
fi

export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT

packages() {
  for names in $missing; do
    chosen=""
    for name in $(echo "$names" | tr '|' ' '); do
      [ -n "$chosen" ] || { [ "$name" != - ] && [ -z "$(apt-cache show "$name" 2>/dev/null)" ]; } ||
        chosen=$name
    done
    [ "$chosen" = - ] || echo "${chosen:-$names}"
  done
}

install() {
  # shellcheck disable=SC2046 # a list of names
  $as_root apt-get install -y --no-install-recommends $(packages) >"$log" 2>&1 </dev/null
}

echo "Installing$missing"
# Only a machine whose package lists are absent or old needs the update.
install || { $as_root apt-get update >"$log" 2>&1 </dev/null && install; } || {
  tail -n 20 "$log" >&2
  echo "Could not install$missing; the reason is above." >&2
  echo "Install what provides them in another way, then try again." >&2
  case $missing in
    *nodejs*)
      echo "Any Node from 18 on will do. make demo needs none where SPOTIPY_CLIENT_ID and" >&2
      echo "SPOTIPY_CLIENT_SECRET name a client of Spotify's." >&2
      ;;
  esac
  exit 1
}
rm -f "$log"
finish
