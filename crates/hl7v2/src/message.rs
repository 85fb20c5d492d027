//! One message, read in place: segments, fields, repetitions, components and subcomponents are looked up in the text,
//! so that a message of any shape takes no more memory than its text and a list of its segments.

use crate::{Hl7Error, Place};
use lines::{Lines, begins_segment};
pub use separators::Separators;
use std::collections::HashMap;

mod escape;
mod lines;
mod separators;

/// Bounds on a message. What a value may be is the mapping's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes.
    pub bytes_max: usize,
    /// The most segments.
    pub segments_max: usize,
    /// The most fields of one segment.
    pub fields_max: usize,
    /// The most repetitions of one field.
    pub repetitions_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes_max: 16 << 20, segments_max: 20_000, fields_max: 512, repetitions_max: 1_000 }
    }
}

/// A message over its text.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    separators: Separators,
    segments: Vec<Segment<'a>>,
}

impl<'a> Message<'a> {
    /// Reads the text of one message. Segments end with `\r`, `\n` or `\r\n`; a byte order mark and blank lines before
    /// MSH are passed over.
    ///
    /// # Errors
    /// [`Hl7Error`] with the place of what is wrong.
    pub fn parse(text: &'a str, limits: &Limits) -> Result<Self, Hl7Error> {
        if text.len() > limits.bytes_max {
            return Err(Hl7Error::TooLarge { bytes_max: limits.bytes_max });
        }
        let text = text.trim_start_matches(['\u{feff}', '\r', '\n', ' ', '\t']);
        if text.is_empty() {
            return Err(Hl7Error::Empty);
        }
        let separators = Separators::read(text)?;
        let mut message = Self { separators, segments: Vec::new() };
        let mut occurrences: HashMap<&str, usize> = HashMap::new();
        for (line, text) in Lines::new(text, separators) {
            message.add(line, text, limits, &mut occurrences)?;
        }
        Ok(message)
    }

    fn add(
        &mut self,
        line: usize,
        text: &'a str,
        limits: &Limits,
        occurrences: &mut HashMap<&'a str, usize>,
    ) -> Result<(), Hl7Error> {
        if !begins_segment(text, self.separators.field) {
            return Err(Hl7Error::NoSegment { line });
        }
        let name = &text[..3];
        let counted = occurrences.entry(name).or_default();
        *counted += 1;
        let occurrence = *counted;
        let too_many = |field, what, max| {
            let place = Place::field(name, occurrence, field);
            Err(Hl7Error::TooMany { place, what, max })
        };
        if self.segments.len() >= limits.segments_max {
            return too_many(0, "segments", limits.segments_max);
        }
        let segment = Segment { text, name, occurrence, separators: self.separators };
        if segment.field_count() > limits.fields_max {
            return too_many(0, "fields", limits.fields_max);
        }
        if text.matches(self.separators.repetition).count() >= limits.repetitions_max {
            let over = (1..=segment.field_count())
                .find(|number| segment.field(*number).repetitions().count() > limits.repetitions_max);
            if let Some(number) = over {
                return too_many(number, "repetitions", limits.repetitions_max);
            }
        }
        self.segments.push(segment);
        Ok(())
    }

    /// All segments, in order.
    #[must_use]
    pub fn segments(&self) -> &[Segment<'a>] {
        &self.segments
    }

    /// The segments of one name.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &Segment<'a>> {
        self.segments.iter().filter(move |segment| segment.name == name)
    }

    /// The header. A parsed message always has one.
    #[must_use]
    pub fn header(&self) -> Segment<'a> {
        self.segments.first().copied().unwrap_or(Segment {
            text: "",
            name: "MSH",
            occurrence: 1,
            separators: self.separators,
        })
    }

    /// The separators that it declares.
    #[must_use]
    pub const fn separators(&self) -> Separators {
        self.separators
    }

    /// The message code, trigger event and structure of MSH-9: `ADT`, `A01`, `ADT_A01`.
    #[must_use]
    pub fn kind(&self) -> (String, String, String) {
        let kind = self.header().field(9).first();
        (kind.component(1), kind.component(2), kind.component(3))
    }
}

/// One segment.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    text: &'a str,
    /// Its name: `PID`.
    pub name: &'a str,
    /// Which one of that name, counted from 1.
    pub occurrence: usize,
    separators: Separators,
}

impl<'a> Segment<'a> {
    /// How many fields there are, empty ones included.
    #[must_use]
    pub fn field_count(&self) -> usize {
        let separators = self.text.matches(self.separators.field).count();
        if self.is_header() { separators + 1 } else { separators }
    }

