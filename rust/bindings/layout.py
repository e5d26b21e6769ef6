#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Hold the layouts of C types that three compilers see against each other.

bindgen writes the sizes and field offsets that libclang found. From them this
makes assertions for the C compiler (layout.h) and, for each type that
kernel::bindings has too, for rustc (layout.rs). It fails itself where a name
that the module generates shadows one of kernel::bindings.
"""

import argparse
import os
import re
import sys

SIZE = re.compile(r'\["Size of (\w+)"\]\[::core::mem::size_of::<\w+>\(\) - (\d+)usize\]')
OFFSET = re.compile(
    r'\["Offset of field: (\w+)::(\w+)"\]\s*'
    r'\[::core::mem::offset_of!\(\w+, \w+\) - (\d+)usize\]')
TYPEDEF = re.compile(r'^pub type (\w+) = (?:struct|union)_\1;', re.M)
ITEM = re.compile(r'^(?:pub |unsafe extern "C" \{\n(?: +#\[.*\]\n)* +pub )'
                  r'(?:struct|union|type|fn|const|static)(?: mut)? (\w+)', re.M)
BODY = re.compile(r'^pub (?:struct|union) (\w+)(?:<[^>]*>)? \{\n(.*?)^\}', re.M | re.S)
FIELD = re.compile(r'^    pub (\w+):', re.M)
RUST_KEYWORDS = {'type', 'in', 'ref', 'mod', 'fn', 'match', 'move', 'self', 'use', 'where',
                 'final', 'priv', 'virtual', 'override', 'async', 'dyn', 'impl', 'let', 'loop',
                 'mut', 'pub', 'super', 'trait', 'try', 'unsafe', 'yield', 'box', 'macro'}


def c_type(name, typedefs):
    """The C spelling of a type that bindgen named with --c-naming.

    bindgen gives a tag to a nameless type with a typedef, too.
    """
    if bare(name) in typedefs:
        return bare(name)
    return re.sub(r'^(struct|union)_', r'\1 ', name)


def bare(name):
    """The name that bindgen gives the type without --c-naming."""
    return re.sub(r'^(struct|union)_', '', name)


def c_field(name):
    return name[:-1] if name.endswith('_') and name[:-1] in RUST_KEYWORDS else name


def nameless(name):
    return '__bindgen' in name or '_bindgen' in name or name.startswith(('__builtin', '__va_'))


def write(path, lines):
    tmp = path + '.tmp'
    with open(tmp, 'w', encoding='ascii') as f:
        f.write('\n'.join(lines) + '\n')
    os.replace(tmp, path)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    for a in ('reachable', 'generated', 'kernel', 'c', 'rust'):
        p.add_argument('--' + a, required=True)
    a = p.parse_args()
    read = {}
    for name in ('reachable', 'generated', 'kernel'):
        with open(getattr(a, name), encoding='utf-8') as f:
            read[name] = f.read()
        # Without it bindgen writes all in one line, and goes on; nothing would be found there.
        if read[name].count('\n') < 100:
            sys.exit(f'error: {getattr(a, name)} is in one line: there was no rustfmt')

    # __BindgenBitfieldUnit is bindgen's own, not C's, and private to each output.
    shadows = sorted(set(ITEM.findall(read['generated'])) & set(ITEM.findall(read['kernel'])) -
                     {'__BindgenBitfieldUnit'})
    if shadows:
        sys.exit('error: generated names that shadow those of kernel::bindings '
                 '(take them out of bindgen_parameters): ' + ' '.join(shadows))

    sizes = [(n, int(v)) for n, v in SIZE.findall(read['reachable']) if not nameless(n)]
    offsets = [(n, f, int(v)) for n, f, v in OFFSET.findall(read['reachable'])
               if not nameless(n) and not nameless(f) and not f.startswith('_bitfield')]
    if len(sizes) < 10 or len(offsets) < 100:
        sys.exit('error: bindgen wrote no layouts; has its output changed?')

    typedefs = set(TYPEDEF.findall(read['reachable']))
    write(a.c, ['/* Made by layout.py. */', '#include <linux/build_bug.h>',
                '#include <linux/stddef.h>'] +
          [f'static_assert(sizeof({c_type(n, typedefs)}) == {v});' for n, v in sizes] +
          [f'static_assert(offsetof({c_type(n, typedefs)}, {c_field(f)}) == {v});' for n, f, v in offsets])

    fields = {m.group(1): set(FIELD.findall(m.group(2))) for m in
              list(BODY.finditer(read['kernel'])) + list(BODY.finditer(read['generated']))}
    # A type that kernel::bindings knows only by name there has no layout.
    known = {n for n, fs in fields.items() if fs and fs != {'_unused'}}
    rust = ['// Made by layout.py.']
    for n, v in sizes:
        if bare(n) in known:
            rust.append(f'const _: () = assert!(core::mem::size_of::<{bare(n)}>() == {v});')
    for n, f, v in offsets:
        if bare(n) in known and f in fields[bare(n)]:
            rust.append(f'const _: () = assert!(core::mem::offset_of!({bare(n)}, {f}) == {v});')
    write(a.rust, rust)
    print(f'  layouts: {len(sizes)} types, {len(offsets)} fields in C; '
          f'{len(rust) - 1} assertions in Rust')


if __name__ == '__main__':
    main()
