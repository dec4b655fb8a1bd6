//! A table that is open: its header and claims in memory, its filter and fences once they are needed.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::filter::{self, Filter};
use super::memory::{PageMemory, PagePlace};
use super::page::{self, Blocks, PAGE_SIZE, WORDS, Words, pages, word};
use super::search::{self, Wanted};
use super::{Claim, MAX_ORDINAL_BITS, PARTITION, name, ordinal_bits};
use crate::error::{Error, Result};
use crate::index::Candidates;
use crate::storage::{Blob, OpenMode, Read, Storage};
use crate::sync::{Mutex, OnceLock};

const MAGIC: u64 = u64::from_le_bytes(*b"QUIPUKEY");
const VERSION: u64 = 2;
pub(super) const HEADER_WORDS: usize = 7;
/// Which word of the header says which table it is.
pub(super) const TABLE_AT: usize = 3;
const CLAIM_WORDS: u64 = 4;

/// What a table says of itself first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) archive: u64,
    pub(super) table: u64,
    pub(super) slots: u64,
    /// How many bits of a slot are its ordinal; those of tables that were merged into it took as many.
    pub(super) bits: u32,
    pub(super) claims: u64,
}

impl Header {
    pub(super) fn words(&self) -> [u64; HEADER_WORDS] {
        let bits = self.bits.into();
        let (archive, table) = (self.archive, self.table);
        [
            MAGIC,
            VERSION,
            archive,
            table,
            self.slots,
            bits,
            self.claims,
        ]
    }

    fn parse(page: &[u8]) -> Option<Self> {
        let words: [u64; HEADER_WORDS] = std::array::from_fn(|at| word(page, at));
        match words {
            [MAGIC, VERSION, archive, table, slots, bits, claims] => {
                let least = ordinal_bits(slots);
                let bits = u32::try_from(bits).ok();
                Some(Self {
                    archive,
                    table,
                    slots,
                    bits: bits.filter(|bits| (least..=MAX_ORDINAL_BITS).contains(bits))?,
                    claims,
                })
            }
            _ => None,
        }
    }

    const SLOTS_AT: u64 = 1;

    fn fences_at(&self) -> u64 {
        Self::SLOTS_AT + pages(self.slots)
    }

    fn filter_at(&self) -> u64 {
        self.fences_at() + pages(pages(self.slots))
    }

    fn claims_at(&self) -> u64 {
        self.filter_at() + pages(filter::words(self.slots))
    }

    /// How many bytes such a file has; none where no file can have so many.
    fn file_len(&self) -> Option<u64> {
        let claims = pages(self.claims.checked_mul(CLAIM_WORDS)?);
        self.claims_at()
            .checked_add(claims)?
            .checked_mul(PAGE_SIZE as u64)
    }
}

/// Each with the ordinal of its first entry, ascending, as they are by section and position.
type Claims = Box<[(u64, Claim)]>;

/// Where a key may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) section: u64,
    pub(crate) epoch: u64,
    pub(crate) position: u64,
}

/// A page of slots that is not in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PageAhead {
    at: usize,
}

/// What a look-up needs before it reads a page.
struct Guide {
    filter: Filter,
    pages: Box<[PagePlace]>,
}

impl Guide {
    /// The first page that begins with this slot or a greater one.
    #[inline]
    fn first_not_below(&self, slot: u64) -> usize {
        let pages = &self.pages;
        let guess = search::guess(slot, u64::MAX, pages.len());
        search::lower_bound(pages.len(), guess, |at| {
            pages.get(at).is_some_and(|page| page.first < slot)
        })
    }
}

/// One table.
pub(crate) struct KeyTable {
    number: u64,
    blob: Arc<dyn Blob>,
    header: Header,
    claims: Claims,
    guide: OnceLock<Guide>,
    /// Held while the guide is read.
    reading: Mutex<()>,
    memory: Arc<PageMemory>,
    /// Its pages in the cache.
    stream: u64,
}

impl KeyTable {
    /// Opens a table; none where it is not one of this archive, or is damaged, or cannot be read, where that shows
    /// without its slots.
    pub(crate) fn open(
        storage: &dyn Storage,
        number: u64,
        archive: u64,
        memory: Arc<PageMemory>,
    ) -> Result<Option<Self>> {
        let blob = storage.open(PARTITION, &name(number), OpenMode::Read);
        let blob = blob.map_err(|error| error.of_read(0));
        match blob.and_then(|blob| Self::read(blob, number, archive, memory)) {
            Err(error) if error.is_corruption() => Ok(None),
            other => other,
        }
    }

