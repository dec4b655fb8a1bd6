use super::*;

fn insert(pool: &Pool, stream: u64, page: u64, len: usize) {
    pool.insert(stream, page, &bytes(stream, page, len));
}

/// Bytes that no other page has, each eight of them by themselves.
fn bytes(stream: u64, page: u64, len: usize) -> Vec<u8> {
    let word = (stream << 32 | page).to_le_bytes();
    word.into_iter().cycle().take(len).collect()
}

fn read(pool: &Pool, stream: u64, page: u64) -> Option<u64> {
    let mut word = [0; 8];
    let found = pool.read(stream, page, 0, &mut word);
    found.then(|| u64::from_le_bytes(word))
}

fn is_there(pool: &Pool, stream: u64, page: u64, len: usize) -> bool {
    let mut read = vec![0; len];
    let found = pool.read(stream, page, 0, &mut read);
    assert!(!found || read == bytes(stream, page, len), "{page}");
    found
}

#[test]
fn most_of_what_fits_is_found() {
    let pool = Pool::new(1000 * 4300);
    for page in 0..1000 {
        insert(&pool, 1, page, 4084);
    }
    let found = (0..1000).filter(|&page| read(&pool, 1, page) == Some(1 << 32 | page));
    let found = found.count() as u64;
    assert!(found > 980, "{found}");
    assert_eq!((pool.hits(), pool.misses()), (found, 1000 - found));
}

#[test]
fn pages_of_any_size_stay_within_the_bytes() {
    let pool = Pool::new(1_000_000);
    let len = |page: u64| 64 + (page as usize * 37) % 9000;
    for page in 0..5000 {
        insert(&pool, page % 7, page, len(page));
        assert!(pool.bytes() <= 1_000_000);
    }
    assert!(pool.bytes() > 800_000);
    let found = (0..5000).filter(|&page| is_there(&pool, page % 7, page, len(page)));
    assert!(found.count() > 100);
}

/// The memory that is asked for is what was allowed, but for what a pool takes itself.
#[test]
fn memory_stays_within_the_bytes() {
    for most in [0, 5_000, 100_000, 10_000_000] {
        let pool = Pool::new(most);
        for page in 0..3000 {
            insert(&pool, 1, page, 4084);
        }
        let memory = pool.memory() - size_of::<Pool>();
        assert!(memory <= most as usize + 1024, "{memory} of {most}");
        assert!(pool.bytes() <= most as usize);
    }
}

#[test]
fn a_page_of_any_size_is_read_from_any_place() {
    for len in [1, 7, 8, 63, 64, 4084, 4096, 4097, 8192, 12_289, 65_535] {
        let pool = Pool::new(200_000);
        let page: Vec<u8> = (0..len).map(|at| (at * 31 + at / 251) as u8).collect();
        pool.insert(9, 3, &page);
        for at in (0..len).step_by(1 + len / 97) {
            for wanted in [0, 1, 8, 52, 4096, 5000, len] {
                let end = (at + wanted).min(len);
                let mut out = vec![0; end - at];
                assert!(pool.read(9, 3, at, &mut out), "{len}: {at}..{end}");
                assert_eq!(out, page[at..end], "{len}: {at}..{end}");
            }
        }
        let misses = pool.misses();
        assert!(!pool.read(9, 3, len - 1, &mut [0; 2]), "{len}");
        assert!(!pool.read(9, 3, 0, &mut vec![0; len + 1]), "{len}");
        assert!(!pool.read(9, 3, usize::MAX, &mut [0; 2]), "{len}");
        assert!(!pool.read(9, u64::MAX, 0, &mut [0]), "{len}");
        assert!(!pool.read(9, 3, 100_000, &mut [0]), "{len}");
        assert_eq!(pool.misses() - misses, 5);
    }
}

#[test]
fn a_page_without_a_name_of_its_own_is_not_kept() {
    let pool = Pool::new(1 << 20);
    pool.insert(1, u64::MAX, &[1; 100]);
    pool.insert(1, 1, &vec![1; 65_537]);
    pool.insert(1, 2, &[]);
    assert_eq!(pool.bytes(), 0);
    assert_eq!(pool.look(1, u64::MAX, |_| ()), None);
}

