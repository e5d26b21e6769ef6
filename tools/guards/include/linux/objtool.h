/* SPDX-License-Identifier: GPL-2.0 */
/* No objtool looks at a program. */
#define ANNOTATE_NOENDBR
