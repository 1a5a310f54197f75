//! The messages, client and server of proto/prober.proto, as tonic and prost made them.

#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, clippy::unwrap_used)]

tonic::include_proto!("assay.prober.v1");

/// The same as an encoded `FileDescriptorSet`, for gRPC reflection.
pub(crate) const DESCRIPTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/prober.binpb"));
