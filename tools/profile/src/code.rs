// SPDX-License-Identifier: GPL-2.0

//! What can be seen in the bytes of an instruction of x86-64.

/// A `nop` whose operand nobody else has: `nopl 0x53504d4b(%rax,%rax)`.
pub const MARK: [u8; 8] = [0x0f, 0x1f, 0x84, 0x00, 0x4b, 0x4d, 0x50, 0x53];

/// Whether the address belongs to the kernel.
pub fn is_kernel(address: u64) -> bool {
    address >> 63 != 0
}

/// Whether the instruction is one that no other processor comes between: it has a `lock` prefix, or
/// is an `xchg` with memory, which needs none (SDM volume 3, "Bus Locking").
pub fn is_locked(bytes: &[u8]) -> bool {
    let mut rest = bytes.iter().copied().skip_while(|byte| {
        matches!(
            byte,
            0x26 | 0x2e | 0x36 | 0x3e | 0x64 | 0x65 | 0x66 | 0x67 | 0xf2 | 0xf3
        )
    });
    let mut opcode = rest.next();
    if opcode == Some(0xf0) {
        return true;
    }
    if matches!(opcode, Some(0x40..=0x4f)) {
        opcode = rest.next();
    }
    matches!(opcode, Some(0x86 | 0x87)) && rest.next().is_some_and(|modrm| modrm < 0xc0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locked() {
        // lock cmpxchg %rdx,(%rdi); lock incl %gs:(%rax), with the prefixes in either order.
        assert!(is_locked(&[0xf0, 0x48, 0x0f, 0xb1, 0x17]));
        assert!(is_locked(&[0x65, 0xf0, 0xff, 0x00]));
        assert!(is_locked(&[0xf0, 0x65, 0xff, 0x00]));
        // xchg %rax,(%rdi); xchg %al,(%rdi).
        assert!(is_locked(&[0x48, 0x87, 0x07]));
        assert!(is_locked(&[0x86, 0x07]));
    }

    #[test]
    fn not_locked() {
        // xchg %rax,%rbx; cmpxchg %rdx,(%rdi); what SMP alternatives make of a lock; nothing.
        assert!(!is_locked(&[0x48, 0x87, 0xd8]));
        assert!(!is_locked(&[0x48, 0x0f, 0xb1, 0x17]));
        assert!(!is_locked(&[0x3e, 0x48, 0x0f, 0xb1, 0x17]));
        assert!(!is_locked(&[]));
        assert!(!is_locked(&MARK));
    }

    #[test]
    fn halves() {
        assert!(is_kernel(0xffff_ffff_8100_0000));
        assert!(!is_kernel(0x7fff_ffff_f000));
    }
}
