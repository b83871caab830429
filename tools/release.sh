#!/bin/sh
# Usage: tools/release.sh VERSION
# Makes the source archive and the rockspec of a release, in build/release, if what the sources say
# of it agrees: tag, version, changelog. URL= is the folder that the archive will be served from.
cd "$(dirname "$0")/.." || exit 1
version=${1:?usage: tools/release.sh VERSION}
tag=v$version name=tokencache-$version out=build/release

refuse() {
  echo "tools/release.sh: $1" >&2
  exit 1
}

echo "$version" | grep -qxE '[0-9]+\.[0-9]+\.[0-9]+' || refuse "$version is not like 1.2.3"
[ -z "$(git status --porcelain)" ] || refuse "commit or remove first what git status shows"
[ "$(git rev-parse -q --verify "$tag^{commit}")" = "$(git rev-parse HEAD)" ] ||
  refuse "the last commit has no tag $tag: git tag -s $tag"
grep -qF "_VERSION = \"$version\"" lua/tokencache/init.lua ||
  refuse "lua/tokencache/init.lua has another _VERSION"
grep -qE "^## \\[$version\\] - [0-9]{4}-[0-9]{2}-[0-9]{2}$" CHANGELOG.md ||
  refuse "CHANGELOG.md has no line \"## [$version] - \" and a date"

rm -rf "$out"
mkdir -p "$out"
git archive --prefix="$name/" "$tag" | gzip -n >"$out/$name.tar.gz" || exit 1
sed -e "s|^version = .*|version = \"$version-1\"|" \
  -e "s|^  url = .*|  url = \"${URL:+$URL/}$name.tar.gz\",|" \
  rockspec/tokencache-scm-1.rockspec >"$out/$name-1.rockspec"
ls "$out"/*
