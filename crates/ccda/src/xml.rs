//! XML to a tree, within bounds. Names lose their prefixes: CDA and its extensions (`sdtc`) use no name twice.

use crate::{
    CcdaError,
    element::{Child, Element},
};
use encoding_rs::{Encoding, UTF_8};
use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};
use std::borrow::Cow;

/// How many bytes are looked at to tell what a file is.
const HEAD_BYTES: usize = 4_096;

/// Bounds on a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes. Documents of a long stay have some MB, of which scanned pages are the most.
    pub bytes_max: usize,
    /// The most elements within each other; C-CDA's own templates need about 25.
    pub depth_max: usize,
    /// The most elements.
    pub elements_max: usize,
    /// The most attributes of one element; CDA's own have at most 12.
    pub attributes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes_max: 32 << 20, depth_max: 64, elements_max: 500_000, attributes_max: 64 }
    }
}

/// A document that was read. It identifies the patient.
pub struct Document {
    pub(crate) root: Element,
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Document").finish_non_exhaustive()
    }
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    /// [`CcdaError`], where it is no XML, no CDA document, or passes a bound.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, CcdaError> {
        if bytes.len() > limits.bytes_max {
            return Err(CcdaError::TooLarge { bytes_max: limits.bytes_max });
        }
        let text = decode(bytes)?;
        if text.trim().is_empty() {
            return Err(CcdaError::Empty);
        }
        let root = Builder::new(limits).read(&text)?;
        if root.name != "ClinicalDocument" {
            return Err(CcdaError::NotCcda("the outermost element must be ClinicalDocument"));
        }
        if !root.attributes.iter().any(|(_, value)| value == "urn:hl7-org:v3") {
            return Err(CcdaError::NotCcda("ClinicalDocument must be of the namespace urn:hl7-org:v3"));
        }
        Ok(Self { root })
    }
}

/// Whether bytes begin as a CDA document does.
#[must_use]
pub fn looks_like(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(HEAD_BYTES)];
    let text: Vec<u8> = head.iter().copied().filter(|byte| *byte != 0).collect();
    let start = text.iter().position(|byte| *byte == b'<');
    let only_mark = start.is_some_and(|at| text[..at].iter().all(|byte| !byte.is_ascii_alphanumeric()));
    only_mark && text.windows(16).any(|window| window == b"ClinicalDocument")
}

/// The text by the byte order mark, else by the declaration, else as UTF-8.
fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, CcdaError> {
    let (encoding, rest) = match Encoding::for_bom(bytes) {
        Some((encoding, length)) => (encoding, &bytes[length..]),
        None => (declared(bytes)?, bytes),
    };
    encoding.decode_without_bom_handling_and_without_replacement(rest).ok_or(CcdaError::CharacterSet)
}

fn declared(bytes: &[u8]) -> Result<&'static Encoding, CcdaError> {
    let head = &bytes[..bytes.len().min(200)];
    let head = String::from_utf8_lossy(head);
    let Some(declaration) = head.trim_start().strip_prefix("<?xml").and_then(|rest| rest.split("?>").next())
    else {
        return Ok(UTF_8);
    };
    let Some((_, after)) = declaration.split_once("encoding") else { return Ok(UTF_8) };
    let label = after.trim_start_matches([' ', '=', '"', '\'']).split(['"', '\'']).next().unwrap_or_default();
    Encoding::for_label(label.as_bytes()).ok_or(CcdaError::CharacterSet)
}

/// Builds the tree.
struct Builder<'a> {
    limits: &'a Limits,
    open: Vec<Element>,
    root: Option<Element>,
    elements: usize,
}

impl<'a> Builder<'a> {
    fn new(limits: &'a Limits) -> Self {
        Self { limits, open: Vec::new(), root: None, elements: 0 }
    }

    fn read(mut self, text: &str) -> Result<Element, CcdaError> {
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        loop {
            let offset = reader.buffer_position();
            let damaged = |what| CcdaError::Xml { offset, what };
            let event = reader.read_event().map_err(|_| damaged("a tag is not closed or does not fit"))?;
            match event {
                Event::Start(start) => self.start(&start, offset)?,
                Event::End(_) => self.end().ok_or_else(|| damaged("a tag ends that was not begun"))?,
                Event::Text(text) => self.text(&text, offset)?,
                Event::CData(data) => self.text(&data, offset)?,
                Event::GeneralRef(name) => {
                    let one = reference(&name);
                    let one = one.ok_or_else(|| damaged("an entity that XML does not have"))?;
                    self.text(one.encode_utf8(&mut [0; 4]), offset)?;
                }
                Event::DocType(_) => return Err(CcdaError::DocumentType { offset }),
                Event::Eof => break,
                // Comments and processing instructions (style sheets) say nothing; Empty is expanded.
                _ => {}
            }
        }
        let cut = CcdaError::Xml { offset: text.len() as u64, what: "the document is cut off" };
        if self.open.is_empty() { self.root.ok_or(cut) } else { Err(cut) }
    }

