use std::io::Write;
use std::os::unix::fs::FileExt;
use std::process::{Command, Output};

use super::handler::tests::block;
use super::*;

/// Runs a test of maps that is ignored, in a process of its own.
pub(super) fn run(test: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture"])
        .arg(format!("storage::disk::mapped::{test}"))
        .output()
        .unwrap()
}

#[track_caller]
pub(super) fn assert_goes_on(test: &str) {
    let child = run(test);
    // A test that has another name succeeds as well.
    let told = String::from_utf8_lossy(&child.stdout);
    let has_passed = child.status.success() && told.contains("1 passed");
    assert!(has_passed, "{child:?}");
}

pub(super) fn file(len: usize) -> File {
    let mut file = tempfile::tempfile().unwrap();
    let bytes: Vec<u8> = (0..len).map(|at| (at / 7) as u8).collect();
    file.write_all(&bytes).unwrap();
    file
}

/// Reads through maps; none where a call is to be made.
pub(super) fn read(maps: &Maps, file: &File, offset: u64, len: usize) -> Option<Vec<u8>> {
    let mut buf = Vec::with_capacity(len);
    let read = maps.read(file, &mut buf, offset, len);
    assert_eq!(buf.len(), if read { len } else { 0 });
    read.then_some(buf)
}

fn maps_of(file: &File) -> Arc<Maps> {
    Maps::new(Identity::of(&rustix::fs::fstat(file).unwrap())).unwrap()
}

pub(super) fn warm(file: &File, offset: u64, len: usize) -> Arc<Maps> {
    let maps = maps_of(file);
    for _ in 0..=READS_BEFORE {
        assert_eq!(read(&maps, file, offset, len), None);
    }
    maps
}

#[test]
fn maps_lie_side_by_side() {
    for bits in [FIRST_BITS, 17, 30] {
        let mut end = 1 << bits;
        assert_eq!((place(0, bits), place(end - 1, bits)), (None, None));
        for nth in 0..MORE_MAPS {
            assert_eq!(place(end, bits), Some((nth, end)));
            end += end * BEHIND;
            assert_eq!(place(end - 1, bits).unwrap().0, nth);
        }
        assert!(end >= 1 << 46);
    }
    assert!(place(u64::MAX, FIRST_BITS).unwrap().0 >= MORE_MAPS);
}

#[test]
fn the_first_map_is_as_long_as_the_file() {
    let lengths = [0, 1, 1 << 16, (1 << 16) + 1, 5 << 20, 1 << 40, u64::MAX];
    assert_eq!(lengths.map(first_bits), [16, 16, 16, 17, 23, 36, 36]);
}

fn mapped(maps: &Maps) -> Vec<usize> {
    let more = maps.more.get().into_iter().flat_map(|more| more.iter());
    let made = [&maps.first].into_iter().chain(more);
    let made = made.filter_map(Place::get).flatten();
    made.map(|segment| segment.len() as usize).collect()
}

/// A process may have no more than a few GiB of addresses for thousands of files.
#[test]
fn maps_take_about_as_many_addresses_as_the_file_has_bytes() {
    let small = file(3000);
    let maps = warm(&small, 0, 100);
    assert_eq!(mapped(&maps), [1 << 16]);
    let large = file(300_000);
    let maps = warm(&large, 0, 100);
    assert_eq!(mapped(&maps), [1 << 19]);
    // It grows, up to a hole.
    for (len, all) in [(1 << 20, 2), (2 << 20, 2), ((2 << 20) + 1, 3), (8 << 20, 3)] {
        large.set_len(len).unwrap();
        assert_eq!(read(&maps, &large, len - 1, 1), None);
        assert_eq!(read(&maps, &large, len - 1, 1).unwrap(), [0]);
        assert_eq!(mapped(&maps).len(), all);
    }
    assert_eq!(mapped(&maps), [1 << 19, 3 << 19, 3 << 21]);
    assert_eq!(read(&maps, &large, (2 << 20) - 1, 2), None, "in two maps");
    assert_eq!(read(&maps, &large, (1 << 19) - 1, 2), None, "in two maps");
    // In a new handle it is one.
    assert_eq!(mapped(&warm(&large, 0, 100)), [8 << 20]);
}

/// Whoever opens a file again for which there was no room asks anew.
#[test]
fn a_window_without_a_map_is_not_handed_on() {
    let file = file(3000);
    let maps = maps_of(&file);
    maps.first.set(None).unwrap();
    assert!(Maps::behind(&maps.window(), maps.of).is_none());
}

#[test]
fn what_was_read_once_is_read_through_the_map() {
    let file = file(300_000);
    let maps = warm(&file, 1000, 100);
    let mut expected = [0; 100];
    file.read_exact_at(&mut expected, 1000).unwrap();
    assert_eq!(read(&maps, &file, 1000, 100).unwrap(), expected);
    assert_eq!(read(&maps, &file, 200_000, 10), None, "not read before");
    file.read_exact_at(&mut expected, 199_990).unwrap();
    assert_eq!(read(&maps, &file, 199_990, 100).unwrap(), expected);
    assert_eq!(read(&maps, &file, 299_999, 2), None, "beyond the end");
    assert_eq!(read(&maps, &file, u64::MAX, 2), None);
    assert_eq!(read(&maps, &file, 0, MAX_READ + 1), None);
}