    /// A field, counted from 1 as HL7 counts; an empty one where there is none.
    #[must_use]
    pub fn field(&self, number: usize) -> Field<'a> {
        let text = match (self.is_header(), number) {
            (_, 0) => "",
            (true, 1) => self.text.get(3..4).unwrap_or_default(),
            (true, _) => self.text.split(self.separators.field).nth(number - 1).unwrap_or_default(),
            (false, _) => self.text.split(self.separators.field).nth(number).unwrap_or_default(),
        };
        Field { text, separators: self.separators, literal: self.is_header() && number <= 2 }
    }

    /// The place of one of its fields.
    #[must_use]
    pub fn place(&self, field: usize) -> Place {
        Place::field(self.name, self.occurrence, field)
    }

    /// Whether a field has something.
    #[must_use]
    pub fn has(&self, field: usize) -> bool {
        !self.field(field).is_empty()
    }

    /// The first component of a field's first repetition, unescaped.
    #[must_use]
    pub fn value(&self, field: usize) -> String {
        self.field(field).first().component(1)
    }

    fn is_header(&self) -> bool {
        matches!(self.name, "MSH" | "FHS" | "BHS")
    }
}

/// One field.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    text: &'a str,
    separators: Separators,
    literal: bool,
}

impl<'a> Field<'a> {
    /// Whether there is nothing in it: no character but separators, or HL7's null `""`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.repetitions().next().is_none()
    }

    /// Its text as it was sent, with separators and escapes.
    #[must_use]
    pub const fn raw(&self) -> &'a str {
        self.text
    }

    /// Its repetitions, without empty ones.
    pub fn repetitions(&self) -> impl Iterator<Item = Repetition<'a>> + use<'a> {
        let (separators, literal) = (self.separators, self.literal);
        let split = if literal { '\0' } else { separators.repetition };
        self.text.split(split).map(move |text| Repetition { text, separators }).filter(|one| !one.is_empty())
    }

    /// The first repetition that is not empty; an empty one where there is none.
    #[must_use]
    pub fn first(&self) -> Repetition<'a> {
        self.repetitions().next().unwrap_or(Repetition { text: "", separators: self.separators })
    }

    /// The whole field as text: repetitions joined by line breaks, separators within kept as they are.
    #[must_use]
    pub fn whole_text(&self) -> String {
        let lines: Vec<String> = self.repetitions().map(|one| one.whole_text()).collect();
        lines.join("\n")
    }
}

/// One repetition of a field, or a component that is read as if it were one.
#[derive(Clone, Copy, Debug)]
pub struct Repetition<'a> {
    text: &'a str,
    separators: Separators,
}

impl<'a> Repetition<'a> {
    /// A text with the usual separators.
    pub(crate) const fn usual(text: &'a str) -> Self {
        let separators = Separators {
            field: '|',
            component: '^',
            repetition: '~',
            escape: Some('\\'),
            subcomponent: Some('&'),
        };
        Self { text, separators }
    }

    /// Whether there is nothing but separators in it, or HL7's null `""`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let only = |one: char| {
            one == self.separators.component
                || Some(one) == self.separators.subcomponent
                || one.is_whitespace()
        };
        self.text == "\"\"" || self.text.chars().all(only)
    }

    /// A component, counted from 1: its first subcomponent, unescaped and trimmed.
    #[must_use]
    pub fn component(&self, number: usize) -> String {
        self.subcomponent(number, 1)
    }

    /// A subcomponent, unescaped and trimmed. HL7's null `""` is nothing.
    #[must_use]
    pub fn subcomponent(&self, component: usize, number: usize) -> String {
        let text = self.component_raw(component);
        let text = match self.separators.subcomponent {
            Some(separator) => text.split(separator).nth(number.saturating_sub(1)).unwrap_or_default(),
            None if number == 1 => text,
            None => "",
        };
        let text = text.trim();
        if text == "\"\"" { String::new() } else { escape::unescape(text, self.separators) }
    }

    /// A component as if it were a repetition: its subcomponents are components then.
    #[must_use]
    pub fn nested(&self, component: usize) -> Self {
        let inner = Separators {
            component: self.separators.subcomponent.unwrap_or('\0'),
            subcomponent: None,
            ..self.separators
        };
        Repetition { text: self.component_raw(component), separators: inner }
    }

    /// Whether a component has something.
    #[must_use]
    pub fn has(&self, component: usize) -> bool {
        !self.nested(component).is_empty()
    }

    /// How many components there are.
    #[must_use]
    pub fn component_count(&self) -> usize {
        self.text.split(self.separators.component).count()
    }

    /// The whole repetition as text, unescaped.
    #[must_use]
    pub fn whole_text(&self) -> String {
        escape::unescape(self.text.trim(), self.separators)
    }

    fn component_raw(&self, number: usize) -> &'a str {
        match number {
            0 => "",
            _ => self.text.split(self.separators.component).nth(number - 1).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests;
