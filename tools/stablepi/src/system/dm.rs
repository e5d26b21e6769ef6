// SPDX-License-Identifier: GPL-2.0

//! Device mapper, by libdevmapper: it knows how to wait for udev, and makes the nodes where there
//! is none.

use std::ffi::{c_char, c_int, c_void, CStr, CString};
use std::io;
use std::ptr;
use std::sync::Once;

use anyhow::{Context, Result};

use super::log::Log;
use crate::failure::{failure, Code};
use crate::model::event;
use crate::model::stack::Dev;
use crate::model::table::{Target, TARGET};

/// `libdevmapper.h`, as much of it as is used here.
mod ffi {
    use super::*;

    #[repr(C)]
    pub struct DmTask {
        _opaque: [u8; 0],
    }

    /// `struct dm_info`.
    #[repr(C)]
    #[derive(Default)]
    pub struct DmInfo {
        pub exists: c_int,
        pub suspended: c_int,
        pub live_table: c_int,
        pub inactive_table: c_int,
        pub open_count: i32,
        pub event_nr: u32,
        pub major: u32,
        pub minor: u32,
        pub read_only: c_int,
        pub target_count: i32,
        pub deferred_remove: c_int,
        pub internal_suspend: c_int,
    }

    /// `struct dm_names`, without the name that follows.
    #[repr(C)]
    pub struct DmNames {
        pub dev: u64,
        pub next: u32,
    }

    /// Where the name begins in `struct dm_names`.
    pub const NAME: usize = 12;

    pub const DM_DEVICE_CREATE: c_int = 0;
    pub const DM_DEVICE_REMOVE: c_int = 2;
    pub const DM_DEVICE_INFO: c_int = 6;
    pub const DM_DEVICE_STATUS: c_int = 10;
    pub const DM_DEVICE_TABLE: c_int = 11;
    pub const DM_DEVICE_LIST: c_int = 13;
    pub const DM_DEVICE_TARGET_MSG: c_int = 17;

    pub type LogFn = extern "C" fn(c_int, *const c_char, c_int, c_int, *const c_char);

    extern "C" {
        pub fn dm_log_with_errno_init(log: Option<LogFn>);
        pub fn dm_task_create(kind: c_int) -> *mut DmTask;
        pub fn dm_task_destroy(task: *mut DmTask);
        pub fn dm_task_set_name(task: *mut DmTask, name: *const c_char) -> c_int;
        pub fn dm_task_set_uuid(task: *mut DmTask, uuid: *const c_char) -> c_int;
        pub fn dm_task_set_major_minor(
            task: *mut DmTask,
            major: c_int,
            minor: c_int,
            fallback: c_int,
        ) -> c_int;
        pub fn dm_task_set_message(task: *mut DmTask, message: *const c_char) -> c_int;
        pub fn dm_task_set_sector(task: *mut DmTask, sector: u64) -> c_int;
        pub fn dm_task_set_ro(task: *mut DmTask) -> c_int;
        pub fn dm_task_set_cookie(task: *mut DmTask, cookie: *mut u32, flags: u16) -> c_int;
        pub fn dm_task_no_flush(task: *mut DmTask) -> c_int;
        pub fn dm_task_retry_remove(task: *mut DmTask) -> c_int;
        pub fn dm_task_deferred_remove(task: *mut DmTask) -> c_int;
        pub fn dm_task_add_target(
            task: *mut DmTask,
            start: u64,
            size: u64,
            kind: *const c_char,
            params: *const c_char,
        ) -> c_int;
        pub fn dm_task_run(task: *mut DmTask) -> c_int;
        pub fn dm_task_get_errno(task: *mut DmTask) -> c_int;
        pub fn dm_task_get_info(task: *mut DmTask, info: *mut DmInfo) -> c_int;
        pub fn dm_task_get_name(task: *const DmTask) -> *const c_char;
        pub fn dm_task_get_names(task: *mut DmTask) -> *const DmNames;
        pub fn dm_get_next_target(
            task: *mut DmTask,
            next: *mut c_void,
            start: *mut u64,
            length: *mut u64,
            kind: *mut *const c_char,
            params: *mut *const c_char,
        ) -> *mut c_void;
        pub fn dm_udev_wait(cookie: u32) -> c_int;
    }
}

