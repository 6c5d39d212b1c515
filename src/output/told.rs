//! What users were told of the inputs, kept for those who see only the numbers.

use serde::Serialize;

/// Texts that are kept, and characters of each: a folder of captures may have thousands of damaged ones.
const MAX_TEXTS: usize = 100;
const MAX_CHARS: usize = 1_000;

/// What was told, the earliest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Told {
    told: Vec<String>,
    /// How many more there were.
    more_told: u64,
}

impl Told {
    /// There was nothing to tell.
    pub(super) fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// Keeps a text, if there is room for it.
    pub(super) fn add(&mut self, text: &str) {
        if self.told.len() == MAX_TEXTS {
            self.more_told += 1;
            return;
        }
        let mut kept: String = text.chars().take(MAX_CHARS).collect();
        if kept.len() < text.len() {
            kept.push('…');
        }
        self.told.push(kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded() {
        let mut told = Told::default();
        told.add(&"é".repeat(MAX_CHARS + 1));
        (1..150).for_each(|number| told.add(&number.to_string()));
        assert_eq!((told.told.len(), told.more_told), (MAX_TEXTS, 50));
        assert_eq!(told.told[0].chars().count(), MAX_CHARS + 1);
        assert_eq!(told.told[MAX_TEXTS - 1], "99");
    }
}
