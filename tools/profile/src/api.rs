// SPDX-License-Identifier: GPL-2.0

//! QEMU's interface for plugins, and what QEMU calls.
//!
//! The declarations are those of include/qemu/qemu-plugin.h, version 4 (QEMU 9.2 to 10.0), as far
//! as they are needed. There is a crate for it, qemu-plugin; it asks for Rust 1.88, which Debian
//! trixie does not have.

use std::ffi::{c_char, c_int, c_uint, c_void, CStr};
use std::sync::OnceLock;

use crate::code;
use crate::counts::{Block, Counts};

/// An opaque type of C's.
macro_rules! opaque {
    ($($name:ident)*) => { $(
        #[repr(C)]
        struct $name {
            _private: [u8; 0],
        }
    )* };
}

// qemu_plugin_tb, qemu_plugin_insn, qemu_info_t.
opaque!(Translated Instruction Info);

type Id = u64;
type MemoryInfo = u32;

/// QEMU_PLUGIN_CB_NO_REGS: the callback reads no registers.
const NO_REGS: c_uint = 0;
/// QEMU_PLUGIN_MEM_RW.
const READS_AND_WRITES: c_uint = 3;

extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(id: Id, cb: extern "C" fn(Id, *mut Translated));
    fn qemu_plugin_register_vcpu_tb_exec_cb(
        tb: *mut Translated,
        cb: extern "C" fn(c_uint, *mut c_void),
        flags: c_uint,
        data: *mut c_void,
    );
    fn qemu_plugin_register_vcpu_insn_exec_cb(
        insn: *mut Instruction,
        cb: extern "C" fn(c_uint, *mut c_void),
        flags: c_uint,
        data: *mut c_void,
    );
    fn qemu_plugin_register_vcpu_mem_cb(
        insn: *mut Instruction,
        cb: extern "C" fn(c_uint, MemoryInfo, u64, *mut c_void),
        flags: c_uint,
        rw: c_uint,
        data: *mut c_void,
    );
    fn qemu_plugin_register_atexit_cb(
        id: Id,
        cb: extern "C" fn(Id, *mut c_void),
        data: *mut c_void,
    );
    fn qemu_plugin_tb_n_insns(tb: *const Translated) -> usize;
    fn qemu_plugin_tb_vaddr(tb: *const Translated) -> u64;
    fn qemu_plugin_tb_get_insn(tb: *const Translated, at: usize) -> *mut Instruction;
    fn qemu_plugin_insn_data(insn: *const Instruction, to: *mut c_void, length: usize) -> usize;
    fn qemu_plugin_mem_is_store(info: MemoryInfo) -> bool;
}

struct Plugin {
    counts: Counts,
    lines: bool,
    out: String,
}

static PLUGIN: OnceLock<Plugin> = OnceLock::new();

/// Which version of the interface this is written for.
#[no_mangle]
#[used]
pub static qemu_plugin_version: c_int = 4;

/// QEMU calls it once, with the arguments of `-plugin`, NAME=VALUE each.
#[no_mangle]
extern "C" fn qemu_plugin_install(
    id: Id,
    _info: *const Info,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    let mut out = String::new();
    let mut lines = false;
    for at in 0..usize::try_from(argc).unwrap_or(0) {
        // SAFETY: QEMU passes `argc` strings.
        let word = unsafe { CStr::from_ptr(*argv.add(at)) }.to_string_lossy();
        match word.split_once('=') {
            Some(("out", path)) => out = path.to_owned(),
            Some(("lines", value @ ("on" | "off"))) => lines = value == "on",
            _ => return refuse(&format!("unknown argument '{word}'")),
        }
    }
    if out.is_empty() {
        return refuse("where to write is missing: out=PATH");
    }
    let plugin = Plugin {
        counts: Counts::default(),
        lines,
        out,
    };
    if PLUGIN.set(plugin).is_err() {
        return refuse("it is installed already");
    }
    // SAFETY: `id` is the one that QEMU has given, and the functions stay as long as QEMU runs.
    unsafe {
        qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
        qemu_plugin_register_atexit_cb(id, ended, std::ptr::null_mut());
    }
    0
}

fn refuse(why: &str) -> c_int {
    eprintln!("profile: error: {why}");
    -1
}

