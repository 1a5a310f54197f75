//! Whether an answer of EC2's came whole. The SDK's reader of XML is content with one that is cut off in the middle, and gives what stands before as the answer: a shorter list, a shorter id.
//! It owns that one question; such an answer leaves open whether the request was done.

use aws_sdk_ec2::{
    config::{ConfigBag, Intercept, RuntimeComponents, interceptors::AfterDeserializationInterceptorContextRef},
    error::BoxError,
};

/// Refuses answers that end before their outermost element does.
#[derive(Debug)]
pub(super) struct WholeAnswer;

impl Intercept for WholeAnswer {
    fn name(&self) -> &'static str {
        "WholeAnswer"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response();
        match answer.body().bytes() {
            Some(bytes) if answer.status().is_success() && !is_whole(bytes) => {
                Err("the answer ends in the middle".into())
            }
            _ => Ok(()),
        }
    }
}

/// Whether the outermost element of an XML text is closed at its end; that of an empty text is.
fn is_whole(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    let Some(root) = text.windows(2).position(|pair| pair[0] == b'<' && pair[1].is_ascii_alphabetic()) else {
        return text.is_empty();
    };
    let name = text[root + 1..].split(|byte| byte.is_ascii_whitespace() || b"/>".contains(byte)).next();
    let name = name.unwrap_or_default();
    let closing = [b"</", name, b">"].concat();
    text.ends_with(&closing) || text[root + 1..].iter().all(|byte| *byte != b'<') && text.ends_with(b"/>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_outermost_element_is_closed() {
        let whole = "<?xml version=\"1.0\"?>\n<A xmlns=\"x\"><b>1</b></A>\n";
        for end in 1..whole.trim_end().len() {
            assert!(!is_whole(&whole.as_bytes()[..end]), "{}", &whole[..end]);
        }
        for text in [whole, "<A/>", "<A x=\"1\" />", ""] {
            assert!(is_whole(text.as_bytes()), "{text}");
        }
        assert!(!is_whole(b"<A><b/>"));
    }
}
