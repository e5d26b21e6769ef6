// SPDX-License-Identifier: GPL-2.0
/*
 * The C compiler's half of the layout check: layout.h holds what libclang found
 * about every type that bindgen saw, as assertions.
 */
#include "bindings_helper.h"
#include "layout.h"
