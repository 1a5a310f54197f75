//! How much of EC2's user data a user may give. It owns the form that the user's data travels in beside assay's own parts, since that form decides what fits; what assay's
//! parts say is `launch::user_data`'s.

use base64::{Engine, engine::general_purpose::STANDARD};

/// EC2's limit on user data before base64 (Amazon EC2 User Guide, "Instance user data").
pub const LIMIT: usize = 16 * 1024;
/// What is kept for assay's own parts and what holds them together, in bytes; they need less.
pub const OWN_PARTS: usize = 4 * 1024;
/// A line of base64 in MIME (RFC 2045, section 6.8).
const BASE64_LINE: usize = 76;

/// The user's data as a part of a MIME message. A MIME message of its own becomes a nested one; cloud-init recognises it in bare user data by the same sign.
pub fn part(data: &[u8]) -> Vec<u8> {
    const GZIP: [u8; 2] = [0x1f, 0x8b];
    let head = data[..data.len().min(4096)].to_ascii_lowercase();
    if head.windows(13).any(|window| window == b"mime-version:") {
        return without_mbox_line(data).to_vec();
    }
    let kind = if data.starts_with(&GZIP) { "application/x-gzip" } else { "text/plain; charset=\"utf-8\"" };
    let (encoding, body) = if is_plain(data) { ("7bit", data.to_vec()) } else { ("base64", in_lines(data)) };
    let mut part = format!(
        "Content-Type: {kind}\nContent-Disposition: attachment; filename=\"user-data\"\nContent-Transfer-Encoding: {encoding}\n\n"
    )
    .into_bytes();
    part.extend_from_slice(&body);
    part
}

/// Why `data` does not fit beside assay's own parts, and what would.
pub fn refusal(data: &[u8]) -> Option<String> {
    let room = LIMIT - OWN_PARTS;
    let length = part(data).len();
    if length <= room {
        return None;
    }
    let grown = if is_plain(data) {
        String::new()
    } else {
        let why =
            if data.starts_with(&[0x1f, 0x8b]) { "it is compressed" } else { "it is not plain ASCII in short lines" };
        format!(" as it is sent ({why}, so it travels as base64)")
    };
    let cure = if data.starts_with(&[0x1f, 0x8b]) { "" } else { ", or compress it with gzip" };
    Some(format!(
        "is {length} bytes long{grown}, of which {room} fit; EC2 takes 16 KiB, and assay needs 4 KiB of them for its host key and timer; shorten it by {} bytes{cure}",
        if is_plain(data) { length - room } else { (length - room).div_ceil(4) * 3 },
    ))
}

/// Whether it may travel as it is.
fn is_plain(data: &[u8]) -> bool {
    data.is_ascii() && !data.contains(&b'\r') && data.split(|b| *b == b'\n').all(|line| line.len() < 990)
}

/// Some tools begin a message with an mbox `From ` line, which is no header.
fn without_mbox_line(data: &[u8]) -> &[u8] {
    if !data.starts_with(b"From ") {
        return data;
    }
    data.iter().position(|byte| *byte == b'\n').map_or(data, |end| &data[end + 1..])
}

fn in_lines(data: &[u8]) -> Vec<u8> {
    STANDARD.encode(data).as_bytes().chunks(BASE64_LINE).collect::<Vec<_>>().join(&b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_is_the_length_that_is_sent() {
        let line = b"0123456789\n";
        assert_eq!(refusal(&line.repeat(1000)), None);
        assert!(refusal(&line.repeat(1200)).is_some_and(|why| why.contains("or compress it with gzip")));
        let umlaut = [line.repeat(1000), "ü".as_bytes().to_vec()].concat();
        assert!(refusal(&umlaut).is_some_and(|why| why.contains("not plain ASCII")), "one letter makes it base64");
        let compressed = [vec![0x1f, 0x8b], vec![7; 11_000]].concat();
        let why = refusal(&compressed).expect("too long");
        assert!(why.contains("is compressed") && !why.contains("with gzip"), "{why}");
        assert_eq!(refusal(&compressed[..8_900]), None);
    }
}
