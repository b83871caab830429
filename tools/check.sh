#!/bin/sh
# Prints TAP: the checks that keep the house in order, each of them cheap.
cd "$(dirname "$0")/.." || exit 1
. tools/tap.sh
jobs=$(nproc 2>/dev/null || echo 2)

# holds for a command that finds nothing, and shows what it found
nothing() {
  found=$("$@")
  [ -z "$found" ] || { printf '%s\n' "$found" && false; }
}

c_files() { git ls-files --cached --others --exclude-standard '*.c' '*.h'; }
own_files() {
  git ls-files --cached --others --exclude-standard ':!tests/vendor' |
    grep -E '\.(c|h|lua|sh|mjs|md)$|^Makefile$|^\.ci/run$'
}

formatted() { c_files | xargs clang-format --dry-run -Werror; }
tidy() {
  flags="-std=gnu11 -Isrc $(pkg-config --cflags lua5.4 libsecret-1)"
  find src -name '*.c' | xargs -P "$jobs" -n 4 sh -c "clang-tidy --quiet \"\$@\" -- $flags" tidy
}
without_warnings() {
  make --no-print-directory -j"$jobs" LUA="$1" BUILD="build/werror/$1" WERROR=-Werror all
}
tests_without_warnings() {
  make --no-print-directory -j"$jobs" BUILD=build/werror/core WERROR=-Werror core-tests &&
    make --no-print-directory -j"$jobs" BUILD=build/werror/lua5.4 WERROR=-Werror alloc
}
lua_in_core() { grep -rnE '#include *[<"](lua|lauxlib|lualib|lua/)' src/core src/backend; }
version_tests() {
  grep -rn 'LUA_VERSION_NUM' src --include='*.[ch]' | grep -v '^src/lua/compat\.h:'
}
long_files() { own_files | xargs wc -l | awk '$2 != "total" && $1 > 500'; }
# of the kinds that no other check measures
long_lines() {
  own_files | grep -E '\.(sh|mjs)$' | xargs awk 'length($0) > 100 { print FILENAME ":" FNR }'
}
trailing_blanks() { own_files | xargs grep -nE '[[:space:]]+$'; }
scripts_parse() { own_files | grep -E '\.sh$|^\.ci/run$' | xargs -n 1 sh -n; }
servers_parse() { own_files | grep '\.mjs$' | xargs -n 1 node --check; }
check "luacheck" luacheck --quiet --no-color .
check "clang-format" formatted
check "clang-tidy" tidy
for lua in $(tools/luas.sh); do
  check "no warnings with $lua" without_warnings "$lua"
done
check "no warnings in the C tests" tests_without_warnings
check "src/core and src/backend know no Lua" nothing lua_in_core
check "only compat.h tests the version of Lua" nothing version_tests
check "no file is longer than 500 lines" nothing long_files
check "no line is longer than 100 columns" nothing long_lines
check "no blanks at the end of a line" nothing trailing_blanks
check "the manual becomes a site without a warning" tools/site.sh
check "the shell scripts parse" scripts_parse
check "the test servers parse" servers_parse
finish
