# SPDX-License-Identifier: GPL-2.0
"""What `make bench` measures, a subject a file, and what it shows of that."""
