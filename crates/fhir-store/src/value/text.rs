//! Text as it is compared in a search: without regard to case, accents and punctuation (R4 section 3.1.1.4.8).

/// The most characters of a text that are indexed.
const CHARACTERS_MAX: usize = 256;

/// The form in which two texts are compared.
#[must_use]
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut gap = false;
    for letter in text.chars().take(CHARACTERS_MAX) {
        if letter.is_whitespace() || (letter.is_ascii_punctuation() && letter != '%' && letter != '_') {
            gap = !folded.is_empty();
            continue;
        }
        // Combining marks: what follows the letter of a decomposed accent.
        if ('\u{300}'..='\u{36f}').contains(&letter) {
            continue;
        }
        if gap {
            folded.push(' ');
            gap = false;
        }
        if letter.is_ascii() {
            folded.push(letter.to_ascii_lowercase());
        } else if let Some(plain) = plain(letter) {
            folded.push_str(plain);
        } else {
            folded.extend(letter.to_lowercase());
        }
    }
    folded
}

/// Letters of Latin-1 and Latin Extended-A without their marks.
fn plain(letter: char) -> Option<&'static str> {
    Some(match letter {
        'À'..='Å' | 'à'..='å' | 'Ā'..='ą' => "a",
        'Æ' | 'æ' => "ae",
        'Ç' | 'ç' | 'Ć'..='č' => "c",
        'Ð' | 'ð' | 'Ď'..='đ' => "d",
        'È'..='Ë' | 'è'..='ë' | 'Ē'..='ě' => "e",
        'Ĝ'..='ģ' => "g",
        'Ĥ'..='ħ' => "h",
        'Ì'..='Ï' | 'ì'..='ï' | 'Ĩ'..='ı' => "i",
        'Ĵ' | 'ĵ' => "j",
        'Ķ'..='ĸ' => "k",
        'Ĺ'..='ł' => "l",
        'Ñ' | 'ñ' | 'Ń'..='ŋ' => "n",
        'Ò'..='Ö' | 'Ø' | 'ò'..='ö' | 'ø' | 'Ō'..='ő' => "o",
        'Œ' | 'œ' => "oe",
        'Ŕ'..='ř' => "r",
        'ß' => "ss",
        'Ś'..='š' | 'ſ' => "s",
        'Þ' | 'þ' => "th",
        'Ţ'..='ŧ' => "t",
        'Ù'..='Ü' | 'ù'..='ü' | 'Ũ'..='ų' => "u",
        'Ŵ' | 'ŵ' => "w",
        'Ý' | 'ý' | 'ÿ' | 'Ŷ'..='Ÿ' => "y",
        'Ź'..='ž' => "z",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn case_accents_and_punctuation_do_not_count() {
        for (text, folded) in [
            ("Müller-Lüdenscheidt", "muller ludenscheidt"),
            ("  O'Brien ", "o brien"),
            ("Mu\u{308}ller", "muller"),
            ("Straße", "strasse"),
            ("Łódź", "lodz"),
            ("ÆRØ", "aero"),
            ("陳大文", "陳大文"),
            ("", ""),
        ] {
            assert_eq!(fold(text), folded);
        }
    }

    #[test]
    fn each_ascii_character_is_folded_as_unicode_says() {
        for letter in (0..128_u8).map(char::from) {
            let kept = !letter.is_whitespace() && (!letter.is_ascii_punctuation() || "%_".contains(letter));
            let expected = if kept { letter.to_lowercase().collect() } else { String::new() };
            assert_eq!(fold(&letter.to_string()), expected, "{letter:?}");
        }
    }
}
