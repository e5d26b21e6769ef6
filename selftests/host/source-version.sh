#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# source-version.sh: what modinfo calls the source of a module names it.

. "$(dirname "$0")/../ktap.sh"
top=$(cd "$(dirname "$0")/../.." && pwd -P)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HOME=$work
unset GIT_DIR

history() {
	git -C "$work/tree" -c user.name=x -c user.email=x@example.com "$@"
}

version() {
	"$work/tree/rust/source-version"
}

# matches REGEX TEXT
matches() {
	[[ $2 =~ ^$1$ ]]
}

hash='[0-9a-f]{12}'

mkdir -p "$work/tree"/{rust,include,samples,Documentation}
cp "$top/rust/source-version" "$work/tree/rust"
touch "$work/tree"/{Kbuild,rust/a.rs,Documentation/a.rst}
ok "without a history it is a hash of the files" matches "$hash" "$(version 2>&1)"
history init -q
history add -A
history commit -q -m first
first=$(version)
ok "with one it is the commit" is "$first" "$(history rev-parse HEAD | cut -c 1-12)"

echo >>"$work/tree/Documentation/a.rst"
ok "a change of what is not in the module is none" is "$(version)" "$first"
history commit -q -a -m second
ok "and neither is its commit" is "$(version)" "$first"

echo >>"$work/tree/rust/a.rs"
changed=$(version)
ok "a change is seen" matches "$first-dirty-$hash" "$changed"
echo >>"$work/tree/rust/a.rs"
ok "another one is another" fails is "$(version)" "$changed"
history checkout -q rust/a.rs
touch "$work/tree/include/new.h"
ok "a file that git does not know is seen, too" matches "$first-dirty-$hash" "$(version)"
finish
