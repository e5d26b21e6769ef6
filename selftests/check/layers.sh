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

# only LAYER NAME...: it uses these layers and no others.
only() {
	local layer=$1 used bad=0
	shift
	while IFS= read -r used; do
		[[ -z $used || " $* " == *" $used "* ]] || {
			echo "$layer uses $used"
			bad=1
		}
	done < <(selftests/check/layers.py "$layer")
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