/// A block was translated: says what is called when it runs.
extern "C" fn translated(_id: Id, tb: *mut Translated) {
    let Some(plugin) = PLUGIN.get() else { return };
    // SAFETY: QEMU passes a block that is valid until this function returns; so are its
    // instructions, of which it has as many as it says.
    let (address, instructions) = unsafe {
        let count = qemu_plugin_tb_n_insns(tb);
        let instructions: Vec<_> = (0..count)
            .map(|at| qemu_plugin_tb_get_insn(tb, at))
            .collect();
        (qemu_plugin_tb_vaddr(tb), instructions)
    };
    let count = u32::try_from(instructions.len()).unwrap_or(u32::MAX);
    if !code::is_kernel(address) {
        let data = std::ptr::without_provenance_mut(count as usize);
        // SAFETY: The block is valid, as above; `run_user` takes a number for its data.
        unsafe { qemu_plugin_register_vcpu_tb_exec_cb(tb, run_user, NO_REGS, data) };
        for &insn in &instructions {
            if bytes_of(insn).0 == code::MARK {
                // SAFETY: The instruction is valid, as above; `mark` does not use its data.
                unsafe {
                    qemu_plugin_register_vcpu_insn_exec_cb(
                        insn,
                        mark,
                        NO_REGS,
                        std::ptr::null_mut(),
                    )
                };
            }
        }
        return;
    }
    let locked = instructions.iter().filter(|&&insn| is_locked(insn)).count();
    let block = plugin.counts.new_block(address, count, locked as u32);
    let data = std::ptr::from_ref::<Block>(block).cast_mut().cast();
    // SAFETY: The block is valid, as above; `run` takes a `&'static Block` for its data.
    unsafe { qemu_plugin_register_vcpu_tb_exec_cb(tb, run, NO_REGS, data) };
    if plugin.lines {
        for insn in instructions {
            // SAFETY: The instruction is valid, as above; `access` takes a `&'static Block`.
            unsafe {
                qemu_plugin_register_vcpu_mem_cb(insn, access, NO_REGS, READS_AND_WRITES, data)
            };
        }
    }
}

/// The first bytes of an instruction of the block that is being translated, and how many there are.
fn bytes_of(insn: *const Instruction) -> ([u8; 8], usize) {
    let mut bytes = [0; 8];
    // SAFETY: The caller has the instruction of a block that is valid; QEMU writes as many bytes as
    // there is room for at most.
    let length = unsafe { qemu_plugin_insn_data(insn, bytes.as_mut_ptr().cast(), bytes.len()) };
    (bytes, length)
}

fn is_locked(insn: *const Instruction) -> bool {
    let (bytes, length) = bytes_of(insn);
    code::is_locked(&bytes[..length])
}

extern "C" fn run(_cpu: c_uint, data: *mut c_void) {
    // SAFETY: `translated` has passed a `&'static Block`.
    let block = unsafe { &*data.cast::<Block>() };
    if let Some(plugin) = PLUGIN.get() {
        plugin.counts.run(block);
    }
}

extern "C" fn run_user(_cpu: c_uint, data: *mut c_void) {
    if let Some(plugin) = PLUGIN.get() {
        plugin.counts.run_user(data.addr() as u32);
    }
}

extern "C" fn access(cpu: c_uint, info: MemoryInfo, address: u64, data: *mut c_void) {
    // SAFETY: `translated` has passed a `&'static Block`.
    let block = unsafe { &*data.cast::<Block>() };
    // SAFETY: `info` is what QEMU has passed for this access.
    let store = unsafe { qemu_plugin_mem_is_store(info) };
    if let Some(plugin) = PLUGIN.get().filter(|_| code::is_kernel(address)) {
        plugin.counts.access(block, cpu, address, store);
    }
}

extern "C" fn mark(_cpu: c_uint, _data: *mut c_void) {
    if let Some(plugin) = PLUGIN.get() {
        plugin.counts.mark();
    }
}

extern "C" fn ended(_id: Id, _data: *mut c_void) {
    if let Some(plugin) = PLUGIN.get() {
        if let Err(e) = std::fs::write(&plugin.out, plugin.counts.take()) {
            eprintln!("profile: error: {}: {e}", plugin.out);
        }
    }
}
