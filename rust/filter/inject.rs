// SPDX-License-Identifier: GPL-2.0

//! Tuples that are wrong on purpose, so that people can rehearse what happens then.

use super::{
    message::{Injection, Way},
    owners::major_minor,
    StablePi, //
};
use crate::{
    block::integrity::{Region, Spoil},
    pi::Field, //
};
use core::ops::Range;
use kernel::{
    prelude::*,
    sync::atomic::{Acquire, Atomic, Relaxed, Release}, //
};

/// What a message has asked for, at most one thing at a time. Any context.
///
/// While another one is put in its place, an I/O may take the new sectors for those of the old one. It
/// is a rehearsal, and takes no lock in an I/O for that.
pub(super) struct Inject {
    /// [`NOTHING`], or a [`code`].
    armed: Atomic<u32>,
    first: Atomic<u64>,
    end: Atomic<u64>,
}

const NOTHING: u32 = 0;

/// A number for what is injected, which is not [`NOTHING`].
fn code(injection: &Injection) -> u32 {
    let field = match injection.field {
        Field::Guard => 0,
        Field::Reference => 1,
        Field::Application => 2,
    };
    let write = u32::from(injection.way == Way::Write);
    1 | u32::from(injection.once) << 1 | write << 2 | field << 3
}

/// What has this number: the field, and whether it is for one I/O only; nothing for the other way.
fn decode(code: u32, way: Way) -> Option<(Field, bool)> {
    let armed_for = if code & 4 != 0 { Way::Write } else { Way::Read };
    if code == NOTHING || way != armed_for {
        return None;
    }
    let field = match code >> 3 {
        0 => Field::Guard,
        1 => Field::Reference,
        _ => Field::Application,
    };
    Some((field, code & 2 != 0))
}

impl Inject {
    pub(super) fn new() -> Self {
        Self {
            armed: Atomic::new(NOTHING),
            first: Atomic::new(0),
            end: Atomic::new(0),
        }
    }

    /// Puts `injection` in the place of what there was.
    fn set(&self, injection: Option<&Injection>) {
        self.armed.store(NOTHING, Relaxed);
        if let Some(injection) = injection {
            self.first.store(injection.sectors.start, Relaxed);
            self.end.store(injection.sectors.end, Relaxed);
            self.armed.store(code(injection), Release);
        }
    }

    /// What is wrong in the tuples of an I/O that goes this `way` and has these `sectors`, and for which
    /// sectors. What is for one I/O only is over then.
    fn take(&self, way: Way, sectors: &Range<u64>) -> Option<(Field, Range<u64>)> {
        let armed = self.armed.load(Acquire);
        let (field, once) = decode(armed, way)?;
        let wrong = self.first.load(Relaxed)..self.end.load(Relaxed);
        if wrong.start >= sectors.end || sectors.start >= wrong.end {
            return None;
        }
        if once && self.armed.cmpxchg(armed, NOTHING, Relaxed).is_err() {
            return None;
        }
        Some((field, wrong))
    }
}

impl StablePi {
    /// Puts `injection` in the place of what there was, and says so in the log.
    pub(super) fn set_inject(&self, injection: Option<&Injection>) {
        if let Some(inject) = &self.inject {
            inject.set(injection);
            self.report_inject(injection);
        }
    }

    /// Logs what is wrong on purpose from now on.
    fn report_inject(&self, injection: Option<&Injection>) {
        let (major, minor) = major_minor(self.mapped);
        let Some(injection) = injection else {
            pr_notice!("stable-pi {major}:{minor}: nothing is wrong on purpose\n");
            return;
        };
        let field = injection.field.name();
        let way = match injection.way {
            Way::Read => "reads",
            Way::Write => "writes",
        };
        let first = injection.sectors.start;
        let last = injection.sectors.end.saturating_sub(1);
        let end = if injection.once { ", once" } else { "" };
        pr_warn!(
            "stable-pi {major}:{minor}: {field} tags of {way} of sectors {first} to {last} are wrong \
             on purpose{end}\n"
        );
    }

    /// The same region for the `bytes` bytes of an I/O that goes this `way`, with what is wrong on
    /// purpose in their tuples. It may be so for this call only.
    #[inline]
    pub(super) fn spoiled<'a>(&self, region: Region<'a>, way: Way, bytes: u32) -> Region<'a> {
        match &self.inject {
            None => region,
            Some(inject) => self.spoil(inject, region, way, bytes),
        }
    }

    #[cold]
    fn spoil<'a>(&self, inject: &Inject, region: Region<'a>, way: Way, bytes: u32) -> Region<'a> {
        let begin = self.begin.number();
        let first = begin + region.sector.since(self.start());
        let last = first + u64::from(bytes >> 9);
        let below = |sector: u64| self.start().skip(sector.saturating_sub(begin));
        let spoil = inject.take(way, &(first..last));
        region.spoiled(spoil.map(|(field, sectors)| Spoil {
            field,
            read: way == Way::Read,
            first: below(sectors.start),
            end: below(sectors.end),
        }))
    }
}
