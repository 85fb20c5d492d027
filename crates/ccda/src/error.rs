//! Why bytes are no document that can be taken: by place, never by value.

/// An error of reading a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CcdaError {
    /// Nothing there.
    #[error("the document is empty")]
    Empty,
    /// Larger than is taken.
    #[error("the document is larger than {bytes_max} bytes")]
    TooLarge {
        /// The most bytes.
        bytes_max: usize,
    },
    /// Bytes that are not of the document's character set, or a set that is not read.
    #[error(
        "the bytes are not of the character set that the document declares; send UTF-8, UTF-16 or one of ISO 8859"
    )]
    CharacterSet,
    /// Damaged XML.
    #[error("byte {offset}: the XML is damaged ({what})")]
    Xml {
        /// Where, in bytes of the document as UTF-8.
        offset: u64,
        /// The kind of damage.
        what: &'static str,
    },
    /// A document type, which could declare entities.
    #[error("byte {offset}: a document type declaration is not taken; a C-CDA document has none")]
    DocumentType {
        /// Where.
        offset: u64,
    },
    /// A bound was passed.
    #[error("byte {offset}: more than {max} {what}")]
    TooMany {
        /// Where.
        offset: u64,
        /// What there is too much of.
        what: &'static str,
        /// The most.
        max: usize,
    },
    /// XML, but no C-CDA document.
    #[error("not a C-CDA document: {0}")]
    NotCcda(&'static str),
}