/// The library prints its errors by itself otherwise; what is to be said is said once, by us.
extern "C" fn silent(
    _level: c_int,
    _file: *const c_char,
    _line: c_int,
    _errno: c_int,
    _format: *const c_char,
) {
}

/// A request to device mapper.
struct Task(*mut ffi::DmTask);

impl Drop for Task {
    fn drop(&mut self) {
        // SAFETY: `Task::new` has seen that it is one, and this alone destroys it.
        unsafe { ffi::dm_task_destroy(self.0) }
    }
}

/// By what a device is named.
#[derive(Clone, Copy)]
pub enum Id<'a> {
    /// The name of the mapping.
    Name(&'a str),
    /// The number.
    Dev(Dev),
}

/// What device mapper says of a device.
#[derive(Clone, Debug)]
pub struct Info {
    /// Its name.
    pub name: String,
    /// Its number.
    pub dev: Dev,
    /// How many have it open.
    pub open_count: i32,
    /// How often it had something to tell.
    pub event_nr: u32,
    /// Nothing can be written.
    pub read_only: bool,
    /// I/O is held back.
    pub suspended: bool,
}

fn c_string(text: &str) -> Result<CString> {
    CString::new(text).with_context(|| format!("{text:?} has a NUL in it"))
}

/// # Safety
///
/// Null, or a C string.
unsafe fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(pointer) }
        .to_string_lossy()
        .into_owned()
}

impl Task {
    fn new(kind: c_int) -> Result<Self> {
        static QUIET: Once = Once::new();
        QUIET.call_once(|| {
            // SAFETY: the library calls it with the arguments that it declares and perhaps more.
            // With the C calling conventions of Linux those stand behind, and are the caller's to
            // take away, so that a function that does not look at them can do without. It stays.
            unsafe { ffi::dm_log_with_errno_init(Some(silent)) }
        });
        // SAFETY: any kind is either known or refused.
        let task = unsafe { ffi::dm_task_create(kind) };
        if task.is_null() {
            return Err(failure(
                Code::Failed,
                "device mapper cannot be used; are you root, and is dm_mod there? (modprobe dm_mod)",
            ));
        }
        Ok(Self(task))
    }

    fn of(kind: c_int, id: Id<'_>) -> Result<Self> {
        let task = Self::new(kind)?;
        let done = match id {
            Id::Name(name) => {
                let name = c_string(name)?;
                // SAFETY: the task is one, and the library copies the string.
                unsafe { ffi::dm_task_set_name(task.0, name.as_ptr()) }
            }
            Id::Dev(dev) => {
                let (major, minor) = (dev.major as c_int, dev.minor as c_int);
                // SAFETY: the task is one.
                unsafe { ffi::dm_task_set_major_minor(task.0, major, minor, 0) }
            }
        };
        check(done, "device mapper does not take the name")?;
        Ok(task)
    }

    fn run(&self) -> io::Result<()> {
        // SAFETY: the task is one.
        if unsafe { ffi::dm_task_run(self.0) } == 1 {
            return Ok(());
        }
        // SAFETY: the task is one.
        match unsafe { ffi::dm_task_get_errno(self.0) } {
            0 => Err(io::Error::other("libdevmapper refused it")),
            errno => Err(io::Error::from_raw_os_error(errno)),
        }
    }

    /// Runs it and waits until udev is through with what it brings about.
    fn run_with_udev(&self) -> io::Result<()> {
        let mut cookie = 0;
        // SAFETY: the task is one, and the cookie lives longer than the call.
        if unsafe { ffi::dm_task_set_cookie(self.0, &mut cookie, 0) } == 0 {
            return Err(io::Error::other("libdevmapper has no way to wait for udev"));
        }
        let done = self.run();
        // SAFETY: the cookie is that of above; it has to be waited for in any case.
        unsafe { ffi::dm_udev_wait(cookie) };
        done
    }

