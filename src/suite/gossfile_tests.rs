//! Tests of goss files with others in them.
