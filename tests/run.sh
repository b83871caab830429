#!/bin/sh
# Usage: tests/run.sh [SUITE...]
# Runs suites, all unless named, some at a time, and sums up. Each leaves build/test/SUITE.tap.
cd "$(dirname "$0")/.." || exit 1
results=build/test
[ "${1:-}" = --one ] && suite=$2

# What asks for a name that there is not must not wait for a name server that is away.
export RES_OPTIONS="timeout:1 attempts:1"

# Up to GCC 13 and LLVM 16 a block of thread-local storage that begins 16 bytes into a page is
# mistaken for one with a header of glibc 2.19's, and LeakSanitizer crashes on what it reads there.
export ASAN_OPTIONS=intercept_tls_get_addr=0

# The long ones first, in halves, or one of them would go on when the others are over; beside what
# waits much what only computes, and that at the end.
luas=$(tools/luas.sh tested)
every_suite="$(printf '%s-1 %s-2\n' nginx nginx lua5.4 lua5.4 asan asan) packaging alloc-asan
  $(echo "$luas" | grep -vx lua5.4 | sed 's/.*/&-1 &-2/')
  simulate fuzz $(echo "$luas" | sed 's/^/alloc-/') asan-core core demo
  core-musl core-i386 core-arm64"

known_leaks() {
  env LSAN_OPTIONS="suppressions=$PWD/tests/asan/leaks.txt:print_suppressions=0" "$@"
}

# Leaks are looked for when the Lua state is closed.
asan() {
  libasan=$(cc -print-file-name=libasan.so)
  known_leaks env LD_PRELOAD="$libasan" \
    ASAN_OPTIONS="$ASAN_OPTIONS:detect_leaks=1" UBSAN_OPTIONS=print_stacktrace=1 "$@"
}

alloc() {
  known_leaks "$1/tests/alloc/alloc" "$1" tests/alloc/scenario.lua
  first=$?
  known_leaks env -u DBUS_SESSION_BUS_ADDRESS -u XDG_RUNTIME_DIR \
    "$1/tests/alloc/alloc" "$1" tests/alloc/files.lua || first=1
  for scenario in accounts device crypto signing rsa; do
    known_leaks "$1/tests/alloc/alloc" "$1" "tests/alloc/$scenario.lua" || first=1
  done
  BROWSER=true known_leaks "$1/tests/alloc/alloc" "$1" tests/alloc/login.lua
  second=$?
  known_leaks tests/alloc/with_redis.sh "$1/tests/alloc/alloc" "$1" tests/alloc/redis.lua
  third=$?
  known_leaks tests/alloc/with_memcached.sh "$1/tests/alloc/alloc" "$1" tests/alloc/memcached.lua &&
    return $((first || second || third))
}

# On LuaJIT where that is built, as it is the fastest.
simulate() {
  lua=luajit
  [ -e build/luajit/tokencache/_core.so ] || lua=lua5.4
  LUA_PATH='lua/?.lua;lua/?/init.lua;tests/?.lua;;' LUA_CPATH="build/$lua/?.so;;" \
    "$lua" tests/simulate.lua 20000 "${SEED:-1}" # the same each time; make simulate draws others
}

# half SUITE-1 or SUITE-2: its specs, the one half or the other; of a whole suite nothing
half() {
  case $1 in
    nginx-[12]) folder=tests/nginx ;;
    *-[12]) folder=tests/spec ;;
    *) return ;;
  esac
  find "$folder" -name '*_spec.lua' | LC_ALL=C sort | awk -v half="${1##*-}" 'NR % 2 == half % 2'
}

# shellcheck disable=SC2046,SC2086 # lists of names
run() {
  printf '%s\n' $every_suite | sed 'p; s/-[12]$//' | grep -qx "$1" ||
    { echo "there is no suite $1; there are:" $every_suite && return 2; }
  case $1 in
    core-*) tools/ports.sh "${1#core-}" tests/core/run.sh "build/$1/tests/core" ;;
    core | asan-core) tests/core/run.sh "build/$1/tests/core" ;;
    alloc-asan) alloc build/asan-lua5.4 ;;
    alloc-*) alloc "build/${1#alloc-}" ;;
    fuzz) tools/fuzz.sh 5 $(ls tests/fuzz/fuzz_*.c | sed 's|^tests/\(.*\)\.c$|build/\1|') ;;
    simulate) simulate ;;
    packaging) tests/packaging/run.sh ;;
    demo) tests/demo.sh ;;
    asan*) asan lua5.4 "$(command -v busted)" --run=asan --ignore-lua $(half "$1") ;;
    *) busted --run="${1%-[12]}" $(half "$1") ;; # on a Lua, or nginx
  esac
}

if [ "${1:-}" = --one ]; then
  # what only computes lets those go first that wait for an answer
  case $suite in alloc-* | simulate | fuzz) renice -n 5 $$ >/dev/null ;; esac
  run "$suite"
  exit
fi

rm -rf "$results"
mkdir -p "$results"
at_a_time=$(($(nproc 2>/dev/null || echo 2) * 5)) # four fifths of what most suites take they wait
# shellcheck disable=SC2086 # a list of names
printf '%s\n' ${*:-$every_suite} |
  xargs -P "$at_a_time" -I SUITE tests/suite.sh "$results" SUITE tests/run.sh --one SUITE

tools/sum.sh "$results"
