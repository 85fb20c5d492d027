//! The composition root: one process, all rooms.
