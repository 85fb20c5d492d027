//! Deliberate breaches of what the protocol rests on, to see that the checks notice them.

/// What correct nodes are made to do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// They start without remembering what they said.
    ForgetsItsJournal,
    /// They acknowledge a transaction before it is on the disk.
    AcknowledgesTooEarly,
    /// Their disks say that they have synced, and have not.
    DiskLies,
    /// They say what they have to say before it is on the disk.
    SpeaksBeforeSyncing,
    /// More than t validators are Byzantine, and lie alike.
    TooManyLiars,
    /// More than t validators vouch for a body with wrong senders, where verification is sharded.
    TooManyFalseVerifiers,
}

impl Sabotage {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::ForgetsItsJournal,
        Self::AcknowledgesTooEarly,
        Self::DiskLies,
        Self::SpeaksBeforeSyncing,
        Self::TooManyLiars,
        Self::TooManyFalseVerifiers,
    ];
}
