#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# ktap.sh: what selftests/ktap.sh makes of scripts that end well, badly and early; and
# that what they made goes, last first.

. "$(dirname "$0")/../ktap.sh"
cd "$(dirname "$0")/../.." || exit 1

out='' status=0

# script: one on standard input, with ktap.sh. Sets out and status.
script() {
	status=0
	out=$(bash <(echo '. selftests/ktap.sh' && cat) 2>&1) || status=$?
}

# says LINE...: these lines, in this order, and no others.
says() {
	is "$out" "$(printf '%s\n' 'KTAP version 1' "$@")"
}

script <<'END'
ok "one" true
ok "two" fails false
finish
END
ok "finish counts the cases" says "ok 1 one" "ok 2 two" "1..2"
ok "and ends well" is "$status" 0

script <<'END'
ok "one" is 1 2
finish
END
ok "what fails says what it was" says "# is       1" "# not      2" "not ok 1 one" "1..1"
ok "and ends badly" is "$status" 1

script <<'END'
ok "one" true
exit
END
ok "a script that ends early has no plan" says "ok 1 one"

script <<'END'
missing='' none=0 some=3
ok "a value that is 0" holds "$none == 0 && $some > 2"
ok "a value that is missing" fails holds "$missing == 0"
ok "a name" holds "$never == 0"
finish
END
ok "a value that is missing is not 0" grep -q '^ok 2 a value that is missing$' <<<"$out"
ok "a name that nothing has set ends the script" fails grep -qE '^1\.\.|^not ok|^ok 3' <<<"$out"

script <<'END'
defer echo "the first"
depth=${#deferred[@]}
defer echo "the second  with two blanks"
defer echo "the third"
defer echo "done already"
undefer echo "done already"
take_down "$depth"
defer false
finish
END
ok "what was made goes last first, and what does not go is a failure" says "the third" \
	"the second  with two blanks" "# failed: false " "the first" "not ok 1 what it made goes away" "1..1"
finish