    fn info(&self) -> Option<ffi::DmInfo> {
        let mut info = ffi::DmInfo::default();
        // SAFETY: the task is one, and the structure has the library's layout.
        let done = unsafe { ffi::dm_task_get_info(self.0, &mut info) };
        (done == 1 && info.exists != 0).then_some(info)
    }

    fn targets(&self) -> Vec<Target> {
        let mut targets = Vec::new();
        let mut next = ptr::null_mut();
        loop {
            let (mut start, mut length) = (0, 0);
            let (mut kind, mut params) = (ptr::null(), ptr::null());
            // SAFETY: the task has run; `next` is null or what the library returned last.
            next = unsafe {
                ffi::dm_get_next_target(
                    self.0,
                    next,
                    &mut start,
                    &mut length,
                    &mut kind,
                    &mut params,
                )
            };
            if !kind.is_null() {
                targets.push(Target {
                    start,
                    length,
                    // SAFETY: the library's strings live as long as the task.
                    kind: unsafe { text(kind) },
                    // SAFETY: as above.
                    params: unsafe { text(params) },
                });
            }
            if next.is_null() {
                return targets;
            }
        }
    }
}

fn check(done: c_int, what: &str) -> Result<()> {
    if done == 0 {
        return Err(failure(Code::Failed, what));
    }
    Ok(())
}

fn is_missing(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENXIO)
}

fn missing(id: Id<'_>) -> anyhow::Error {
    match id {
        Id::Name(name) => failure(
            Code::Missing,
            format!("there is no mapped device {name}; see: stablepi list"),
        ),
        Id::Dev(dev) => failure(Code::Missing, format!("there is no mapped device {dev}")),
    }
}

/// All mapped devices.
pub fn devices() -> Result<Vec<(String, Dev)>> {
    let task = Task::new(ffi::DM_DEVICE_LIST)?;
    task.run()
        .context("device mapper does not list its devices")?;
    // SAFETY: the task has run.
    let mut names = unsafe { ffi::dm_task_get_names(task.0) };
    let mut devices = Vec::new();
    if names.is_null() {
        return Ok(devices);
    }
    loop {
        // SAFETY: the library gives a whole entry, which it may not have aligned; with no device at
        // all it is one with the number 0.
        let entry = unsafe { names.read_unaligned() };
        if entry.dev == 0 {
            return Ok(devices);
        }
        // SAFETY: the name follows within the same entry.
        let name = unsafe { text(names.cast::<c_char>().add(ffi::NAME)) };
        let dev = Dev::new(libc::major(entry.dev), libc::minor(entry.dev));
        devices.push((name, dev));
        if entry.next == 0 {
            return Ok(devices);
        }
        // SAFETY: so many bytes on is the next entry, in the same answer.
        names = unsafe { names.byte_add(entry.next as usize) };
    }
}

/// What device mapper knows of a device.
pub fn info(id: Id<'_>) -> Result<Info> {
    let task = Task::of(ffi::DM_DEVICE_INFO, id)?;
    match task.run() {
        Err(e) if !is_missing(&e) => return Err(e).context("device mapper tells nothing of it"),
        _ => {}
    }
    let info = task.info().ok_or_else(|| missing(id))?;
    // SAFETY: the task has run; the string is the library's.
    let name = unsafe { text(ffi::dm_task_get_name(task.0)) };
    Ok(Info {
        name,
        dev: Dev::new(info.major, info.minor),
        open_count: info.open_count,
        event_nr: info.event_nr,
        read_only: info.read_only != 0,
        suspended: info.suspended != 0,
    })
}

fn ask(kind: c_int, id: Id<'_>) -> Result<Vec<Target>> {
    let task = Task::of(kind, id)?;
    if kind == ffi::DM_DEVICE_STATUS {
        // A look must not make a target write anything.
        // SAFETY: the task is one.
        unsafe { ffi::dm_task_no_flush(task.0) };
    }
    match task.run() {
        Ok(()) => {}
        Err(e) if is_missing(&e) => return Err(missing(id)),
        Err(e) => return Err(e).context("device mapper does not tell of its targets"),
    }
    if task.info().is_none() {
        return Err(missing(id));
    }
    Ok(task.targets())
}

