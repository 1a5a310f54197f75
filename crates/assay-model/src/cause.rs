//! An error with its causes, in one line. It owns how they are joined; it refuses to decide who reads them.

use std::error::Error;

/// `error` and all its sources: `this: because of that: because of this other`.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("nothing was written")]
    struct Outer(#[source] std::fmt::Error);

    #[test]
    fn the_causes_follow() {
        assert_eq!(chain(&Outer(std::fmt::Error)), format!("nothing was written: {}", std::fmt::Error));
    }
}
