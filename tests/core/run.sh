#!/bin/sh
# Usage: tests/core/run.sh DIRECTORY
# Runs each test program there, in $EMULATOR if that is set; one that dies counts as a failed test.
cd "$(dirname "$0")" && sources=$(ls test_*.c) && cd ../.. || exit 1
for source in $sources; do
  echo "# $source"
  $EMULATOR "$1/${source%.c}" || {
    status=$?
    [ $status -eq 1 ] || printf 'not ok 0 - %s died with status %d\n1..1\n' "$source" $status
  }
done
