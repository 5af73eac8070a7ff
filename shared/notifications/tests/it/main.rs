//! Tests through the crate's public interface.
