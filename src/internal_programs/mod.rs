//! The programs that assay starts itself, as processes of their own: the prober, which is confined and holds no credentials, and the reaper, which removes what
//! a test run that died has left.

pub mod prober;
pub mod reaper;
pub(crate) mod undumpable;
