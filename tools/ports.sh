#!/bin/sh
# Usage: tools/ports.sh [PORT COMMAND...]
# Prints the other libcs and processors that the core can be built and run for on this machine.
# Runs a command with one's $CC and $EMULATOR; where it cannot be had, prints in TAP what it needs.

# choose PORT: sets $CC, $EMULATOR, and $needs, Debian's packages of both
choose() {
  EMULATOR=
  case $1 in
    musl) CC=musl-gcc needs="musl-tools" ;;
    i386)
      CC="i686-linux-gnu-gcc -static" # its dynamic loader is not there
      needs="gcc-i686-linux-gnu libc6-dev-i386-cross"
      ;;
    arm64)
      CC="aarch64-linux-gnu-gcc -static" EMULATOR=qemu-aarch64
      needs="gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user"
      ;;
    *) echo "tools/ports.sh: there is no port $1" >&2 && exit 2 ;;
  esac
}

probe=$(mktemp)
works() {
  echo 'int main(void) { return 0; }' | $CC -x c - -o "$probe" && $EMULATOR "$probe"
}

if [ $# -eq 0 ]; then
  for port in musl i386 arm64; do
    choose $port
    works >/dev/null 2>&1 && echo $port
  done
  rm -f "$probe"
  exit 0
fi

choose "$1"
shift
export CC EMULATOR
works >/dev/null 2>&1 || set -- echo "1..0 # SKIP it needs $needs"
rm -f "$probe"
exec "$@"
