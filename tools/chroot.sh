#!/bin/sh
# Usage: tools/chroot.sh RELEASE[:ARCHITECTURE] [COMMAND...]
# Runs a command, .ci/run unless named, on the last commit in a chroot of that release of Debian, of
# which it makes one with nothing but git and make where there is none; bookworm:i386 is one of 32
# bits. The chroot is kept in CHROOTS, so the next run finds installed what this one needed. Takes
# root and debootstrap.
cd "$(dirname "$0")/.." || exit 1
release=${1:?usage: tools/chroot.sh RELEASE[:ARCHITECTURE] [COMMAND...]}
shift
[ $# -gt 0 ] || set -- .ci/run
root=${CHROOTS:-/var/tmp/tokencache}/$(echo "$release" | tr : -)

[ "$(id -u)" -eq 0 ] || { echo "tools/chroot.sh: only root can make a chroot" >&2; exit 1; }
command -v debootstrap >/dev/null || {
  echo "tools/chroot.sh: install debootstrap first" >&2
  exit 1
}

if [ ! -e "$root/made" ]; then
  architecture=$(echo "$release:$(dpkg --print-architecture)" | cut -d : -f 2)
  debootstrap --variant=minbase --include=git,make --arch="$architecture" "${release%:*}" "$root" \
    "${MIRROR:-}" || exit 1
  touch "$root/made"
fi
rm -rf "$root/tokencache"
git clone --quiet . "$root/tokencache" || exit 1
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
# npm trusts whom this machine trusts: its network may have a certificate authority of its own
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/trusted.crt" 2>/dev/null

# What is mounted goes with the last process that saw it.
exec unshare --mount sh -c '
  root=$1 && shift
  mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" &&
    mount -t tmpfs tmpfs "$root/tmp" &&
    exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
      LANG=C.UTF-8 NODE_EXTRA_CA_CERTS=/etc/trusted.crt chroot "$root" \
      sh -c "cd /tokencache && exec \"\$@\"" sh "$@"
' sh "$root" "$@"
