//! Rows by key, more of them than memory holds.
//!
//! Rows are gathered in one buffer; when it is full they are sorted and written to a temporary file without a name, which
//! nobody else can open and which is gone with the process. In the end the files are merged. Reading and writing block, for
//! as long as a page of rows takes.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// The most files that are merged at once; more are merged in several passes.
const AT_ONCE: usize = 64;
/// How much of each file is read ahead.
const READ_AHEAD: usize = 64 << 10;
/// What a row takes in memory besides its bytes.
const OVERHEAD: usize = size_of::<Place>();

/// Takes rows in any order.
pub struct Sorter {
    folder: PathBuf,
    memory: usize,
    bytes: Vec<u8>,
    places: Vec<Place>,
    runs: Vec<File>,
}

/// Where a row is in the buffer: its key, and its content right behind it.
#[derive(Clone, Copy)]
struct Place {
    start: usize,
    key: u32,
    row: u32,
}

/// A row, with its key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    pub key: Vec<u8>,
    pub row: Vec<u8>,
}

/// Gives rows in the order of their keys; those with one key in the order in which they came.
pub struct Sorted {
    runs: Vec<Run>,
    heap: BinaryHeap<Head>,
}

struct Run(BufReader<File>);

/// The next row of a run.
struct Head {
    row: Row,
    run: usize,
}

impl Ord for Head {
    /// The smallest key is the greatest, as the heap gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (&other.row.key, other.run).cmp(&(&self.row.key, self.run))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head {}

impl Sorter {
    /// With files in this folder, and at most about this many bytes in memory.
    pub fn new(folder: &Path, memory: usize) -> Self {
        Self { folder: folder.to_owned(), memory, bytes: Vec::new(), places: Vec::new(), runs: Vec::new() }
    }

    /// Takes a row.
    pub fn push(&mut self, key: &[u8], row: &[u8]) -> io::Result<()> {
        let size = self.bytes.len() + key.len() + row.len() + (self.places.len() + 1) * OVERHEAD;
        if size > self.memory && !self.places.is_empty() {
            self.spill()?;
        }
        let too_long = |_| io::Error::new(io::ErrorKind::InvalidInput, "a row is longer than 4 GiB");
        let place = Place {
            start: self.bytes.len(),
            key: u32::try_from(key.len()).map_err(too_long)?,
            row: u32::try_from(row.len()).map_err(too_long)?,
        };
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(row);
        self.places.push(place);
        Ok(())
    }

    /// All rows, in order.
    pub fn sorted(mut self) -> io::Result<Sorted> {
        if !self.places.is_empty() {
            self.spill()?;
        }
        (self.bytes, self.places) = (Vec::new(), Vec::new());
        let mut runs = self.runs;
        while runs.len() > AT_ONCE {
            // Neighbours, so that rows with one key keep their order.
            let mut fewer = Vec::new();
            let mut left = runs.into_iter();
            loop {
                let some: Vec<File> = left.by_ref().take(AT_ONCE).collect();
                if some.is_empty() {
                    break;
                }
                fewer.push(merged(some, &self.folder)?);
            }
            runs = fewer;
        }
        Sorted::new(runs)
    }

    fn spill(&mut self) -> io::Result<()> {
        let Self { bytes, places, .. } = self;
        let key = |place: &Place| &bytes[place.start..place.start + place.key as usize];
        places.sort_by(|one, other| key(one).cmp(key(other)));
        let mut file = BufWriter::with_capacity(READ_AHEAD, tempfile::tempfile_in(&self.folder)?);
        for place in places.iter() {
            let row = place.start + place.key as usize;
            write_row(&mut file, key(place), &bytes[row..row + place.row as usize])?;
        }
        self.runs.push(rewound(file)?);
        // A process may have few files open at once.
        if self.runs.len() > 2 * AT_ONCE {
            let first: Vec<File> = self.runs.drain(..AT_ONCE).collect();
            self.runs.insert(0, merged(first, &self.folder)?);
        }
        bytes.clear();
        places.clear();
        Ok(())
    }
}

fn write_row(file: &mut impl Write, key: &[u8], row: &[u8]) -> io::Result<()> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    file.write_all(&length(key))?;
    file.write_all(&length(row))?;
    file.write_all(key)?;
    file.write_all(row)
}

fn rewound(file: BufWriter<File>) -> io::Result<File> {
    let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.rewind()?;
    Ok(file)
}

fn merged(runs: Vec<File>, folder: &Path) -> io::Result<File> {
    let mut sorted = Sorted::new(runs)?;
    let mut file = BufWriter::with_capacity(READ_AHEAD, tempfile::tempfile_in(folder)?);
    while let Some(row) = sorted.next_row()? {
        write_row(&mut file, &row.key, &row.row)?;
    }
    rewound(file)
}

