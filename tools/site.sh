#!/bin/sh
# Makes a site of the manual in build/site, and with it the pictures, of docs/figures.tsv.
# The folders are as in the checkout, so that links need no change.
cd "$(dirname "$0")/.." || exit 1
manual=build/manual
pages="README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md $(echo docs/*.md)"

# what the pages link to, by its path in the checkout
linked() {
  # shellcheck disable=SC2086 # a list of names
  for page in $pages; do
    folder=$(dirname "$page")
    grep -o '](\([a-zA-Z._][^)#:]*\))' "$page" | sed "s|^](|$folder/|; s|)\$||"
  done | sed 's|[^/]*/\.\./||; s|^\./||' | sort -u
}

rm -rf "$manual" build/site
mkdir -p "$manual/docs/pictures" || exit
for path in $pages tools/site.css $(linked | grep -v '\.md$'); do
  mkdir -p "$manual/$(dirname "$path")" && cp -r "$path" "$manual/$path" || exit
done

# on a forge the comment is not seen, and the table below it says the same
sed -i 's|^<!-- picture: \([a-z-]*\): \(.*\) -->$|![\2](pictures/\1.svg)|' "$manual"/docs/*.md
for picture in $(cut -f 1 docs/figures.tsv | sort -u); do
  grep "^$picture	" docs/figures.tsv | cut -f 2- >"$manual/figures"
  gnuplot -e "figures='$manual/figures'; picture='$picture'" tools/pictures.gp \
    >"$manual/docs/pictures/$picture.svg" || exit
done
rm "$manual/figures"

mkdocs build --quiet || exit
echo "The manual is build/site/index.html"
