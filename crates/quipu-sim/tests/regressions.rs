//! Cases that failed once, each with what it found.

use quipu_sim::run::run;

fn goes_well(case: &str) {
    let case = case.parse().unwrap();
    run(&case).unwrap_or_else(|failure| panic!("{failure}\n{case}"));
}

/// A process that was killed left section files whose names were not durable; the next one took
/// them for durable, and a loss of power took what it had synced.
#[test]
fn names_that_a_killed_process_left_are_made_durable() {
    goes_well("items=8 | put 0 1 9 | drop | crash 99 before none 1 | put_sync 1 2 9");
    goes_well("items=64 page=13 | put 0 1 37 | drop | put 1 2 30 | sync | put 2 3 31 | sync");
}

/// A flush failed, the archive was opened again, and the flush of the next open, which the system
/// answers without a write, was believed.
#[test]
fn what_an_open_finds_after_a_failed_flush_is_written_again() {
    goes_well(
        "items=3 page=28 layout=0 cap=2 buffer=1048576 | put 0 0 29 | put 1 2 39 | put 1 3 36 | \
         put 2 4 41 | fault 3 flush-fails | sync | sync | put 3 5 3 | put 6 6 27 | read",
    );
}

/// The flush of the folder failed in a prune, or its process was killed before it; the next open saw
/// the raised floor, which a crash then took back. At each call, so that it stays in reach of the one
/// that counts.
#[test]
fn a_floor_that_an_open_showed_stays() {
    let before = "items=8 page=500 layout=0 cap=2 buffer=1 | multi_sync 998 0 12 | rewind 999 | \
                  put_sync 999 2 0 | put_sync 1010 5 9";
    for call in 0..30 {
        goes_well(&format!(
            "{before} | fault {call} flush-fails | prune 1001 | drop | put 1012 3 34 | read | close"
        ));
        goes_well(&format!(
            "{before} | crash {call} after memory 1 | prune 1001 | crash 0 before none 1 | read"
        ));
    }
}

/// A removal that an open finished before the manifest that told of it was durable.
#[test]
fn a_destruction_is_finished_only_once_its_manifest_is_durable() {
    goes_well(
        "items=8 page=50 layout=1 cap=1 zstd=0 buffer=64 | rewind 4 | put_sync 4 6 2 | \
         fault 6 flush-fails | crash 25 after bytes 875193 | destroy",
    );
}

/// A file of zeros counts as an interrupted creation and was made anew, with a name that was not
/// durable; behind damage a section goes on as its mark says, and that mark was not durable.
#[test]
fn what_fills_damage_is_durable() {
    goes_well(
        "items=7 page=13 layout=0 cap=0 zstd=1 buffer=64 | put 992 1 21 | sync | \
         damage zero index 2 2800903 | damage stale index 0 34016",
    );
    goes_well(
        "items=8 page=56 layout=0 cap=1 buffer=1000 | put 7 9 30 | \
         damage flip values 0 1327023 | damage flip index 0 34612",
    );
}

/// The process is killed at each call of a rewind, and of the open after it; then the power goes.
#[test]
fn what_a_killed_rewind_has_dropped_does_not_come_back() {
    for call in (0..60).step_by(2) {
        for again in [2, 9, 20, 40] {
            goes_well(&format!(
                "items=8 page=28 buffer=64 | batch 0 1 9 5 2 9 2 3 9 7 4 9 9 5 9 | sync | \
                 crash {call} after memory 1 again {again} before memory 2 | rewind 3 | \
                 crash 0 before none 3 | read"
            ));
        }
    }
}

/// A rewind lowered the mark of a section with damaged pages, and was cut off before the new file was
/// there: the next open took what stood behind the damage for torn.
#[test]
fn a_rewind_cut_off_beside_damage_loses_nothing() {
    goes_well(
        "items=8 page=70 layout=1 cap=1 zstd=1 buffer=1 | put_sync 0 1 31 | put 1 2 23 | multi 1 3 43 | \
         damage zero index 5 35828 | crash 29 after prefix 981324 | rewind 5",
    );
}

