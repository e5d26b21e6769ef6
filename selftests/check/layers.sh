#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# layers.sh: a layer knows only what is below it, as Documentation/architecture.rst has it.
#
# shellcheck disable=SC2016

cd "$(dirname "$0")/../.." || exit 1
. selftests/ktap.sh

# The table "What a layer may use" of the page: "layer: layer, layer".
mapfile -t allowed < <(sed -n '/^What a layer may use$/,/^Beside the module:$/p' Documentation/architecture.rst |
	sed -nE 's/^``([a-z_/:]+)`` +(.*)$/\1: \2/p' | tr -d '`')

# The folder or file of a layer.
folder() {
	case $1 in
	workqueue) echo rust/workqueue.rs ;;
	*) echo "rust/$1" ;;
	esac
}

# code FILE...: without comments, and all of a `use` in one line, with the name of the file
# before it.
code() {
	local file
	for file; do
		sed -E 's,//.*$,,' "$file" | awk -v file="$file" '
			/^ *(pub(\([a-z ]*\))? )?use / { use = 1 }
			{ printf "%s", use ? $0 : file ":" $0 "\n" }
			use && /;/ { printf "\n"; use = 0 }
		' | sed -E "s,^ *((pub(\([a-z ]*\))? )?use ),$file: \1,"
	done
}

# uses LAYER: the layers that it names, one a line.
uses() {
	local files inside=$1
	mapfile -t files < <(find "$(folder "$1")" -name '*.rs' -not -path '*/tests/*' -not -path 'rust/block/*/tests/*')
	# Layers within a layer are layers of their own.
	[ "$1" != block ] || mapfile -t files < <(printf '%s\n' "${files[@]}" | grep -vE '^rust/block/(dm|integrity)/')
	code "${files[@]}" | sed -E 's,\s+, ,g' | grep -oE 'crate::(\{[^;]*\}|[a-z_]+(::(\{[^;]*\}|[a-z_]+))?)' |
		sed -E 's/crate:://' | names | sort -u | grep -vx "$inside"
}

# names: from what follows "crate::", the layers, block's own ones as block/dm.
names() {
	python3 -c '
import re, sys

def split(text):
    """The parts of a list in braces, at its own commas."""
    depth, part = 0, ""
    for char in text:
        depth += (char == "{") - (char == "}")
        if char == "," and not depth:
            yield part.strip()
            part = ""
        else:
            part += char
    if part.strip():
        yield part.strip()

def paths(text):
    """All paths that a tree of uses names, without its braces."""
    head, brace, rest = text.partition("{")
    if not brace:
        yield text
        return
    for part in split(rest[: rest.rindex("}")]):
        for path in paths(part):
            yield head + path

for line in sys.stdin:
    for path in paths(line.strip()):
        parts = path.split("::")
        if parts[0] == "block" and len(parts) > 1 and parts[1] in ("dm", "integrity"):
            print("block/" + parts[1])
        elif parts[0] in ("bindings", "block", "filter", "fs", "mm", "pi", "workqueue"):
            print(parts[0])
'
}

# only LAYER NAME...: it uses these layers and no others.
only() {
	local layer=$1 used bad=0
	shift
	while IFS= read -r used; do
		[[ " $* " == *" $used "* ]] || {
			echo "$layer uses $used"
			bad=1
		}
	done < <(uses "$layer")
	return "$bad"
}

ok "the page says which layer may use which" holds "${#allowed[@]} == 9"
for line in "${allowed[@]}"; do
	layer=${line%%:*}
	# shellcheck disable=SC2046 # a list
	ok "$layer uses what is below it" only "$layer" $(tr ',' ' ' <<<"${line#*:}")
done

# The control: the filter uses what the others must not.
ok "(a layer that uses more is found)" fails only filter pi
ok "device mapper's targets know nothing of protection information" fails \
	grep -rnE '\bpi::|stable_pi|integrity::' rust/block/dm --include='*.rs'
ok "and nothing of rust/filter is named below it" fails grep -rnE 'filter::|StablePi' rust/block rust/mm rust/fs rust/pi --include='*.rs'
finish
