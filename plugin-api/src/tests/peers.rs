//! Peers of another minor: structs that are shorter or longer than ours.
#![expect(unsafe_code, reason = "it plays a host of another version")]

use std::{
    ffi::c_void,
    mem::size_of,
    ptr,
    sync::atomic::{AtomicU32, Ordering},
};

use super::Script;
use crate::{
    Plugin,
    abi::{
        BzCollect, BzCreateArgs, BzEntry, BzHost, BzLabel, BzSample, BzStr, BzValue, Status,
        read_prefix,
    },
    border::entry,
};

/// A host that counts, in `data`, how often `series` was called.
fn host(size: usize, calls: &AtomicU32) -> BzHost {
    unsafe extern "C" fn series(host: *const BzHost, _: u32, _: *const BzLabel, _: usize) -> u32 {
        // SAFETY: the table and its counter live throughout the test.
        unsafe { (*(*host).data.cast::<AtomicU32>()).fetch_add(1, Ordering::Relaxed) }
    }
    BzHost {
        size: size as u32,
        abi_minor: 0,
        data: ptr::from_ref(calls).cast_mut().cast(),
        log: None,
        error: None,
        series: Some(series),
        series_drop: None,
        ext: None,
    }
}

fn arguments(size: usize) -> BzCreateArgs {
    BzCreateArgs {
        size: size as u32,
        _r0: 0,
        config_json: BzStr::new("{}"),
        instance: BzStr::new("one"),
        target: BzStr::new("web-1"),
        interval_ns: 1,
    }
}

fn round(size: usize, buf: &mut [BzSample]) -> BzCollect {
    BzCollect {
        size: size as u32,
        _r0: 0,
        now_unix_ns: 0,
        deadline_mono_ns: 0,
        cancelled: ptr::null(),
        buf: buf.as_mut_ptr(),
        cap: buf.len() as u32,
        len: 0,
        dropped: 0,
        _r1: 0,
    }
}

/// Creates an instance, reads one round, destroys it; returns both statuses and how many samples were written.
fn live(host: *const BzHost, args: *const BzCreateArgs, round: *mut BzCollect) -> (i32, i32, u32) {
    let entry = entry::<Script>(Script::MANIFEST);
    let mut instance: *mut c_void = ptr::null_mut();
    // SAFETY: what it is given lives in the caller, and is as long as its size says.
    unsafe {
        let created = entry.create.unwrap()(host, args, &raw mut instance);
        let collected = entry.collect.unwrap()(instance, round);
        entry.destroy.unwrap()(instance);
        (created, collected, (*round).len)
    }
}

const EMPTY: BzSample = BzSample { series: 0, flags: 0, v: BzValue { u: 0 } };

#[test]
fn a_function_beyond_the_size_of_an_older_host_is_absent() {
    let (calls, mut room) = (AtomicU32::new(0), [EMPTY; 8]);
    // It ends before `series`, which must not be called although it is there.
    let host = host(32, &calls);
    let mut round = round(size_of::<BzCollect>(), &mut room);
    let lived = live(&host, &arguments(size_of::<BzCreateArgs>()), &raw mut round);
    assert_eq!(lived, (Status::Ok.code(), Status::Ok.code(), 0));
    assert_eq!(calls.load(Ordering::Relaxed), 0);
}

#[test]
fn structs_of_a_newer_host_are_read_as_far_as_known() {
    #[repr(C)]
    struct Newer<T> {
        known: T,
        more: [u64; 4],
    }
    let more = [u64::MAX; 4];
    let (calls, mut room) = (AtomicU32::new(0), [EMPTY; 8]);
    let host = Newer { known: host(size_of::<Newer<BzHost>>(), &calls), more };
    let args = Newer { known: arguments(size_of::<Newer<BzCreateArgs>>()), more };
    let mut round = Newer { known: round(size_of::<Newer<BzCollect>>(), &mut room), more };
    let lived = live((&raw const host).cast(), (&raw const args).cast(), (&raw mut round).cast());
    assert_eq!(lived, (Status::Ok.code(), Status::Ok.code(), 2));
    assert_eq!(calls.load(Ordering::Relaxed), 2);
    assert_eq!(round.more, more);
}

#[test]
fn a_round_shorter_than_the_first_minor_is_refused() {
    let (calls, mut room) = (AtomicU32::new(0), [EMPTY; 8]);
    let host = host(size_of::<BzHost>(), &calls);
    let mut round = round(48, &mut room);
    let lived = live(&host, &arguments(size_of::<BzCreateArgs>()), &raw mut round);
    assert_eq!(lived, (Status::Ok.code(), Status::Fatal.code(), 0));
}

#[test]
fn arguments_without_their_tail_are_empty_there() {
    // SAFETY: the whole struct is there.
    let args = unsafe { read_prefix(&arguments(40)) };
    // SAFETY: the strings are static, or null.
    let (instance, target) = unsafe { (args.instance.bytes(), args.target.bytes()) };
    assert_eq!((instance, target, args.interval_ns), (&b"one"[..], &b""[..], 0));
}

#[test]
fn a_size_in_the_middle_of_a_field_cuts_the_whole_field() {
    let mut ours = entry::<Script>(Script::MANIFEST);
    ours.size = 44;
    // SAFETY: the whole struct is there.
    let read: BzEntry = unsafe { read_prefix(&ours) };
    assert!(read.create.is_some() && read.collect.is_none() && read.destroy.is_none());
    ours.size = 0;
    // SAFETY: as above.
    let read: BzEntry = unsafe { read_prefix(&ours) };
    assert_eq!(read.magic, 0);
}