/// A key that no item has was told damaged, because a key table had an entry of the same short form that
/// could not be read any more.
#[test]
fn a_damaged_entry_in_a_key_table_is_no_answer_for_another_key() {
    goes_well(
        "items=8 page=50 layout=0 cap=1 buffer=1 tables=5 | \
         batch 993 21 15 994 22 0 995 23 33 998 24 4 999 26 0 | damage flip index 6 33465",
    );
}

/// Marks of sections below the floor, which a prune that was cut off left, were taken for those of files that are away.
#[test]
fn a_rewind_below_the_floor_of_a_prune_that_was_cut_off() {
    for call in 30..50 {
        goes_well(&format!(
            "items=8 page=50 layout=0 cap=1 buffer=1000 | put 983 1 3 | crash {call} after sectors 508105 | \
             put_sync 984 2 42 | prune 984 | rewind 983"
        ));
    }
    goes_well(
        "items=3 page=50 layout=0 cap=8 buffer=64 reserve=5000 | put 0 1 22 | crash 37 before all 1000171 | sync | \
         put 7 8 43 | prune 4 | rewind 2",
    );
}

/// The flush that clears a commit log failed, and the next process went on behind the record that the system still showed.
#[test]
fn a_commit_log_that_was_cleared_in_memory_alone() {
    goes_well(
        "items=64 page=50 layout=1 cap=1 buffer=64 reserve=100 log=16900 | put 580 4 34 | sync | put_sync 581 6 16 | \
         fault 6 flush-fails | put 583 8 26 | put_sync 585 10 39",
    );
}

/// A page lacked the last bytes of its empty slot, which were taken for zeros: whoever opened the file cut the page.
#[test]
fn a_page_that_a_commit_log_makes_whole_is_whole_to_its_last_byte() {
    goes_well(
        "items=64 page=50 layout=1 cap=1 buffer=64 reserve=100 log=16900 | put_sync 585 10 39 | put 581 12 5 | sync | \
         crash 25 before prefix 918700",
    );
}

/// What a commit log has durably was read from the section's file alone, where a flush that failed had taken it away.
#[test]
fn what_a_commit_log_has_is_read_from_memory_until_it_is_flushed() {
    goes_well(
        "items=8 page=13 layout=1 cap=8 zstd=1 buffer=200 log=16384 | put 985 1 28 | close | put 986 3 27 | \
         put_sync 987 4 8 | fault 3 flush-fails | put 990 7 10 | put 991 8 6 | sync | read",
    );
}

/// The rename that ends the filling of a disk reserve failed and was done all the same; it was tried again for ever.
#[test]
fn a_reserve_that_got_its_name_by_a_rename_that_failed() {
    goes_well(
        "items=8 page=200 layout=0 cap=1 buffer=64 reserve=5000 log=16900 | put_sync 9 8 2 | fault 13 error-after | \
         fault 0 no-space | batch 11 10 25 12 12 22 13 14 14 | put_sync 9 15 23",
    );
}

/// The same key stands above an index that a rewind was to go back to, and failed: it may be found there.
#[test]
fn a_key_above_a_rewind_that_failed() {
    goes_well(
        "items=8 page=70 layout=0 cap=1 buffer=64 | put 15 1 23 | batch 2 1 34 | fault 14 short-write | rewind 7 | read",
    );
}

/// The model judged what a verification told before it had noticed that a bit was turned in a read of that.
#[test]
fn what_is_damaged_in_the_middle_of_a_verification() {
    goes_well(
        "items=8 page=28 layout=0 cap=2 zstd=0 buffer=64 | fault 19 flipped-bit | fault 0 error-after | close",
    );
}

/// The model took a rewind that failed to read, before it had begun, for a write that failed.
#[test]
fn a_rewind_that_cannot_read_has_not_begun() {
    goes_well(
        "items=8 page=13 layout=0 cap=1 zstd=1 buffer=64 log=16384 | put_sync 26 3 32 | fault 0 error-before | rewind 26 | batch 27 5 18",
    );
}

