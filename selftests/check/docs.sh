#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# docs.sh: the documentation builds without a warning.

cd "$(dirname "$0")/../.." || exit 1
. selftests/ktap.sh

if [ ! -e Documentation/conf.py ]; then
	skip "make docs" "there is no Documentation/conf.py"
	finish
fi
ok "make docs" make --silent docs
finish
