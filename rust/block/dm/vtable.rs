// SPDX-License-Identifier: GPL-2.0

//! What device mapper calls, and the registration of that.

use super::{
    instance::Instance,
    io::{Completing, Ending, Io, PerIo, Submitting},
    Setup,
    Target, //
};
use crate::{
    bindings,
    block::{Device, QueueLimits, Sector, Status},
};
use core::{marker::PhantomData, mem::needs_drop, ptr::NonNull};
use kernel::{error::to_result, ffi, fmt::Write as _, prelude::*, str::Formatter, types::Opaque};

/// Arguments that a table line may have.
const MAX_ARGS: usize = 32;

/// The registration of a target type; the type is there until this is dropped.
///
/// # Invariants
///
/// The `target_type` is registered and does not move.
pub struct Registration<T: Target> {
    ty: KBox<Opaque<bindings::target_type>>,
    _target: PhantomData<T>,
}

// SAFETY: A registration is only dropped, which can be done on any thread.
unsafe impl<T: Target> Send for Registration<T> {}
// SAFETY: Nothing can be done with a reference to it.
unsafe impl<T: Target> Sync for Registration<T> {}

impl<T: Target> Registration<T> {
    /// Makes `T` known to device mapper. Sleeps; fails with `EEXIST` where its name is taken.
    pub fn new(module: &'static ThisModule) -> Result<Self> {
        let ty = KBox::new(Opaque::<bindings::target_type>::zeroed(), GFP_KERNEL)?;
        // SAFETY: A zeroed `target_type` is one without any function, and it is ours.
        let raw = unsafe { &mut *ty.get() };
        raw.name = T::NAME.as_char_ptr();
        raw.version = T::VERSION;
        raw.module = module.as_ptr();
        raw.features = T::FEATURES.as_raw();
        raw.ctr = Some(Self::ctr_callback);
        raw.dtr = Some(Self::dtr_callback);
        raw.map = Some(Self::map_callback);
        raw.status = Some(Self::status_callback);
        raw.iterate_devices = Some(Self::iterate_devices_callback);
        // To look at it, or to drop what the target keeps with it.
        if T::HAS_END_IO || needs_drop::<T::IoData>() {
            raw.end_io = Some(Self::end_io_callback);
        }
        if T::HAS_MESSAGE {
            raw.message = Some(Self::message_callback);
        }
        if T::FORWARDS_IOCTLS {
            raw.prepare_ioctl = Some(Self::prepare_ioctl_callback);
        }
        if T::HAS_REPORT_ZONES {
            raw.report_zones = Some(Self::report_zones_callback);
        }
        if T::HAS_IO_HINTS {
            raw.io_hints = Some(Self::io_hints_callback);
        }
        // SAFETY: The type stays where it is, on the heap, until it is unregistered.
        to_result(unsafe { bindings::dm_register_target(ty.get()) })?;
        // INVARIANT: Registered right here.
        Ok(Self {
            ty,
            _target: PhantomData,
        })
    }

    /// # Safety
    ///
    /// `ti` must be a target that [`ctr_callback`](Self::ctr_callback) constructed, for the
    /// lifetime `'a`.
    unsafe fn instance<'a>(ti: *mut bindings::dm_target) -> &'a Instance<T> {
        // SAFETY: The constructor put it there.
        unsafe { &*(*ti).private.cast() }
    }

    /// # Safety
    ///
    /// `ti` must be a target in construction, and `argv` have `argc` strings.
    unsafe extern "C" fn ctr_callback(
        ti: *mut bindings::dm_target,
        argc: ffi::c_uint,
        argv: *mut *mut ffi::c_char,
    ) -> ffi::c_int {
        let fail = |text: &'static CStr, error: Error| {
            // SAFETY: The target is ours to change; the text is there for good.
            unsafe { (*ti).error = text.as_char_ptr().cast_mut() };
            error.to_errno()
        };

        let mut words = [""; MAX_ARGS];
        // SAFETY: The caller vouches for `argc` strings.
        let words = match unsafe { strings(argc, argv, &mut words) } {
            Ok(words) => words,
            Err(text) => return fail(text, EINVAL),
        };

