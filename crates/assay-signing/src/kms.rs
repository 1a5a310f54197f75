//! KMS's forms into SSH's: a public key (SubjectPublicKeyInfo, RFC 5480) and a signature (Ecdsa-Sig-Value, RFC 3279 §2.2.3), both DER, become those of
//! `ecdsa-sha2-nistp256` (RFC 5656 §3.1). It owns P-256 only, and refuses anything else by name.

use ssh_key::{
    Algorithm, EcdsaCurve, Signature,
    public::{EcdsaPublicKey, KeyData},
};

/// SubjectPublicKeyInfo of an uncompressed point on P-256, up to the point: SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING }.
const P256_INFO: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// A coordinate's length in bytes.
const COORDINATE: usize = 32;

/// The public key in a SubjectPublicKeyInfo, as `kms:GetPublicKey` returns it. The error is a sentence about "the key".
pub(crate) fn public_key(info: &[u8]) -> Result<KeyData, String> {
    let other =
        "is no ECC_NIST_P256 key; expected one that KMS made with --key-spec ECC_NIST_P256 --key-usage SIGN_VERIFY";
    let point = info.strip_prefix(&P256_INFO).ok_or(other)?;
    if point.len() != 1 + 2 * COORDINATE {
        return Err(other.to_owned());
    }
    let point = EcdsaPublicKey::from_sec1_bytes(point).map_err(|_| other)?;
    Ok(KeyData::Ecdsa(point))
}

/// An SSH signature from KMS's, as `kms:Sign` with `ECDSA_SHA_256` returns it. The error is a sentence about "the signature".
pub(crate) fn signature(der: &[u8]) -> Result<Signature, String> {
    let malformed = "is not the DER of an ECDSA signature";
    let (r, s) = integers(der).ok_or(malformed)?;
    let mut blob = Vec::with_capacity(2 * (COORDINATE + 5));
    for number in [r, s] {
        // Our DER reader keeps the sign byte, which an mpint (RFC 4251 §5) has too.
        blob.extend(u32::try_from(number.len()).map_err(|_| malformed)?.to_be_bytes());
        blob.extend(number);
    }
    Signature::new(Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 }, blob).map_err(|_| malformed.to_owned())
}

/// The two positive integers of `SEQUENCE { INTEGER, INTEGER }`, their bytes as they stand.
fn integers(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (body, rest) = element(der, 0x30)?;
    let (r, body) = element(body, 0x02)?;
    let (s, body) = element(body, 0x02)?;
    let positive = |number: &[u8]| match number {
        [0] | [] => false,
        [0, next, ..] => next & 0x80 != 0,
        [first, ..] => first & 0x80 == 0,
    };
    (rest.is_empty() && body.is_empty() && positive(r) && positive(s)).then_some((r, s))
}

/// One element of this tag, and what follows it. Lengths of one byte only: nothing of P-256 is longer.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, length], rest) = der.split_first_chunk::<2>()?;
    (found == tag && length < 0x80).then(|| rest.split_at_checked(length.into())).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_p256_key_is_taken() {
        let mut info = P256_INFO.to_vec();
        info.push(4);
        // The base point: SEC 2, §2.4.2.
        let x = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
        let y = "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
        for hex in [x, y] {
            info.extend((0..COORDINATE).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hex")));
        }
        assert!(public_key(&info).is_ok());
        for wrong in [&info[..90], &[&info[..], &[0]].concat(), &[]] {
            assert!(public_key(wrong).expect_err("no key").contains("ECC_NIST_P256"));
        }
    }

    #[test]
    fn der_that_is_not_two_positive_integers_is_refused() {
        assert!(signature(&[0x30, 6, 2, 1, 1, 2, 1, 1]).is_ok());
        for wrong in [
            &[][..],
            &[0x30, 6, 2, 1, 1, 2, 1, 1, 0],
            &[0x30, 6, 2, 1, 0x81, 2, 1, 1],
            &[0x30, 6, 2, 1, 0, 2, 1, 1],
            &[0x30, 7, 2, 2, 0, 1, 2, 1, 1],
            &[0x30, 0x81, 6, 2, 1, 1, 2, 1, 1],
            &[0x30, 7, 2, 1, 1, 2, 1, 1],
            &[0x31, 6, 2, 1, 1, 2, 1, 1],
        ] {
            assert!(signature(wrong).is_err(), "{wrong:x?}");
        }
    }
}
