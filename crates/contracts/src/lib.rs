//! Bindings, bytecode and addresses of the system contracts.
