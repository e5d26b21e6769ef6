#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# hazards.sh: the driver of `make hazards`, in small. A stack is dirty without stable-pi and clean with
# it, the table says so, and a cell that were worse with it is an error.
#
# requires: stock kernel
# timeout: 180
# covers: tools/hazards-guest tools/hazards-page tools/hazards-load

. "$(dirname "$0")/lib.sh"

cells=$work/hazards.cells
: >"$cells"

# run STACK LOAD
run() {
	HAZARDS_RESULTS=$work HAZARDS_STACKS=$1 HAZARDS_LOADS=$2 tools/hazards-guest
}

# cell LOAD ARRANGEMENT: sets what its line holds.
declare reads_failed differ harmed killed
cell() {
	outcome=$(grep "\"load\":\"$1\",\"arrangement\":\"$2\"," "$cells")
	set_fields failed reads_failed unreadable differ harmed killed
	[ -n "$outcome" ]
}

page() {
	tools/hazards-page --part "$cells" >"$work/table"
}

ok "the cells of a stack run" run scsi-pi direct
ok "there are three" is "$(wc -l <"$cells")" 3
ok "without stable-pi" cell direct without
ok "writes fail whose buffers change" holds "$failed > 0"
ok "with its default arguments" cell direct default
# The disk copies the data after it has checked it; see the guide.
ok "none does" holds "$failed + $reads_failed + $differ + $harmed + $killed == 0"
ok "as the guide has it" cell direct guide
ok "nothing at all is found" holds "$failed + $reads_failed + $unreadable + $differ + $harmed + $killed == 0"
ok "there is a table" page
ok "which says both" grep -Eq '^scsi-pi +direct +[0-9]+ of [0-9]+ writes failed.* clean' "$work/table"
ok "a cell is not run twice" run scsi-pi direct
ok "there are three still" is "$(wc -l <"$cells")" 3
# Nothing wrong without it, by all that a cell may hold, and failed writes with it.
sed -Ei '/"without"/s/"(failed|reads_failed|unreadable|differ|fs|harmed|killed|digests|findings)":[0-9]+/"\1":0/g
	/"default"/s/"failed":[0-9]+/"failed":7/' "$cells"
ok "(what is worse with stable-pi is an error)" fails page
finish