#[test]
fn what_is_read_stays() {
    let pool = Pool::new(100 * 4224);
    insert(&pool, 1, 0, 4084);
    for page in 1..5000 {
        assert_eq!(read(&pool, 1, 0), Some(1 << 32), "{page}");
        insert(&pool, 1, page, 4084);
    }
}

#[test]
fn the_same_page_twice_is_one() {
    let pool = Pool::new(100_000);
    insert(&pool, 1, 5, 4084);
    let bytes = pool.bytes();
    insert(&pool, 1, 5, 4084);
    assert_eq!(pool.bytes(), bytes);
}

#[test]
fn nothing_is_kept_where_there_is_no_room() {
    for most in [0, PART_BYTES as u64 - 1] {
        let pool = Pool::new(most);
        insert(&pool, 1, 5, 4084);
        assert_eq!((read(&pool, 1, 5), pool.bytes()), (None, 0));
    }
}

#[test]
fn words_are_looked_at_in_place() {
    let pool = Pool::new(100_000);
    insert(&pool, 1, 5, 4096);
    let second = |words: &[AtomicU64]| words[1].load(Ordering::Relaxed);
    assert_eq!(pool.look(1, 5, second), Some(1 << 32 | 5));
    assert_eq!(pool.look(1, 6, second), None);
    assert_eq!((pool.hits(), pool.misses()), (1, 1));
}

/// Threads that read and insert by the thousand never find another page's bytes, or a mix of two.
#[test]
fn a_page_is_itself_or_not_there() {
    for (len, rounds) in [(100, 40_000), (4084, 10_000), (9000, 4_000)] {
        let pool = Pool::new(20 * PART_BYTES as u64);
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                let pool = &pool;
                scope.spawn(move || {
                    for n in 0..rounds {
                        let page = (n * 0x9E37 + n * n * thread) & 63;
                        if !is_there(pool, 3, page, len) {
                            insert(pool, 3, page, len);
                        }
                    }
                });
            }
        });
        let parts: usize = (0..64)
            .flat_map(|page| (0..len).step_by(SLOT_BYTES).map(move |at| (page, at)))
            .filter(|&(page, at)| pool.read(3, page, at, &mut [0]))
            .count();
        assert_eq!(pool.bytes(), parts * PART_BYTES);
        assert!(parts > 10);
    }
}

#[test]
fn a_stream_that_ends_gives_its_room_back() {
    let pool = Pool::new(1000 * 4300);
    for page in 0..100 {
        insert(&pool, 1, page, 4084);
        // In two parts.
        insert(&pool, 2, page, 6000);
        insert(&pool, 3, page, 4084);
    }
    let before = pool.bytes();
    let there = (0..100).filter(|&page| is_there(&pool, 1, page, 4084));
    let there = there.count();
    pool.forget(1, 100, 4084);
    assert_eq!(pool.bytes(), before - there * PART_BYTES);
    pool.forget(2, 100, 6000);
    assert!((0..100).all(|page| !is_there(&pool, 1, page, 1) && !is_there(&pool, 2, page, 1)));
    let left = (0..100).filter(|&page| is_there(&pool, 3, page, 4084));
    assert!(left.count() > 90);
    assert!(pool.bytes() <= 100 * PART_BYTES);
}

/// A file may have any length.
#[test]
fn a_stream_of_any_length_ends() {
    let pool = Pool::new(100_000);
    insert(&pool, 1, 0, 4084);
    pool.forget(1, u64::MAX, usize::MAX);
    pool.forget(1, u64::MAX, 4084);
    assert_eq!(pool.bytes(), 0);
}

/// What takes pages only by chance while it is full takes all again.
#[test]
fn room_that_was_given_back_is_used() {
    let pool = Pool::new(100_000);
    (0..60).for_each(|page| insert(&pool, 1, page, 4084));
    assert!((0..60).any(|page| !pool.takes_offer(page)));
    pool.forget(1, 60, 4084);
    assert_eq!(pool.bytes(), 0);
    assert!((0..60).all(|page| pool.takes_offer(page)));
    let memory = pool.memory();
    (0..60).for_each(|page| insert(&pool, 2, page, 4084));
    assert_eq!(pool.memory(), memory);
}