        // SAFETY: A target in construction is not null, and outlives what is made for it.
        let (target, mut setup) = unsafe {
            let target = NonNull::new_unchecked(ti);
            (target, Setup::from_raw(target))
        };
        let instance = match T::new(&mut setup, words) {
            // SAFETY: As above.
            Ok(made) => unsafe { Instance::new(made, target) },
            Err(refusal) => return fail(refusal.text, refusal.error),
        };
        let instance = match instance {
            Ok(instance) => instance,
            Err(error) => return fail(c"out of memory", error),
        };
        // SAFETY: The target is ours to change.
        unsafe {
            (*ti).private = KBox::into_raw(instance).cast();
            (*ti).per_io_data_size = PerIo::<T>::SIZE;
        }
        0
    }

    /// # Safety
    ///
    /// `ti` must be a constructed target without I/O.
    unsafe extern "C" fn dtr_callback(ti: *mut bindings::dm_target) {
        // SAFETY: The constructor put it there, and this is the last use of it.
        drop(unsafe { KBox::<Instance<T>>::from_raw((*ti).private.cast()) });
    }

    /// # Safety
    ///
    /// `bio` must be a clone for the constructed target `ti`, and ours.
    unsafe extern "C" fn map_callback(
        ti: *mut bindings::dm_target,
        bio: *mut bindings::bio,
    ) -> ffi::c_int {
        // SAFETY: The caller vouches for the target and its bio.
        let (instance, io) = unsafe {
            let instance = Self::instance(ti);
            (instance, Io::<'_, T, Submitting>::new(bio, instance))
        };
        instance.target.map(io).0
    }

    /// # Safety
    ///
    /// `bio` must be a clone that `ti` mapped, which has ended and is ours.
    unsafe extern "C" fn end_io_callback(
        ti: *mut bindings::dm_target,
        bio: *mut bindings::bio,
        error: *mut bindings::blk_status_t,
    ) -> ffi::c_int {
        // SAFETY: The caller vouches for the target and its bio, which device mapper passes with a
        // valid pointer.
        let (instance, io, status) = unsafe {
            let instance = Self::instance(ti);
            let io = Io::<'_, T, Completing>::new(bio, instance);
            (instance, io, Status::from_raw(*error))
        };
        let Some(io) = io else {
            return bindings::SP_DM_ENDIO_DONE;
        };
        let ended = match instance.target.end_io(io, status).0 {
            Ending::With(status) => Some(status),
            // SAFETY: The bio is not touched any more after this if it returns `None`.
            Ending::Here => unsafe { Io::<'_, T, Completing>::look(bio) },
            Ending::Deferred => match &instance.queues {
                Some(queues) => {
                    // SAFETY: The bio is not touched any more after this.
                    unsafe { Io::<'_, T, Completing>::queue(bio, &queues.looks) };
                    None
                }
                // SAFETY: As for what is looked at here.
                None => unsafe { Io::<'_, T, Completing>::look(bio) },
            },
        };
        match ended {
            Some(status) => {
                // SAFETY: As above.
                unsafe { *error = status.as_raw() };
                bindings::SP_DM_ENDIO_DONE
            }
            None => bindings::SP_DM_ENDIO_INCOMPLETE,
        }
    }

    /// # Safety
    ///
    /// `ti` must be a constructed target, and `result` have room for `maxlen` bytes.
    unsafe extern "C" fn status_callback(
        ti: *mut bindings::dm_target,
        ty: bindings::status_type_t,
        _flags: ffi::c_uint,
        result: *mut ffi::c_char,
        maxlen: ffi::c_uint,
    ) {
        let Some(room) = (maxlen as usize).checked_sub(1) else {
            return;
        };
        // SAFETY: The caller vouches for the target.
        let target = unsafe { &Self::instance(ti).target };
        // SAFETY: The caller vouches for the room; the last byte is kept for the end of the string.
        let buffer = unsafe { core::slice::from_raw_parts_mut(result.cast::<u8>(), room) };
        let mut out = Formatter::new(buffer);
        // What does not fit is cut off, which device mapper takes for a lack of room.
        let _ = match ty {
            bindings::status_type_t_STATUSTYPE_INFO => target.status(&mut out),
            bindings::status_type_t_STATUSTYPE_TABLE => target.table(&mut out),
            bindings::status_type_t_STATUSTYPE_IMA if T::HAS_MEASURED => measured(target, &mut out),
            _ => Ok(()),
        };
        let end = out.bytes_written().min(room);
        // SAFETY: `end` is at most `maxlen - 1`.
        unsafe { *result.add(end) = 0 };
    }

    /// # Safety
    ///
    /// `ti` must be a constructed target, and `argv` have `argc` strings.
    unsafe extern "C" fn message_callback(
        ti: *mut bindings::dm_target,
        argc: ffi::c_uint,
        argv: *mut *mut ffi::c_char,
        _result: *mut ffi::c_char,
        _maxlen: ffi::c_uint,
    ) -> ffi::c_int {
        let mut words = [""; MAX_ARGS];
        // SAFETY: The caller vouches for `argc` strings.
        let words = match unsafe { strings(argc, argv, &mut words) } {
            Ok(words) => words,
            Err(text) => {
                let name = T::NAME.to_str().unwrap_or("?");
                pr_err!("{name}: message: {}\n", text);
                return EINVAL.to_errno();
            }
        };
        kernel::error::from_result(|| {
            // SAFETY: The caller vouches for the target.
            unsafe { &Self::instance(ti).target }.message(words)?;
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// `ti` must be a constructed target of a table that stays, and `bdev` be ours to set.
    unsafe extern "C" fn prepare_ioctl_callback(
        ti: *mut bindings::dm_target,
        bdev: *mut *mut bindings::block_device,
        _cmd: ffi::c_uint,
        _arg: ffi::c_ulong,
        _forward: *mut bool,
    ) -> ffi::c_int {
        // SAFETY: The caller vouches for the target.
        let (device, start) = unsafe { &Self::instance(ti).target }.device();
        // SAFETY: The caller vouches for both. The device is open for as long as the target is there.
        unsafe {
            *bdev = device.bdev();
            ffi::c_int::from(start.number() != 0 || (*ti).len != device.sectors())
        }
    }

    /// # Safety
    ///
    /// `ti` must be a constructed target, and `args` what device mapper reports zones with.
    unsafe extern "C" fn report_zones_callback(
        ti: *mut bindings::dm_target,
        args: *mut bindings::dm_report_zones_args,
        zones: ffi::c_uint,
    ) -> ffi::c_int {
        kernel::error::from_result(|| {
            // INVARIANT: The caller vouches for both.
            let zones = ReportZones {
                ti,
                args,
                zones,
                _args: PhantomData,
            };
            // SAFETY: As above.
            let reported = unsafe { Self::instance(ti) }.target.report_zones(zones)?;
            Ok(reported as ffi::c_int)
        })
    }

    /// # Safety
    ///
    /// `ti` must be a constructed target; `f` can be called with its device and `data`.
    unsafe extern "C" fn iterate_devices_callback(
        ti: *mut bindings::dm_target,
        f: bindings::iterate_devices_callout_fn,
        data: *mut ffi::c_void,
    ) -> ffi::c_int {
        // SAFETY: The caller vouches for the target.
        let (device, start) = unsafe { &Self::instance(ti).target }.device();
        match f {
            // SAFETY: The caller vouches for the function.
            Some(f) => unsafe { f(ti, device.dm_dev(), start.number(), (*ti).len, data) },
            None => 0,
        }
    }

    /// # Safety
    ///
    /// `ti` must be a constructed target, and `limits` be valid and ours.
    unsafe extern "C" fn io_hints_callback(
        ti: *mut bindings::dm_target,
        limits: *mut bindings::queue_limits,
    ) {
        // SAFETY: The caller vouches for both.
        unsafe {
            Self::instance(ti)
                .target
                .io_hints(QueueLimits::from_raw(limits))
        }
    }
}

/// What is measured of a target, as `DMEMIT_TARGET_NAME_VERSION()` and dm-linear have it.
fn measured<T: Target>(target: &T, out: &mut Formatter<'_>) -> kernel::fmt::Result {
    let [major, minor, patch] = T::VERSION;
    let name = T::NAME.to_str().unwrap_or("?");
    write!(
        out,
        "target_name={name},target_version={major}.{minor}.{patch}"
    )?;
    target.measured(out)?;
    out.write_str(";")
}

/// A request for the zones of a mapped device, which a target hands down to a device of its own.
///
/// # Invariants
///
/// `ti` is a constructed target, and `args` what device mapper reports zones with, both for the
/// lifetime `'a`.
pub struct ReportZones<'a> {
    ti: *mut bindings::dm_target,
    args: *mut bindings::dm_report_zones_args,
    zones: ffi::c_uint,
    _args: PhantomData<&'a mut ()>,
}

impl ReportZones<'_> {
    /// Reports the zones of `device`, on which the target begins at `start`. Returns their number.
    /// Sleeps.
    pub fn of(self, device: &Device, start: Sector) -> Result<u32> {
        // SAFETY: By the type invariant both are valid; the device is open.
        let reported = unsafe {
            let start = start.number();
            let next = start + ((*self.args).next_sector - (*self.ti).begin);
            bindings::dm_report_zones(device.bdev(), start, next, self.args, self.zones)
        };
        to_result(reported)?;
        Ok(reported as u32)
    }
}

impl<T: Target> Drop for Registration<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the type is registered; its module can only go when there
        // is no target of the type any more.
        unsafe { bindings::dm_unregister_target(self.ty.get()) }
    }
}

/// The strings of an argument vector, in `room`; or why they cannot be used.
///
/// # Safety
///
/// `argv` must have `argc` strings, which stay for the lifetime `'a`.
unsafe fn strings<'a, 'b>(
    argc: ffi::c_uint,
    argv: *mut *mut ffi::c_char,
    room: &'b mut [&'a str; MAX_ARGS],
) -> Result<&'b [&'a str], &'static CStr> {
    let words = room.get_mut(..argc as usize).ok_or(c"too many arguments")?;
    for (i, word) in words.iter_mut().enumerate() {
        // SAFETY: The caller vouches for `argc` strings.
        let text = unsafe { CStr::from_char_ptr(*argv.add(i)) };
        *word = text.to_str().map_err(|_| c"an argument is not UTF-8")?;
    }
    Ok(words)
}
