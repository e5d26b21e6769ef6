# SPDX-License-Identifier: GPL-2.0
"""What has to be so; if it is not, the script ends and says it. And what a call comes to."""

import errno
import sys


def check(condition, what):
    if not condition:
        sys.exit(str(what))


def tried(function, *arguments):
    """What it returns, or the name of its error."""
    try:
        return function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]


def fails(error, function, *arguments):
    """The function fails with that errno."""
    try:
        function(*arguments)
    except OSError as e:
        check(e.errno == error, f"{function.__name__}{arguments}: {e}")
        return
    sys.exit(f"{function.__name__}{arguments} did not fail")
