//! placeholder until the sorter lands
use std::io;
use std::path::Path;
pub struct Row {
    pub key: Vec<u8>,
    pub row: Vec<u8>,
}
pub struct Sorter(std::collections::BTreeMap<Vec<u8>, Vec<Vec<u8>>>);
pub struct Sorted(std::collections::btree_map::IntoIter<Vec<u8>, Vec<Vec<u8>>>);
impl Sorter {
    pub fn new(_: &Path, _: usize) -> Self {
        Self(Default::default())
    }
    pub fn push(&mut self, key: &[u8], row: &[u8]) -> io::Result<()> {
        self.0.entry(key.to_vec()).or_default().push(row.to_vec());
        Ok(())
    }
    pub fn sorted(self) -> io::Result<Sorted> {
        Ok(Sorted(self.0.into_iter()))
    }
}
impl Sorted {
    pub fn next_group(&mut self, into: &mut Vec<Row>) -> io::Result<bool> {
        into.clear();
        let Some((key, rows)) = self.0.next() else { return Ok(false) };
        into.extend(rows.into_iter().map(|row| Row { key: key.clone(), row }));
        Ok(true)
    }
}
