//! The usual ways to write one string, in compact form: lower-case letters and digits, nothing between them.

use crate::split::date::day_number;

/// A way to write a string.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Variant {
    /// What it is called in reports.
    pub(super) name: &'static str,
    pub(super) compact: String,
}

/// From this many compact characters on a string is found anywhere, not only as whole words.
pub(super) const ANYWHERE_FROM: usize = 9;

/// Fewer digits are a number like any other.
const DIGITS_MIN: usize = 5;
const LETTERS_MIN: usize = 2;
/// Of longer texts three pieces of this length are looked for.
const PIECE: usize = 48;
/// The digits of a telephone number without its country (ITU-T E.164 has 15 with it).
const TELEPHONE_DIGITS: std::ops::RangeInclusive<usize> = 10..=15;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Lower-case letters and digits of `text`.
pub(super) fn compact(text: &str) -> String {
    text.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The variants that are worth looking for; none of a text that is too short.
pub(super) fn of(text: &str) -> Vec<Variant> {
    let plain = compact(text);
    let digits = plain.bytes().all(|byte| byte.is_ascii_digit());
    if plain.chars().count() < if digits { DIGITS_MIN } else { LETTERS_MIN } {
        return Vec::new();
    }
    let mut variants = Vec::new();
    let mut add = |name: &'static str, compact: String| variants.push(Variant { name, compact });
    if plain.chars().count() > 4 * PIECE {
        pieces(&plain).into_iter().for_each(|piece| add("a piece of the text", piece));
        return variants;
    }
    if day_number(text).is_some() {
        dates(text).into_iter().for_each(|date| add("the date in another form", date));
    }
    let turned: Vec<&str> = text.split_whitespace().rev().collect();
    if (2..=4).contains(&turned.len()) {
        add("its words turned around", compact(&turned.concat()));
        // Family name first, the given names in their order.
        if let Some((last, rest)) = turned.split_first() {
            let rest: String = rest.iter().rev().copied().collect();
            add("its words turned around", compact(&format!("{last}{rest}")));
        }
    }
    let number: String = text.chars().filter(char::is_ascii_digit).collect();
    let spoken = text.chars().all(|one| one.is_ascii_digit() || " +-().x/".contains(one));
    if spoken && TELEPHONE_DIGITS.contains(&number.len()) {
        add("a telephone number in digits", number[number.len() - 10..].to_owned());
    }
    if text.len() >= ANYWHERE_FROM {
        add("hexadecimal", hex::encode(text));
        base64(text.as_bytes()).into_iter().for_each(|coded| add("base64", compact(&coded)));
    }
    add("as it is", plain);
    variants
}

/// The beginning, the middle and the end of a long text.
fn pieces(plain: &str) -> Vec<String> {
    let characters: Vec<char> = plain.chars().collect();
    let last = characters.len().saturating_sub(PIECE);
    [0, last / 2, last].into_iter().map(|at| characters[at..].iter().take(PIECE).collect()).collect()
}

/// The same day in the usual orders, in figures and in words.
fn dates(text: &str) -> Vec<String> {
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    let (year, month, day) = (part(0, 4), part(5, 7), part(8, 10));
    let number = month.parse::<usize>().unwrap_or_default();
    let name = number.checked_sub(1).and_then(|at| MONTHS.get(at)).copied().unwrap_or_default();
    let short = name.get(..3).unwrap_or(name);
    let bare = |part: &str| part.trim_start_matches('0').to_owned();
    let (bare_month, bare_day) = (bare(month), bare(day));
    let mut dates = vec![
        format!("{year}{month}{day}"),
        format!("{month}{day}{year}"),
        format!("{day}{month}{year}"),
        format!("{name}{bare_day}{year}"),
        format!("{bare_day}{name}{year}"),
        format!("{short}{bare_day}{year}"),
        format!("{bare_day}{short}{year}"),
        format!("{day}{short}{year}"),
        format!("{bare_month}{bare_day}{year}"),
        format!("{bare_day}{bare_month}{year}"),
    ];
    // Fewer than seven figures may be any number.
    dates.retain(|date| date.len() >= 7);
    dates
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// What base64 of a text around `bytes` has in common, for each of the three places at which they may begin.
fn base64(bytes: &[u8]) -> [String; 3] {
    [0_usize, 1, 2].map(|before| {
        let padded: Vec<u8> = std::iter::repeat_n(0, before).chain(bytes.iter().copied()).collect();
        let (groups, _) = padded.as_chunks::<3>();
        let coded: String = groups
            .iter()
            .flat_map(|&[first, second, third]| {
                let bits = u32::from_be_bytes([0, first, second, third]);
                [18, 12, 6, 0].map(|shift| char::from(BASE64[(bits >> shift & 63) as usize]))
            })
            .collect();
        // The first characters depend on what stands before.
        coded.get(if before == 0 { 0 } else { before + 1 }..).unwrap_or_default().to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(text: &str, compact: &str) -> bool {
        of(text).iter().any(|variant| variant.compact == compact)
    }

    #[test]
    fn the_usual_ways_to_write_a_string() {
        assert!(has("999-82-5655", "999825655"));
        assert!(has("Chi Ana Cormier", "cormieranachi") && has("Chi Ana Cormier", "cormierchiana"));
        assert!(has("+1 (555) 942-8848", "5559428848"));
        for date in ["19490305", "03051949", "05031949", "march51949", "5march1949", "05mar1949", "351949"] {
            assert_eq!(has("1949-03-05T10:00:00Z", date), date.len() >= 7, "{date}");
        }
        assert!(has("Élodie", "élodie"));
    }

    #[test]
    fn base64_is_found_wherever_the_text_begins() {
        let name = "Cormier Chi";
        let coded = [
            "Q29ybWllciBDaGk=",     // Cormier Chi
            "eENvcm1pZXIgQ2hp",     // xCormier Chi
            "eHhDb3JtaWVyIENoaQ==", // xxCormier Chi
        ];
        for text in coded {
            let text = compact(text);
            let found = of(name).iter().any(|one| one.name == "base64" && text.contains(&one.compact));
            assert!(found, "{text}");
        }
    }

    #[test]
    fn short_ones_are_left_out() {
        for text in ["", "-", "J", "1234", "12/34"] {
            assert!(of(text).is_empty(), "{text}");
        }
        assert!(!of("Jo").is_empty() && !of("02138").is_empty());
    }

    #[test]
    fn of_a_long_text_pieces_are_looked_for() {
        let text: String = (0..400).map(|number| format!("w{number} ")).collect();
        let pieces = of(&text);
        assert_eq!(pieces.len(), 3);
        assert!(pieces.iter().all(|piece| compact(&text).contains(&piece.compact)));
    }
}
