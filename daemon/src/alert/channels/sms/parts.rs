//! How long an SMS is: alphabets, units and parts, by 3GPP TS 23.038 and 23.040.

/// The default alphabet's letters of one unit each. The escape, which begins a letter of two, stands for itself only.
const ONE: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
                   ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// Its letters of two units, of which the first is an escape.
const TWO: &str = "\u{c}^{}\\[~]|€";

/// What an SMS is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alphabet {
    /// The default alphabet of 7 bits.
    Gsm7,
    /// UTF-16, for all else.
    Ucs2,
}

/// How long an SMS is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// What it is written in.
    pub alphabet: Alphabet,
    /// Septets or UTF-16 units.
    pub units: u32,
    /// Messages that it takes, each of which costs.
    pub parts: u32,
}

impl Alphabet {
    /// Units of the whole, if it is one message.
    fn single(self) -> u32 {
        match self {
            Self::Gsm7 => 160,
            Self::Ucs2 => 70,
        }
    }

    /// Units of each part beside the six bytes that join them.
    fn joined(self) -> u32 {
        match self {
            Self::Gsm7 => 153,
            Self::Ucs2 => 67,
        }
    }

    fn units(self, letter: char) -> u32 {
        match self {
            Self::Gsm7 => 1 + u32::from(TWO.contains(letter)),
            Self::Ucs2 => {
                if letter.len_utf16() == 2 {
                    2
                } else {
                    1
                }
            }
        }
    }
}

/// How long `text` is. No letter is split between two parts.
pub(super) fn measure(text: &str) -> Size {
    let gsm = text.chars().all(|letter| ONE.contains(letter) || TWO.contains(letter));
    let alphabet = if gsm { Alphabet::Gsm7 } else { Alphabet::Ucs2 };
    let units: u32 = text.chars().map(|letter| alphabet.units(letter)).sum();
    if units <= alphabet.single() {
        return Size { alphabet, units, parts: 1 };
    }
    let (mut parts, mut filled) = (1, 0);
    for letter in text.chars() {
        let needed = alphabet.units(letter);
        if filled + needed > alphabet.joined() {
            parts += 1;
            filled = 0;
        }
        filled += needed;
    }
    Size { alphabet, units, parts }
}

/// As much of `text` as goes into `parts_max` parts, with an ellipsis of its alphabet where it is cut.
pub(super) fn cut(text: &str, parts_max: u32) -> String {
    let whole = measure(text);
    if whole.parts <= parts_max {
        return text.to_owned();
    }
    let ellipsis = match whole.alphabet {
        Alphabet::Gsm7 => "...",
        Alphabet::Ucs2 => "…",
    };
    let kept = |bytes: usize| format!("{}{ellipsis}", text[..bytes].trim_end());
    let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    let fitting = ends.partition_point(|&end| measure(&kept(end)).parts <= parts_max);
    kept(ends.get(fitting.saturating_sub(1)).copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_counted_as_networks_count_them() {
        use Alphabet::{Gsm7, Ucs2};
        let cases = [
            ("a".repeat(160), Gsm7, 160, 1),
            ("a".repeat(161), Gsm7, 161, 2),
            (format!("{}€", "a".repeat(159)), Gsm7, 161, 2),
            ("a".repeat(306), Gsm7, 306, 2),
            // An escape is not parted from its letter.
            (format!("{0}€{0}", "a".repeat(152)), Gsm7, 306, 3),
            ("测".repeat(70), Ucs2, 70, 1),
            ("测".repeat(71), Ucs2, 71, 2),
            ("测".repeat(134), Ucs2, 134, 2),
            // Nor one half of a surrogate pair from the other.
            (format!("{0}😀{0}", "测".repeat(66)), Ucs2, 134, 3),
            (format!("{}’", "a".repeat(69)), Ucs2, 70, 1),
            (String::new(), Gsm7, 0, 1),
        ];
        for (text, alphabet, units, parts) in cases {
            assert_eq!(measure(&text), Size { alphabet, units, parts }, "{text}");
        }
    }

    #[test]
    fn the_default_alphabet_has_its_128_places() {
        // 127 letters and the escape.
        assert_eq!(ONE.chars().count(), 127);
        assert_eq!(TWO.chars().count(), 10);
    }

    #[test]
    fn a_text_is_cut_with_an_ellipsis_of_its_alphabet() {
        assert_eq!(cut(&"a".repeat(459), 3), "a".repeat(459));
        assert_eq!(cut(&"a".repeat(460), 3), format!("{}...", "a".repeat(456)));
        assert_eq!(cut(&"测".repeat(202), 3), format!("{}…", "测".repeat(200)));
        assert_eq!(cut(&"😀".repeat(200), 3), format!("{}…", "😀".repeat(99)));
        assert_eq!(
            cut(&format!("{} {}", "a".repeat(156), "b".repeat(9)), 1),
            format!("{}...", "a".repeat(156))
        );
    }
}