    fn read(
        blob: Arc<dyn Blob>,
        number: u64,
        archive: u64,
        memory: Arc<PageMemory>,
    ) -> Result<Option<Self>> {
        let len = blob.len().map_err(|error| error.of_read(0))?;
        if len < PAGE_SIZE as u64 {
            return Ok(None);
        }
        let mut first = Vec::new();
        page::read(&*blob, None, 0, 1, &mut first)?;
        let header = Header::parse(&first).filter(|header| header.archive == archive);
        let Some(header) = header.filter(|header| header.file_len() == Some(len)) else {
            return Ok(None);
        };
        let claims = read_claims(&*blob, &header)?;
        Ok(claims.map(|claims| Self {
            number,
            blob,
            header,
            claims,
            guide: OnceLock::new(),
            reading: Mutex::default(),
            stream: memory.next_stream(),
            memory,
        }))
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// How many entries it has slots for.
    pub(crate) fn len(&self) -> u64 {
        self.header.slots
    }

    pub(crate) fn claims(&self) -> impl Iterator<Item = &Claim> {
        self.claims.iter().map(|(_, claim)| claim)
    }

    /// The claims of one section.
    pub(crate) fn claims_of(&self, section: u64) -> impl Iterator<Item = &Claim> {
        // Mostly it has none: tables follow each other, as sections do.
        let is_behind = self
            .claims
            .last()
            .is_none_or(|(_, of)| of.section < section);
        let first = match is_behind {
            true => self.claims.len(),
            false => self.claims.partition_point(|(_, of)| of.section < section),
        };
        let rest = self.claims.get(first..).unwrap_or_default().iter();
        rest.map(|(_, claim)| claim)
            .take_while(move |claim| claim.section == section)
    }

    /// The ordinal of the first entry of each claim.
    pub(super) fn starts(&self) -> impl Iterator<Item = (u64, &Claim)> {
        self.claims.iter().map(|(start, claim)| (*start, claim))
    }

    pub(super) fn ordinal_bits(&self) -> u32 {
        self.header.bits
    }

    /// All slots, ascending.
    pub(super) fn slots(&self) -> Words<'_> {
        let Header { table, slots, .. } = self.header;
        Words::new(&*self.blob, table, Header::SLOTS_AT, slots)
    }

    /// Brings what a [look-up](Self::look_up) reads first into the processor's caches, without waiting for it: of several
    /// tables at a time.
    #[inline]
    pub(crate) fn prefetch(&self, mix: u64) {
        if let Some(guide) = self.guide.get() {
            guide.filter.prefetch(mix);
        }
    }

    /// Puts the ordinals of entries that may have a key of this mix into `out`, in place of what is there. Where the page
    /// is not in memory, reads it, or a block or two of it; of a table that is asked the first time the filter as well.
    ///
    /// # Errors
    /// [`Error::Damaged`] where what is read does not check.
    pub(crate) fn look_up(&self, mix: u64, out: &mut Candidates) -> Result<()> {
        out.clear();
        let guide = self.guide()?;
        if !guide.filter.may_contain(mix) {
            return Ok(());
        }
        let bits = self.ordinal_bits();
        let (least, mask) = (mix >> bits << bits, (1 << bits) - 1);
        // Of slots with the same key, the first ones may stand at the end of the page before.
        let behind = guide.first_not_below(least);
        let mut at = behind.saturating_sub(1);
        while let Some(place) = guide
            .pages
            .get(at)
            .filter(|page| page.first <= least | mask)
        {
            let len = self.header.slots - at as u64 * WORDS as u64;
            let wanted = Wanted {
                least,
                mask,
                first: place.first,
                end: guide.pages.get(at + 1).map_or(u64::MAX, |next| next.first),
                len: len.min(WORDS as u64) as usize,
            };
            let goes_on = self.find(&wanted, place, at as u64, out)?;
            if !goes_on {
                break;
            }
            at += 1;
        }
        Ok(())
    }

    /// The page that a [look-up](Self::look_up) reads first, if that is not in memory: where it begins, and its
    /// bytes. Reads the filter of a table that is asked the first time.
    pub(crate) fn page_ahead(&self, mix: u64) -> Result<Option<PageAhead>> {
        let guide = self.guide()?;
        let bits = self.ordinal_bits();
        let (least, mask) = (mix >> bits << bits, (1 << bits) - 1);
        let at = guide.first_not_below(least).saturating_sub(1);
        let place = guide.pages.get(at);
        let place =
            place.filter(|page| page.first <= least | mask && guide.filter.may_contain(mix));
        let lacks = |place: &PagePlace| {
            place
                .look(&self.memory, self.stream, at as u64, |_| ())
                .is_none()
        };
        Ok(place.filter(|place| lacks(place)).map(|_| PageAhead { at }))
    }

