//! The messages, client and server of proto/prober.proto, as tonic and prost made them.

#![allow(missing_docs, clippy::all, clippy::pedantic, clippy::unwrap_used)]

tonic::include_proto!("assay.prober.v1");