impl Run {
    /// Reads the next row into this one's buffers; false at the end.
    fn read(&mut self, into: &mut Row) -> io::Result<bool> {
        let mut lengths = [0; 8];
        if self.0.read(&mut lengths[..1])? == 0 {
            return Ok(false);
        }
        self.0.read_exact(&mut lengths[1..])?;
        let length = |at: usize| {
            let bytes = [lengths[at], lengths[at + 1], lengths[at + 2], lengths[at + 3]];
            u32::from_le_bytes(bytes) as usize
        };
        into.key.resize(length(0), 0);
        into.row.resize(length(4), 0);
        self.0.read_exact(&mut into.key)?;
        self.0.read_exact(&mut into.row)?;
        Ok(true)
    }
}

impl Sorted {
    fn new(files: Vec<File>) -> io::Result<Self> {
        let mut sorted = Self { runs: Vec::new(), heap: BinaryHeap::new() };
        for (index, file) in files.into_iter().enumerate() {
            sorted.runs.push(Run(BufReader::with_capacity(READ_AHEAD, file)));
            sorted.refill(Row::default(), index)?;
        }
        Ok(sorted)
    }

    fn refill(&mut self, mut row: Row, run: usize) -> io::Result<()> {
        if self.runs[run].read(&mut row)? {
            self.heap.push(Head { row, run });
        }
        Ok(())
    }

    /// The next row.
    pub fn next_row(&mut self) -> io::Result<Option<Row>> {
        let Some(Head { row, run }) = self.heap.pop() else { return Ok(None) };
        self.refill(Row::default(), run)?;
        Ok(Some(row))
    }

    /// All rows with the next key, in place of what is there; false at the end.
    pub fn next_group(&mut self, rows: &mut Vec<Row>) -> io::Result<bool> {
        rows.clear();
        while let Some(head) = self.heap.peek() {
            if rows.first().is_some_and(|first: &Row| first.key != head.row.key) {
                break;
            }
            rows.extend(self.next_row()?);
        }
        Ok(!rows.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(mut sorted: Sorted) -> Vec<Row> {
        std::iter::from_fn(|| sorted.next_row().unwrap()).collect()
    }

    proptest! {
        #[test]
        fn rows_come_by_key_and_in_the_order_in_which_they_came(
            rows in prop::collection::vec((prop::collection::vec(0_u8..3, 0..4), prop::collection::vec(any::<u8>(), 0..20)), 0..400),
            memory in 0_usize..2000,
        ) {
            let mut sorter = Sorter::new(&std::env::temp_dir(), memory);
            for (key, row) in &rows {
                sorter.push(key, row).unwrap();
            }
            let mut plain = rows.clone();
            plain.sort_by(|one, other| one.0.cmp(&other.0));
            let plain: Vec<Row> = plain.into_iter().map(|(key, row)| Row { key, row }).collect();
            prop_assert_eq!(all(sorter.sorted().unwrap()), plain);
        }
    }

    #[test]
    fn a_group_is_all_rows_of_one_key() {
        let mut sorter = Sorter::new(&std::env::temp_dir(), 0);
        for (key, row) in [("b", "1"), ("a", "2"), ("b", "3"), ("c", "4"), ("b", "5")] {
            sorter.push(key.as_bytes(), row.as_bytes()).unwrap();
        }
        let (mut in_order, mut rows, mut groups) = (sorter.sorted().unwrap(), Vec::new(), Vec::new());
        while in_order.next_group(&mut rows).unwrap() {
            let texts: Vec<_> = rows.iter().map(|row| String::from_utf8(row.row.clone()).unwrap()).collect();
            groups.push(texts.join(""));
        }
        assert_eq!(groups, ["2", "135", "4"]);
    }

    #[test]
    fn memory_stays_within_its_bounds_and_many_files_are_merged() {
        let memory = 10_000;
        let mut sorter = Sorter::new(&std::env::temp_dir(), memory);
        for number in 0..20_000_u32 {
            let key = number.wrapping_mul(2_654_435_761).to_be_bytes();
            sorter.push(&key, &[0; 50]).unwrap();
            assert!(sorter.bytes.len() + sorter.places.len() * OVERHEAD <= memory);
        }
        assert!(sorter.runs.len() > AT_ONCE);
        let rows = all(sorter.sorted().unwrap());
        assert_eq!(rows.len(), 20_000);
        assert!(rows.is_sorted_by(|one, other| one.key <= other.key));
    }

    #[test]
    fn a_folder_that_isnt_there_is_told() {
        let mut sorter = Sorter::new(Path::new("/nowhere/at/all"), 0);
        sorter.push(b"a", b"1").unwrap();
        assert_eq!(sorter.push(b"b", b"2").unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