    /// The read of such a page.
    pub(crate) fn read_of(&self, PageAhead { at }: PageAhead) -> Read<'_> {
        Read {
            blob: &*self.blob,
            offset: (Header::SLOTS_AT + at as u64) * PAGE_SIZE as u64,
            len: PAGE_SIZE,
        }
    }

    /// Keeps a page that was read. One that does not check is left to the look-up that wants it, which tells.
    pub(crate) fn take_in(&self, PageAhead { at }: PageAhead, page: Vec<u8>) {
        let number = Header::SLOTS_AT + at as u64;
        let place = self.guide.get().and_then(|guide| guide.pages.get(at));
        let words = page::words_of(page, self.header.table, number);
        if let Some((place, words)) = place.zip(words) {
            place.put(&words, &self.memory, self.stream, at as u64);
        }
    }

    /// The place of an ordinal; none where the claims have fewer.
    pub(crate) fn place(&self, ordinal: u64) -> Option<Place> {
        let behind = self.claims.partition_point(|&(start, _)| start <= ordinal);
        let (start, claim) = self.claims.get(behind.checked_sub(1)?)?;
        let position = claim.from.checked_add(ordinal - start)?;
        (position < claim.to).then_some(Place {
            section: claim.section,
            epoch: claim.epoch,
            position,
        })
    }

    /// Looks for slots in a page, which is read if it is not in memory.
    fn find(
        &self,
        wanted: &Wanted,
        place: &PagePlace,
        at: u64,
        out: &mut Candidates,
    ) -> Result<bool> {
        let before = out.len();
        let found = place.look(&self.memory, self.stream, at, |words| {
            // The look before this one did not count.
            out.truncate(before);
            let word = |at: usize| words.get(at).map_or(0, |word| word.load(Ordering::Relaxed));
            wanted.find(word, out)
        });
        if let Some(goes_on) = found {
            return Ok(goes_on);
        }
        out.truncate(before);
        let number = Header::SLOTS_AT + at;
        if !self.memory.takes(at) {
            let blocks = Blocks::new(&*self.blob, self.header.table, number);
            let goes_on = wanted.find(|at| blocks.word(at), out);
            return blocks.end().map(|()| goes_on);
        }
        let mut read = Vec::new();
        page::read(&*self.blob, Some(self.header.table), number, 1, &mut read)?;
        place.put(&read, &self.memory, self.stream, at);
        Ok(wanted.find(|at| word(&read, at), out))
    }

    fn guide(&self) -> Result<&Guide> {
        loop {
            if let Some(guide) = self.guide.get() {
                return Ok(guide);
            }
            let _one_at_a_time = self.reading.lock();
            if self.guide.get().is_none() {
                let guide = self.read_guide()?;
                let _ = self.guide.set(guide);
            }
        }
    }

    fn read_guide(&self) -> Result<Guide> {
        let Header { table, slots, .. } = self.header;
        let fences = pages(slots);
        let mut words = Words::new(&*self.blob, table, self.header.fences_at(), fences);
        let pages: Result<_> = (0..fences)
            .map(|_| Ok(PagePlace::new(words.next()?.unwrap_or_default())))
            .collect();
        let at = self.header.filter_at();
        let mut words = Words::new(&*self.blob, table, at, filter::words(slots));
        Ok(Guide {
            pages: pages?,
            filter: Filter::read(slots, || words.next())?,
        })
    }

    /// Reads every page; an error where one does not check.
    pub(crate) fn verify(&self) -> Result<()> {
        let pages = self.disk_len() / PAGE_SIZE as u64;
        let mut read = Vec::new();
        (0..pages).try_for_each(|number| {
            page::read(&*self.blob, Some(self.header.table), number, 1, &mut read)
        })
    }

    /// Bytes of the file.
    pub(crate) fn disk_len(&self) -> u64 {
        self.header.file_len().unwrap_or_default()
    }

    /// Bytes of memory, but for its pages.
    pub(crate) fn memory(&self) -> usize {
        let guide = self.guide.get().map_or(0, |guide| {
            guide.filter.memory() + size_of_val::<[_]>(&guide.pages)
        });
        size_of::<Self>() + size_of_val::<[_]>(&self.claims) + guide
    }
}

/// The claims, each with its first ordinal; none where they are not in order, or not of as many entries
/// as there are slots.
fn read_claims(blob: &dyn Blob, header: &Header) -> Result<Option<Claims>> {
    let words = header.claims * CLAIM_WORDS;
    let mut words = Words::new(blob, header.table, header.claims_at(), words);
    let mut claims: Vec<(u64, Claim)> = Vec::new();
    let mut start = 0_u64;
    for _ in 0..header.claims {
        let mut next = || Ok::<_, Error>(words.next()?.unwrap_or_default());
        let (section, epoch, from, to) = (next()?, next()?, next()?, next()?);
        let claim = Claim {
            section,
            epoch,
            from,
            to,
        };
        let is_behind = claims.last().is_none_or(|(_, last)| {
            last.section < section || last.section == section && last.from <= from
        });
        if from >= to || !is_behind {
            return Ok(None);
        }
        claims.push((start, claim));
        start = start.saturating_add(claim.len());
    }
    Ok((start == header.slots).then(|| claims.into_boxed_slice()))
}

impl Drop for KeyTable {
    fn drop(&mut self) {
        let pages = self.guide.get().map(|guide| guide.pages.iter());
        pages
            .into_iter()
            .flatten()
            .for_each(|page| page.release(&self.memory));
    }
}

impl fmt::Debug for KeyTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyTable")
            .field("number", &self.number)
            .field("slots", &self.header.slots)
            .field("claims", &self.claims.len())
            .finish_non_exhaustive()
    }
}