/// Its table.
pub fn table(id: Id<'_>) -> Result<Vec<Target>> {
    ask(ffi::DM_DEVICE_TABLE, id)
}

/// The status of each target, in the place of its parameters.
pub fn status(id: Id<'_>) -> Result<Vec<Target>> {
    ask(ffi::DM_DEVICE_STATUS, id)
}

/// An error of device mapper, with the reason that the kernel log gives.
fn with_reason(error: io::Error, log: Option<Log>) -> String {
    let mut reason = None;
    if let Some(mut log) = log {
        while let Some(record) = log.next() {
            reason = event::refusal(&record).or(reason);
        }
    }
    match reason {
        Some(reason) if reason.starts_with("unknown target type") => {
            format!("the kernel has no target {TARGET}: modprobe stable_pages, and see the kernel log if that fails")
        }
        Some(reason) => reason,
        None => error.to_string(),
    }
}

/// Makes a mapped device of one target.
pub fn create(name: &str, target: &Target, read_only: bool) -> Result<()> {
    let task = Task::of(ffi::DM_DEVICE_CREATE, Id::Name(name))?;
    let uuid = c_string(&format!("STABLEPI-{name}"))?;
    let (kind, params) = (c_string(&target.kind)?, c_string(&target.params)?);
    // SAFETY: the task is one, and the library copies the strings.
    let done = unsafe {
        ffi::dm_task_set_uuid(task.0, uuid.as_ptr()) == 1
            && ffi::dm_task_add_target(
                task.0,
                target.start,
                target.length,
                kind.as_ptr(),
                params.as_ptr(),
            ) == 1
            && (!read_only || ffi::dm_task_set_ro(task.0) == 1)
    };
    check(c_int::from(done), "device mapper does not take the table")?;
    let log = Log::from_now().ok();
    task.run_with_udev().map_err(|e| match e.raw_os_error() {
        Some(libc::EBUSY) if info(Id::Name(name)).is_ok() => failure(
            Code::Refused,
            format!("{name} is there already; stablepi close {name}, or take another name"),
        ),
        Some(libc::EBUSY) => failure(
            Code::Refused,
            format!(
                "{} is in use; see: stablepi probe",
                target.params.split(' ').next().unwrap_or("")
            ),
        ),
        _ => failure(
            Code::Failed,
            format!("{name} cannot be opened: {}", with_reason(e, log)),
        ),
    })
}

/// Removes a mapped device; with `deferred`, when it is not open any more.
pub fn remove(name: &str, deferred: bool) -> Result<()> {
    let task = Task::of(ffi::DM_DEVICE_REMOVE, Id::Name(name))?;
    // SAFETY: the task is one.
    unsafe {
        // udev may have it open for a moment, to look at it.
        ffi::dm_task_retry_remove(task.0);
        if deferred {
            ffi::dm_task_deferred_remove(task.0);
        }
    }
    task.run_with_udev().map_err(|e| match e.raw_os_error() {
        Some(libc::ENXIO) => missing(Id::Name(name)),
        Some(libc::EBUSY) => failure(Code::Refused, format!("{name} is in use")),
        _ => failure(Code::Failed, format!("{name} cannot be closed: {e}")),
    })
}

/// Sends a message to the target that has this sector.
pub fn message(name: &str, sector: u64, text: &str) -> Result<()> {
    let task = Task::of(ffi::DM_DEVICE_TARGET_MSG, Id::Name(name))?;
    let message = c_string(text)?;
    // SAFETY: the task is one, and the library copies the string.
    let done = unsafe {
        ffi::dm_task_set_sector(task.0, sector) == 1
            && ffi::dm_task_set_message(task.0, message.as_ptr()) == 1
    };
    check(c_int::from(done), "device mapper does not take the message")?;
    let log = Log::from_now().ok();
    task.run().map_err(|e| {
        if is_missing(&e) {
            missing(Id::Name(name))
        } else {
            failure(
                Code::Failed,
                format!("{name} refuses \"{text}\": {}", with_reason(e, log)),
            )
        }
    })
}
