//! A column of text as it grows.

use arrow_array::StringArray;
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::ArrowError;

/// Texts back to back. All together they are shorter than 2 GiB, where the offsets of
/// Arrow's arrays end, so that an array can be made of them.
pub(crate) struct Texts {
    bytes: Vec<u8>,
    lengths: Vec<usize>,
    /// Where the last one ends.
    end: usize,
    most: usize,
}

/// What is said of the text for which there is no room.
pub(crate) const FULL: &str = "is one text too many: those of a column may come to 2 GiB in all; \
                               shorten them or remove rows";

impl Default for Texts {
    fn default() -> Self {
        Self::of_at_most(i32::MAX as usize)
    }
}

impl Texts {
    /// With room for so many bytes.
    pub(crate) fn of_at_most(most: usize) -> Self {
        Self {
            bytes: Vec::new(),
            lengths: Vec::new(),
            end: 0,
            most,
        }
    }

    /// Adds a text; `None` where there is no room for it.
    #[must_use]
    pub(crate) fn push(&mut self, text: &str) -> Option<()> {
        self.write(text.as_bytes())?;
        self.finish();
        Some(())
    }

    /// Adds a part of a text; `None` where there is no room for it.
    #[must_use]
    pub(crate) fn write(&mut self, part: &[u8]) -> Option<()> {
        if part.len() > self.most - self.bytes.len() {
            return None;
        }
        self.bytes.extend_from_slice(part);
        Some(())
    }

    /// Ends the text of which parts were written.
    pub(crate) fn finish(&mut self) {
        self.lengths.push(self.bytes.len() - self.end);
        self.end = self.bytes.len();
    }

    /// Adds all that `other` holds; `None` where there is no room for it.
    #[must_use]
    pub(crate) fn append(&mut self, other: Self) -> Option<()> {
        if other.bytes.len() > self.most - self.bytes.len() {
            return None;
        }
        self.bytes.extend(other.bytes);
        self.lengths.extend(other.lengths);
        self.end = self.bytes.len();
        Some(())
    }

    /// The texts, one after another.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// As an array.
    pub(crate) fn array(self) -> Result<StringArray, ArrowError> {
        self.nullable(None)
    }

    /// As an array, null where a text is not present.
    pub(crate) fn nullable(self, present: Option<Vec<bool>>) -> Result<StringArray, ArrowError> {
        let offsets = OffsetBuffer::from_lengths(self.lengths);
        let nulls = present.map(NullBuffer::from);
        StringArray::try_new(offsets, self.bytes.into(), nulls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_end_where_there_is_no_room_and_those_before_are_whole() {
        let mut texts = Texts::of_at_most(5);
        assert!(texts.push("ab").is_some());
        assert!(texts.push("cdef").is_none());
        assert!(texts.write(b"c").and(texts.write(b"de")).is_some());
        texts.finish();
        assert!(texts.push("").is_some());
        assert!(texts.push("f").is_none());
        let mut other = Texts::default();
        assert!(other.push("f").is_some());
        assert!(texts.append(other).is_none());
        let array = texts.array().unwrap();
        assert_eq!(array, StringArray::from(vec!["ab", "cde", ""]));
    }
}
