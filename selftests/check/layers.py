#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
#
# layers.py LAYER: the other layers that the Rust sources of a layer name, one a line: bindings,
# block, block/dm, ... What a `use` has in braces counts, comments do not.

import pathlib
import re
import sys

WITHIN = {"block": ("dm", "integrity")}
LAYERS = {"bindings", "block", "filter", "fs", "mm", "pi", "workqueue"}


def sources(layer):
    """The files of a layer, without those of the layers within it."""
    path = pathlib.Path("rust") / layer
    if not path.is_dir():
        return [path.with_suffix(".rs")]
    within = [path / name for name in WITHIN.get(layer, ())]
    files = (file for file in path.rglob("*.rs") if "tests" not in file.parts)
    return [file for file in files if not any(inner in file.parents for inner in within)]


def split(tree):
    """The parts of a list, at the commas that are in no braces."""
    return re.findall(r"(?:[^,{}]|\{(?:[^{}]|\{[^{}]*\})*\})+", tree)


def paths(tree):
    """The paths that a tree of a `use` names."""
    head, brace, rest = tree.partition("{")
    if not brace:
        return [tree]
    return [head + path for part in split(rest.rpartition("}")[0]) for path in paths(part)]


def layers(text):
    """The layers that a source names behind `crate::`."""
    code = re.sub(r"\s+", "", re.sub(r"//.*", "", text))
    for tree in re.findall(r"crate::(\{[^;]*\}|\w+(?:::(?:\{[^;]*?\}|\w+))?)", code):
        for path in paths(tree):
            first, *rest = path.split("::")
            if first in LAYERS:
                inner = rest[:1] if rest[:1] and rest[0] in WITHIN.get(first, ()) else []
                yield "/".join([first, *inner])


named = {name for file in sources(sys.argv[1]) for name in layers(file.read_text())}
print("\n".join(sorted(named - {sys.argv[1]})))