#[test]
fn a_file_that_grows() {
    let mut file = file(10);
    let maps = warm(&file, 0, 10);
    assert!(read(&maps, &file, 0, 10).is_some());
    assert_eq!(read(&maps, &file, 8, 4), None);
    file.write_all(b"more").unwrap();
    assert_eq!(&read(&maps, &file, 10, 4).unwrap(), b"more");
    file.write_at(b"new", 0).unwrap();
    assert_eq!(&read(&maps, &file, 0, 3).unwrap(), b"new");
}

/// The system sends a signal for the page that is gone: the read fails, the process goes on.
#[test]
fn a_page_that_is_gone_is_no_end_of_the_process() {
    let file = file(100_000);
    let maps = warm(&file, 50_000, 100);
    assert!(read(&maps, &file, 50_000, 100).is_some());
    // As by another process, which tells nobody.
    file.set_len(10).unwrap();
    assert_eq!(read(&maps, &file, 50_000, 100), None);
    // And other maps are as before.
    let other = self::file(100_000);
    let maps = warm(&other, 50_000, 100);
    assert!(read(&maps, &other, 50_000, 100).is_some());
}

/// Once a page was lost, whatever it was replaced with is never taken for the file's.
#[test]
fn a_map_that_lost_a_page_is_not_used_again() {
    let file = file(100_000);
    let maps = warm(&file, 0, 100);
    file.set_len(0).unwrap();
    assert_eq!(read(&maps, &file, 0, 100), None);
    file.write_all_at(&[9; 100_000], 0).unwrap();
    assert_eq!(read(&maps, &file, 0, 100), None);
}

#[test]
fn a_cut_is_no_signal() {
    let file = file(100_000);
    let maps = warm(&file, 50_000, 100);
    maps.cut(10);
    file.set_len(10).unwrap();
    assert_eq!(read(&maps, &file, 50_000, 100), None);
    file.write_all_at(&[9; 100], 50_000).unwrap();
    assert_eq!(read(&maps, &file, 50_000, 100).unwrap(), [9; 100]);
}

#[test]
fn a_window_shows_what_is_mapped() {
    let file = file(300_000);
    let maps = warm(&file, 1000, 100);
    let window = maps.window();
    let look = |offset, len| {
        let mut buf = vec![1, 2];
        let read = window.read_into(&mut buf, offset, len);
        assert_eq!(buf.len(), if read { 2 + len } else { 2 });
        read.then(|| buf.split_off(2))
    };
    let expected = read(&maps, &file, 1000, 100).unwrap();
    let other = maps_of(&self::file(1));
    let of = Identity::of(&rustix::fs::fstat(&file).unwrap());
    assert!(Arc::ptr_eq(&Maps::behind(&window, of).unwrap(), &maps));
    assert!(Maps::behind(&other.window(), of).is_none());
    drop((file, maps));
    assert_eq!(look(1000, 100).unwrap(), expected);
    let in_memory: Vec<u8> = (200_000..200_010).map(|at| (at / 7) as u8).collect();
    assert_eq!(look(200_000, 10).unwrap(), in_memory, "not read before");
    assert_eq!(look(1000, 0), None);
    assert_eq!(look(u64::MAX, 2), None);
    assert_eq!(look(1 << 19, 2), None);
    assert_eq!(look(0, MAX_READ + 1), None);
}

#[test]
fn a_byte_is_mapped_where_the_map_has_it() {
    let file = file(300_000);
    assert_eq!(maps_of(&file).mapped_at(0), None, "not mapped yet");
    let maps = warm(&file, 1000, 100);
    let start = maps.mapped_at(0).unwrap();
    assert_eq!(maps.mapped_at(299_999), Some(start + 299_999));
    assert_eq!(
        maps.mapped_at((1 << 19) - 1),
        Some(start + (1 << 19) - 1),
        "behind the end"
    );
    assert_eq!(
        (maps.mapped_at(1 << 19), maps.mapped_at(u64::MAX)),
        (None, None)
    );
}

/// Nor does it keep others from it.
#[test]
fn a_map_is_made_by_who_may_read_it() {
    let file = file(100_000);
    let maps = warm(&file, 50_000, 100);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            block();
            let other = self::file(100_000);
            let of_other = warm(&other, 50_000, 100);
            assert_eq!(read(&of_other, &other, 50_000, 100), None);
            assert!(of_other.first.get().is_none());
            assert_eq!(read(&maps, &file, 50_000, 100), None);
        });
    });
    assert!(read(&maps, &file, 50_000, 100).is_some());
}

#[test]
fn many_maps_come_and_go() {
    let file = file(1000);
    for _ in 0..3 * guard::MAX_MAPS {
        let maps = warm(&file, 0, 10);
        assert!(read(&maps, &file, 0, 10).is_some());
    }
}