    fn start(&mut self, start: &BytesStart<'_>, offset: u64) -> Result<(), CcdaError> {
        let too_many = |what, max| Err(CcdaError::TooMany { offset, what, max });
        self.elements += 1;
        if self.elements > self.limits.elements_max {
            return too_many("elements", self.limits.elements_max);
        }
        if self.open.len() >= self.limits.depth_max {
            return too_many("elements within each other", self.limits.depth_max);
        }
        if self.open.is_empty() && self.root.is_some() {
            return Err(CcdaError::Xml { offset, what: "more than one outermost element" });
        }
        let mut element = Element::named(local(start.name().as_ref()));
        for attribute in start.attributes() {
            let wrong = CcdaError::Xml { offset, what: "an attribute is not well formed, or is there twice" };
            let attribute = attribute.map_err(|_| wrong.clone())?;
            if element.attributes.len() >= self.limits.attributes_max {
                return too_many("attributes of one element", self.limits.attributes_max);
            }
            let name = local(attribute.key.as_ref()).to_owned();
            let value = unescape(&attribute.value).ok_or(wrong)?;
            element.attributes.push((name, value));
        }
        self.open.push(element);
        Ok(())
    }

    fn end(&mut self) -> Option<()> {
        let done = self.open.pop()?;
        match self.open.last_mut() {
            Some(parent) => parent.children.push(Child::Element(done)),
            None => self.root = Some(done),
        }
        Some(())
    }

    fn text(&mut self, text: &str, offset: u64) -> Result<(), CcdaError> {
        match self.open.last_mut() {
            Some(element) => {
                match element.children.last_mut() {
                    Some(Child::Text(before)) => before.push_str(text),
                    _ => element.children.push(Child::Text(text.to_owned())),
                }
                Ok(())
            }
            None if text.trim_matches(['\u{feff}', ' ', '\t', '\r', '\n']).is_empty() => Ok(()),
            None => Err(CcdaError::Xml { offset, what: "text outside of the outermost element" }),
        }
    }
}

fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

/// The character that a reference means, by the text between `&` and `;`.
fn reference(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            // What XML does not allow as a character becomes a space, as JSON would not carry it either.
            char::from_u32(code).map(|one| if one < ' ' && !"\t\n\r".contains(one) { ' ' } else { one })?
        }
    })
}

fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        let (name, behind) = after.split_once(';')?;
        out.push_str(before);
        out.push(reference(name)?);
        rest = behind;
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Element, CcdaError> {
        Builder::new(&Limits::default()).read(text)
    }

    #[test]
    fn text_entities_and_prefixes_are_read() {
        let root =
            read("<?xml version=\"1.0\"?><x:a b='1 &lt; &#x32;'>A&amp;B<![CDATA[<c>]]><d/></x:a>").unwrap();
        assert_eq!((root.name.as_str(), root.attribute("b")), ("a", Some("1 < 2")));
        assert_eq!(root.text(100), "A&B<c>");
    }

    #[test]
    fn document_types_and_foreign_entities_are_refused() {
        let bomb = "<!DOCTYPE a [<!ENTITY b \"bb\">]><a>&b;</a>";
        assert!(matches!(read(bomb), Err(CcdaError::DocumentType { .. })));
        for text in ["<a>&b;</a>", "<a b='&secret;'/>", "<a>&#xD800;</a>"] {
            let error = read(text).err().unwrap().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn bounds_hold() {
        let deep = "<a>".repeat(65);
        assert!(matches!(read(&deep), Err(CcdaError::TooMany { max: 64, .. })));
        let wide = (0..65).map(|at| format!(" a{at}=''")).collect::<String>();
        assert!(matches!(read(&format!("<a{wide}/>")), Err(CcdaError::TooMany { .. })));
        let limits = Limits { elements_max: 3, bytes_max: 40, ..Limits::default() };
        assert!(matches!(Builder::new(&limits).read("<a><b/><b/><b/></a>"), Err(CcdaError::TooMany { .. })));
        assert!(matches!(Document::parse(&[b' '; 41], &limits), Err(CcdaError::TooLarge { bytes_max: 40 })));
    }

    #[test]
    fn damage_is_named_by_place() {
        for text in ["<a>", "<a></b>", "</a>", "<a/><b/>", "x<a/>", "<a b=1/>", "<a b='1' b='2'/>", "<a", ""]
        {
            assert!(read(text).is_err(), "{text}");
        }
        assert_eq!(Document::parse(b"  ", &Limits::default()).unwrap_err(), CcdaError::Empty);
        assert!(matches!(Document::parse(b"<a/>", &Limits::default()), Err(CcdaError::NotCcda(_))));
    }

    #[test]
    fn character_sets_are_read_as_declared() {
        let text = "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a>\u{e9}</a>";
        let latin: Vec<u8> = text.chars().map(|one| u8::try_from(u32::from(one)).unwrap()).collect();
        assert_eq!(decode(&latin).unwrap(), text);
        let wide: Vec<u8> =
            std::iter::once(0xfeff).chain("<a/>".encode_utf16()).flat_map(u16::to_le_bytes).collect();
        assert_eq!(decode(&wide).unwrap(), "<a/>");
        assert_eq!(decode(b"<a>\xff</a>"), Err(CcdaError::CharacterSet));
        assert_eq!(decode(b"<?xml encoding=\"none\"?>"), Err(CcdaError::CharacterSet));
    }

    #[test]
    fn documents_are_told_by_how_they_begin() {
        assert!(looks_like(
            b"\xef\xbb\xbf<?xml version=\"1.0\"?>\n<ClinicalDocument xmlns=\"urn:hl7-org:v3\">"
        ));
        assert!(!looks_like(b"{\"a\":\"<ClinicalDocument\"}") && !looks_like(b"<html/>") && !looks_like(b""));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), text in "[<>/a&;#x0-9='\" !\\[\\]-]{0,80}") {
            let _ = looks_like(&bytes);
            let _ = Document::parse(&bytes, &Limits::default());
            let _ = Document::parse(text.as_bytes(), &Limits::default());
        }
    }
}
