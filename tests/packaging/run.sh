#!/bin/sh
# Prints TAP: what `make install` and `luarocks make` put into a clean tree works from there, and
# needs no more libraries than it should.
cd "$(dirname "$0")/../.." || exit 1
here=$PWD
work=$(mktemp -d) server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$work"' EXIT
. tools/tap.sh
export CFLAGS=-O0 # nobody waits for what is built here

version_of() { [ "$1" = luajit ] && echo 5.1 || echo "${1#lua}"; }

install_with_make() {
  make --no-print-directory -C "$work/source" -j2 install LUA="$1" DESTDIR="$work/$1" PREFIX=/opt
}

luarocks_in() {
  (cd "$1" && shift && LUAROCKS_CONFIG="$work/$lua.luarocks" &&
    export LUAROCKS_CONFIG && luarocks --tree "$work/rocks" "$@")
}
# install FROM: by luarocks for $lua, into a tree of its own
install() {
  case $1 in
    checkout) luarocks_in "$work/source" make rockspec/tokencache-scm-1.rockspec ;;
    archive) luarocks_in "$released" install tokencache-9.8.7-1.rockspec ;;
    server) luarocks_in / install --server "http://127.0.0.1:$port" tokencache ;;
  esac
}

# A folder that is served; $port is where.
serve() {
  python3 -u -m http.server --bind 127.0.0.1 --directory "$1" 0 >"$work/serving" 2>&1 &
  server=$!
  until port=$(sed -n 's/.* port \([0-9]*\) .*/\1/p' "$work/serving") && [ -n "$port" ]; do
    kill -0 "$server" || return
    sleep 0.05
  done
}

# A repository of its own, in which a version is released.
repository=$work/repository released=$work/repository/build/release
in_repository() { git -C "$repository" -c user.name=x -c user.email=x@example.org "$@"; }
refuses() {
  ! "$repository/tools/release.sh" 9.8.7 >"$work/said" 2>&1 && grep "$1" "$work/said"
}
make_repository() {
  cp -R "$work/source" "$repository" && rm -rf "$repository/build" && in_repository init -q
}
commit_all() {
  in_repository add -A && in_repository commit -qm "Everything" --allow-empty &&
    in_repository tag -f v9.8.7
}
set_version() {
  sed -i 's/_VERSION = "[^"]*"/_VERSION = "9.8.7"/' "$repository/lua/tokencache/init.lua"
}
write_changelog() { echo "## [9.8.7] - 2001-02-03" >>"$repository/CHANGELOG.md"; }

# every_module TREE VERSION: the same Lua modules and shared objects as the sources
every_module() {
  (cd "$work/source/lua" && find tokencache -name '*.lua' | sort) >"$work/wanted"
  (cd "$1/share/lua/$2" && find tokencache -name '*.lua' | sort) >"$work/installed"
  diff "$work/wanted" "$work/installed" &&
    for module in $modules; do
      [ -x "$1/lib/lua/$2/tokencache/$module.so" ] || return 1
    done
}

# What make takes for this machine, as it says itself.
list_modules() { make -np "$@" 2>/dev/null | sed -n 's/^MODULES := //p'; }
modules=$(list_modules)

blanks="$work/a folder of/many words"
install_among_blanks() {
  make --no-print-directory -C "$work/source" "$1" LUA=lua5.4 DESTDIR="$blanks" \
    PREFIX="/opt/my own" BUILD=build/lua5.4
}
use_among_blanks() { use lua5.4 "$blanks/opt/my own"; }
nothing_left() {
  left=$(find "$work/a folder of" ! -type d) && [ -z "$left" ] || { echo "$left" && false; }
}
leaves_out() {
  for part in HTTP:_http REDIRECT:_redirect CRYPTO:_crypto REDIS:_redis MEMCACHED:_memcached \
    ZLIB:_zlib QRCODE:_qrcode SECRET_SERVICE:_secret_service; do
    case " $(list_modules "WITH_${part%:*}=0") " in
      *" ${part#*:} "*) echo "$part is not left out" && return 1 ;;
    esac
  done
}

# a compiler that finds headers of an old library
too_old() {
  mkdir -p "$work/old/include/$1" && echo "#define $3" >"$work/old/include/$1/$2" &&
    ! make -C "$work/source" "$4=$work/old" BUILD="$work/build" PLAIN="$work/plain" \
      "$work/plain/src/backend/$5.o" >"$work/said" 2>&1
  grep "$6" "$work/said"
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
  grep -q '^ExecStart="/opt/bin/tokencache"' "$1/share/systemd/user/tokencache.service"
}

