#!/bin/sh
# Prints TAP: what `make install` and `luarocks make` put into a clean tree works from there, and
# needs no more libraries than it should.
cd "$(dirname "$0")/../.." || exit 1
here=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tools/tap.sh

version_of() { [ "$1" = luajit ] && echo 5.1 || echo "${1#lua}"; }

install_with_make() {
  make --no-print-directory -C "$work/source" -j2 install LUA="$1" DESTDIR="$work/$1" PREFIX=/opt
}

install_with_luarocks() {
  (cd "$work/source" && LUAROCKS_CONFIG="$work/luarocks.lua" \
    luarocks --lua-version "$1" --tree "$work/rocks-$1" make rockspec/tokencache-dev-1.rockspec)
}

# every_module TREE VERSION: the same Lua modules and shared objects as the sources
every_module() {
  (cd "$work/source/lua" && find tokencache -name '*.lua' | sort) >"$work/wanted"
  (cd "$1/share/lua/$2" && find tokencache -name '*.lua' | sort) >"$work/installed"
  diff "$work/wanted" "$work/installed" &&
    for module in $(sed -n 's/^MODULES := //p' Makefile); do
      [ -x "$1/lib/lua/$2/tokencache/$module.so" ] || return 1
    done
}

# use LUA TREE
use() {
  rm -rf "$work/empty" && mkdir "$work/empty" && cd "$work/empty" || return
  share=$2/share/lua/$(version_of "$1")
  env -i PATH="$PATH" LUA_PATH="$share/?.lua;$share/?/init.lua" \
    LUA_CPATH="$2/lib/lua/$(version_of "$1")/?.so" "$1" "$here/tests/packaging/use.lua"
  status=$?
  cd "$here" && return $status
}

# command TREE: it runs, and what it says of itself is there
command_works() {
  (cd / && env -i PATH="$PATH" HOME="$work" "$1/bin/tokencache" list) &&
    env -i HOME="$work" "$1/bin/tokencache" --version
}
texts() {
  for file in man/man1/tokencache.1 bash-completion/completions/tokencache \
    zsh/site-functions/_tokencache fish/vendor_completions.d/tokencache.fish; do
    grep -q keep "$1/share/$file" || return 1
  done
  grep -q '^ExecStart=/opt/bin/tokencache' "$1/share/systemd/user/tokencache.service"
}

# only libc: no libcurl where no request is made, no hiredis and libmemcached without their servers
needs_only_libc() {
  for module in _core _json; do
    ldd "$1/tokencache/$module.so" | grep -vE 'linux-vdso|libc\.so|ld-linux|statically' && return 1
  done
  ldd "$1/tokencache/_http.so" | grep -q libcurl &&
    ldd "$1/tokencache/_redis.so" | grep -q libhiredis &&
    ldd "$1/tokencache/_memcached.so" | grep -q libmemcached
}

# no server, and where Debian keeps headers and libraries
multiarch=$(cc -print-multiarch)
cat >"$work/luarocks.lua" <<END
rocks_servers = {}
rocks_provided = { argparse = "0.7.1-1" } -- by Debian
external_deps_subdirs = {
  bin = "bin", lib = { "lib/$multiarch", "lib" }, include = { "include", "include/$multiarch" },
}
END

mkdir "$work/source"
git ls-files --cached --others --exclude-standard -z |
  xargs -0 sh -c 'for file; do [ -e "$file" ] && printf "%s\\0" "$file"; done' each |
  tar --null -T - -cf - | tar -xf - -C "$work/source"

# nothing is built that needs a header which is not there
without_headers() {
  PKG_CONFIG_LIBDIR=/nowhere make -np CPPFLAGS=-nostdinc 2>/dev/null |
    grep '^MODULES := ' | grep -qvE '_qrcode|_secret_service'
}
check "without libqrencode and libsecret there are no modules for them" without_headers

for lua in lua5.4 lua5.3 lua5.1 luajit; do
  tree=$work/$lua/opt
  check "make install LUA=$lua" install_with_make "$lua"
  check "$lua: every module is installed" every_module "$tree" "$(version_of "$lua")"
  check "$lua: the installed tree works" use "$lua" "$tree"
  check "$lua: man page, completions and units are installed" texts "$tree"
done
check "the file cache needs no library but libc" needs_only_libc "$work/lua5.4/opt/lib/lua/5.4"

for version in 5.4 5.1; do
  tree=$work/rocks-$version
  check "luarocks make for Lua $version" install_with_luarocks "$version"
  check "Lua $version: the rock has every module" every_module "$tree" "$version"
  check "Lua $version: the rock works" use "lua$version" "$tree"
  check "Lua $version: its command works" command_works "$tree"
  for module in _http _redis _memcached; do
    rm -f "$tree/lib/lua/$version/tokencache/$module.so"
  done
  check "Lua $version: and without the libraries' modules" use "lua$version" "$tree"
done

finish
