#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# dkms.sh: stable-pages-dkms on a Debian machine that is not running: it says what is
# missing, builds the modules for the machine's kernel once that is there, and leaves
# nothing behind. apt fetches compilers, headers and the source of the kernel.
#
# run: by name
# timeout: 1800
# covers: debian tools/dkms selftests/host/install

cd "$(dirname "$0")/../.." || exit 1
. qemu/lib.sh
. selftests/ktap.sh
. selftests/host/install/lib.sh
set +e

find_machine
find_packages stable-pages-dkms
make_work
ok "mmdebstrap goes on with the machine" go_on dkms
relay dkms
finish
