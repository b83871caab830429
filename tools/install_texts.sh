#!/bin/sh
# Usage: LUA=lua5.4 BUILD=build/lua5.4 tools/install_texts.sh DATADIR [remove]
# Has the command write its manual page and its completions, where they are looked for; or takes
# them away, and folders that get empty.
set -e
if [ "$2" != remove ] && ! "$LUA" -e 'require "argparse"' 2>/dev/null; then
  echo "tokencache(1) and its completions are left out: the command needs lua-argparse" >&2
  exit 0
fi

action=$2
case $BUILD in /*) build=$BUILD ;; *) build=$PWD/$BUILD ;; esac

# text ARGUMENT...: into $file
text() {
  if [ "$action" = remove ]; then
    rm -f "$file"
    return
  fi
  mkdir -p "$(dirname "$file")"
  LUA_PATH="$PWD/lua/?.lua;$PWD/lua/?/init.lua;;" LUA_CPATH="$build/?.so;;" \
    "$LUA" bin/tokencache "$@" >"$file"
}

file=$1/man/man1/tokencache.1 && text man
file=$1/bash-completion/completions/tokencache && text completion bash
file=$1/zsh/site-functions/_tokencache && text completion zsh
file=$1/fish/vendor_completions.d/tokencache.fish && text completion fish

[ "$action" != remove ] || for folder in man/man1 bash-completion/completions bash-completion \
  zsh/site-functions zsh fish/vendor_completions.d fish systemd/user systemd; do
  rmdir "$1/$folder" 2>/dev/null || true
done
