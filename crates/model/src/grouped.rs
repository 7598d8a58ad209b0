//! The entries of a batch by the row they ask for.

/// Bits that a pass sorts by.
const DIGIT: u32 = 11;

/// Entries sorted by row, and by number within a row.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Grouped {
    /// Distinct rows, ascending.
    pub rows: Vec<u32>,
    /// Where the entries of each row begin, and the end.
    starts: Vec<u32>,
    /// `row << 32 | entry`, sorted.
    keys: Vec<u64>,
    spare: Vec<u64>,
}

impl Grouped {
    /// Sorts entries `(row, number)`; numbers must rise. A radix sort: the time
    /// depends on the number of entries, and hardly on the rows.
    pub fn sort(&mut self, entries: impl Iterator<Item = (u32, u32)>) {
        self.keys.clear();
        self.keys
            .extend(entries.map(|(row, entry)| u64::from(row) << 32 | u64::from(entry)));
        let highest = self.keys.iter().map(|key| key >> 32).max().unwrap_or(0);
        let bits = u64::BITS - highest.leading_zeros();
        for shift in (0..bits).step_by(DIGIT as usize) {
            self.sort_by_digit(32 + shift);
        }
        self.rows.clear();
        self.starts.clear();
        for (position, &key) in self.keys.iter().enumerate() {
            let row = (key >> 32) as u32;
            if self.rows.last() != Some(&row) {
                self.rows.push(row);
                self.starts.push(position as u32);
            }
        }
        self.starts.push(self.keys.len() as u32);
    }

    fn sort_by_digit(&mut self, shift: u32) {
        let digit = |key: u64| (key >> shift) as usize & ((1 << DIGIT) - 1);
        let mut next = [0u32; 1 << DIGIT];
        self.keys.iter().for_each(|&key| next[digit(key)] += 1);
        let mut sum = 0;
        for next in &mut next {
            sum += std::mem::replace(next, sum);
        }
        self.spare.resize(self.keys.len(), 0);
        for &key in &self.keys {
            let next = &mut next[digit(key)];
            self.spare[*next as usize] = key;
            *next += 1;
        }
        std::mem::swap(&mut self.keys, &mut self.spare);
    }

    /// Number of entries.
    pub fn entry_count(&self) -> usize {
        self.keys.len()
    }

    /// Writes for each entry the place of its row.
    pub fn write_places(&self, places: &mut [u32]) {
        for place in 0..self.rows.len() {
            for entry in self.entries(place) {
                places[entry as usize] = place as u32;
            }
        }
    }

    /// Numbers of the entries of the `place`-th distinct row.
    #[inline]
    pub fn entries(&self, place: usize) -> impl Iterator<Item = u32> + '_ {
        let span = self.starts[place] as usize..self.starts[place + 1] as usize;
        self.keys[span].iter().map(|&key| key as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_sorted_by_row_whatever_its_size() {
        let mut grouped = Grouped::default();
        for top in [1u32, 10, 1 << 11, 1 << 22, u32::MAX] {
            let rows: Vec<u32> = (0..500u32)
                .map(|i| ((u64::from(i.wrapping_mul(2_654_435_761)) * u64::from(top)) >> 32) as u32)
                .collect();
            grouped.sort(rows.iter().copied().zip(0..));
            let mut distinct = rows.clone();
            distinct.sort_unstable();
            distinct.dedup();
            assert_eq!(grouped.rows, distinct);
            for (place, &row) in distinct.iter().enumerate() {
                let expected: Vec<u32> = (0..500).filter(|&i| rows[i as usize] == row).collect();
                assert_eq!(grouped.entries(place).collect::<Vec<_>>(), expected);
            }
        }
        grouped.sort(std::iter::empty());
        assert!(grouped.rows.is_empty());
    }
}