/// What an open read beyond the marks after a flush that failed was written again but for zeros at the end, and so were
/// lost the length of the file and an empty value, whose checksum is zero.
#[test]
fn zeros_at_the_end_of_a_file_are_written_again() {
    goes_well(
        "items=8 page=4084 layout=1 cap=1 zstd=0 buffer=20 log=20000 | put 13 7 8 | put 16 3 10 | sync | put_sync 14 11 0 | \
         fault 2 flush-fails | put 17 10 24 | read | sync",
    );
}

/// A flush of entries failed, and then the disk could not read what the system still had of them: what was put behind them,
/// in their page, was lost with it.
#[test]
fn nothing_is_put_behind_what_cannot_be_written_again() {
    goes_well(
        "items=8 page=13 layout=1 cap=1 zstd=0 buffer=1 | batch 0 1 9 | fault 38 unreadable | fault 2 flush-fails | \
         sync | drop",
    );
}

/// A rewind could not read the file that it had just written, and marked as many entries as there were before it.
#[test]
fn a_rewind_that_cannot_read_what_it_has_written() {
    goes_well(
        "items=8 page=56 layout=1 cap=0 zstd=0 buffer=200 tables=12 | batch 17 23 25 19 25 3 | fault 45 unreadable | \
         rewind 18",
    );
}

/// What a reader beside could not read of a page that a commit log is for was an error that says nothing of the bytes.
#[test]
fn a_page_of_a_commit_log_that_cannot_be_read_beside() {
    goes_well(
        "items=16 page=50 layout=0 cap=1 zstd=0 buffer=1000 log=16384 | batch 7 13 9 | sync | fault 40 unreadable | \
         batch 9 15 70 | sync | beside",
    );
}

/// A rewind failed to look at the length of the file that it was going to read: it had not begun, and puts went on.
#[test]
fn a_rewind_that_cannot_look_at_its_section_has_not_begun() {
    goes_well(
        "items=8 page=56 layout=1 cap=1 zstd=0 buffer=64 tables=1 | batch 995 1 14 996 3 6 1001 4 35 1010 7 23 | sync | \
         fault 1 error-before | rewind 998 | put_sync 998 11 4",
    );
}

/// Neither marks nor entries could be read: the mark that was written then let the section rest as if it had no more once the
/// disk read them again.
#[test]
fn a_mark_of_entries_that_nobody_could_read() {
    goes_well(
        "items=8 page=28 layout=1 cap=2 zstd=0 buffer=64 tables=1 log=16384 | put 0 1 32 | fault 178 unreadable | \
         fault 17 unreadable | put 1 2 23 | sync | fault 17 unreadable | drop | batch 10 13 38",
    );
}

/// The model took an archive whose destruction had not begun, and of which nothing had survived, for a new one: its section was
/// still compressed, whatever the setting, and an adoption told otherwise.
#[test]
fn an_empty_archive_that_was_not_destroyed_is_as_compressed_as_before() {
    goes_well(
        "items=18446744073709551615 page=50 layout=1 cap=2 zstd=1 buffer=1 log=16900 | put 18446744073709551515 0 16 | \
         crash 2 after bytes 103566 | close zstd=0 | crash 4 before none 912250 | destroy | \
         put 18446744073709551521 8 11 | adopt 40",
    );
}

/// A killed process left a sync in the log alone, the next open could not open its section and began the log anew: the power took it.
#[test]
fn what_the_log_has_of_a_section_that_cannot_be_opened_stays() {
    goes_well(
        "items=18446744073709551615 page=500 layout=1 cap=1 zstd=0 buffer=1048576 log=16900 | put_sync 1 2 40 | batch 2 3 27 | \
         sync | put 16 18 0 | sync | crash 56 after bytes 96181 | fault 41 unreadable | drop",
    );
}

/// The model forgot a prune that may have been done, since a destroy came that the machine stopped before.
#[test]
fn a_destroy_that_never_began_undoes_no_prune() {
    goes_well(
        "items=8 page=13 layout=1 cap=1 zstd=0 buffer=1000 | put_sync 18446744073709551575 1 8 | fault 9 error-after | \
         prune 18446744073709551575 | crash 56 before none 115955 | destroy",
    );
}