# With two Luas in one PREFIX the command is the first one's.
two=$work/two
with_two() { make --no-print-directory -C "$work/source" "$1" LUA="$2" PREFIX="$two"; }
command_is_of() {
  command_works "$two" && head -1 "$two/bin/tokencache" | grep "$1\$" &&
    [ -f "$two/share/man/man1/tokencache.1" ]
}
few_folders_left() {
  left=$(cd "$two" && find . | sort | tr '\n' ' ')
  [ "$left" = ". ./bin ./lib ./share ./share/man " ] || { echo "$left" && false; }
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

# What luarocks is told for each Lua; of servers it knows none.
for lua in lua5.1 lua5.4 luajit; do
  cat >"$work/$lua.luarocks" <<END
rocks_servers = {}
rocks_provided = { argparse = "0.7.1-1" } -- by Debian
lua_version = "$(version_of "$lua")"
lua_interpreter = "$lua"
variables = {
  CFLAGS = "$CFLAGS -fPIC",
  LUA_BINDIR = "$(dirname "$(command -v "$lua")")",
  LUA_INCDIR = "$(pkg-config --cflags-only-I "$lua" | sed 's/^-I//; s/ .*//')",
}
END
done

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

for lua in $(tools/luas.sh tested); do
  tree=$work/$lua/opt
  check "make install LUA=$lua" install_with_make "$lua"
  check "$lua: every module is installed" every_module "$tree" "$(version_of "$lua")"
  check "$lua: the installed tree works" use "$lua" "$tree"
  check "$lua: man page, completions and units are installed" texts "$tree"
done
check "make install into folders with blanks" install_among_blanks install
check "what is installed there works" use_among_blanks
check "make uninstall" install_among_blanks uninstall
check "leaves no file" nothing_left
check "make install for one Lua" with_two install lua5.4
check "and for another" with_two install luajit
check "leaves the command to the first" command_is_of lua5.4
check "make uninstall of the second" with_two uninstall luajit
check "leaves it too" command_is_of lua5.4
check "make uninstall of the first" with_two uninstall lua5.4
check "leaves no more than a system has" few_folders_left
check "WITH_REDIS=0 and the like leave their modules out" leaves_out
check "an old libcurl is told" too_old curl curl.h "LIBCURL_VERSION_NUM 0x074f00" CURL_DIR http \
  "libcurl 7.80 or later is needed"
check "an old OpenSSL is told" too_old openssl opensslv.h "OPENSSL_VERSION_NUMBER 0x1010117fL" \
  OPENSSL_DIR crypto "OpenSSL 3 or later is needed"
check "the file cache needs no library but libc" needs_only_libc "$work/lua5.4/opt/lib/lua/5.4"

check "a repository to release from" make_repository
check "release.sh refuses what is not committed" refuses "git status"
in_repository add -A && in_repository commit -qm "Everything"
check "release.sh refuses where there is no tag" refuses "no tag v9.8.7"
commit_all >/dev/null
check "release.sh refuses another version" refuses "another _VERSION"
set_version && commit_all >/dev/null
check "release.sh refuses where the changelog has none" refuses "CHANGELOG.md has no line"
write_changelog && commit_all >/dev/null
check "release.sh makes an archive" "$repository/tools/release.sh" 9.8.7
check "whose rockspec lints" luarocks lint "$released/tokencache-9.8.7-1.rockspec"
check "as that of the checkout does" luarocks lint rockspec/tokencache-scm-1.rockspec


# rock LUA FROM: installed from there, it works from an empty directory
rock() {
  lua=$1 version=$(version_of "$1")
  rm -rf "$work/rocks"
  check "$1: luarocks installs it from $2" install "$2"
  check "$1: the rock has every module" every_module "$work/rocks" "$version"
  check "$1: it works" use "$1" "$work/rocks"
  check "$1: its command works" command_works "$work/rocks"
}
rock lua5.4 archive
rock lua5.1 checkout
serve "$released"
check "a release is made for a server" \
  env URL="http://127.0.0.1:$port" "$repository/tools/release.sh" 9.8.7
check "which has a manifest" luarocks-admin make_manifest "$released"
rock luajit server
rock lua5.4 server
rock lua5.1 server
rm -f "$work/rocks/lib/lua/5.1/tokencache"/_http.so "$work/rocks/lib/lua/5.1/tokencache"/_[rm]e*.so
check "lua5.1: it works without the libraries' modules" use lua5.1 "$work/rocks"

finish
