#!/bin/sh
# Usage: tools/install.sh DIRECTORY MODE FROM FILE...
# Copies each file, named as in FROM, into the directory; with `remove` as its mode takes it away
# from there, and folders that get empty, up to `lua` in lua/5.4.
set -e
directory=$1 mode=$2 from=$3
shift 3
for file; do
  target=$directory/$file
  if [ "$mode" = remove ]; then
    rm -f "$target"
  else
    mkdir -p "${target%/*}"
    install -m "$mode" "$from/$file" "$target"
  fi
done
if [ "$mode" = remove ]; then
  [ ! -d "$directory/tokencache" ] || find "$directory/tokencache" -depth -type d -exec rmdir {} +
  case $directory in */lua/*) rmdir "$directory" "${directory%/*}" ;; esac
fi 2>/dev/null || true
