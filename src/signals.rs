//! The signals that ask this program to end: SIGINT, SIGTERM, SIGHUP. It owns that a signal which was ignored when the program started stays ignored: `nohup`
//! ignores SIGHUP, and a shell without job control ignores SIGINT for what it starts in the background (POSIX, "Asynchronous Lists"). It refuses to decide what
//! the signals mean to a command.

use std::{fs, io};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Which of them came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndRequest {
    /// SIGINT; at a terminal, Ctrl-C sends it to every process in the foreground.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP.
    HangUp,
}

impl EndRequest {
    const ALL: [Self; 3] = [Self::Interrupt, Self::Terminate, Self::HangUp];

    fn kind(self) -> SignalKind {
        match self {
            Self::Interrupt => SignalKind::interrupt(),
            Self::Terminate => SignalKind::terminate(),
            Self::HangUp => SignalKind::hangup(),
        }
    }
}

/// Listens for them.
#[derive(Debug)]
pub(crate) struct EndRequests {
    /// In the order of [`EndRequest::ALL`]; absent where it is ignored.
    signals: [Option<Signal>; 3],
}

impl EndRequests {
    /// Begins to listen; from here on none of them ends the program by itself.
    pub(crate) fn listen() -> io::Result<Self> {
        let ignored = ignored();
        let listen = |request: EndRequest| {
            let heard = ignored & (1 << (request.kind().as_raw_value() - 1)) == 0;
            heard.then(|| signal(request.kind())).transpose()
        };
        let [interrupt, terminate, hangup] = EndRequest::ALL.map(listen);
        Ok(Self { signals: [interrupt?, terminate?, hangup?] })
    }

    /// The next one. May be dropped at any time without losing one.
    pub(crate) async fn next(&mut self) -> EndRequest {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            () = received(interrupt) => EndRequest::Interrupt,
            () = received(terminate) => EndRequest::Terminate,
            () = received(hangup) => EndRequest::HangUp,
        }
    }
}

async fn received(signal: &mut Option<Signal>) {
    let came = match signal {
        Some(signal) => signal.recv().await.is_some(),
        None => false,
    };
    if !came {
        std::future::pending().await
    }
}

/// The set of signals that this process ignores, bit n-1 for signal n (proc(5), `SigIgn`). Where the system does not say it: none.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0)
}
