//! The plugin's side of a session: from the command line to the end of the work.
//!
//! It owns the order of things, and nothing else: signals first, then the cookie, socket, session, main stream; at the
//! end, Cancel and waiting for the work. Each kind of component is an arm of [`Plugin`] and [`Component`]; they share everything below
//! this file.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use futures::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::broker::{BrokerError, StreamBroker};
use super::data_source::{self, DataSource};
use super::describe::{ComponentKind, Invocation, PluginDescription};
use super::encoding::SpecEncoding;
use super::handshake::{self, HandshakeEnvironment, HandshakeError, PluginListener};
use super::mux::Mode;
use super::post_processor::{self, PostProcessor};
use super::rpc::{self, RpcError};

/// The number of Packer's main stream.
const MAIN_STREAM: u32 = 0;

/// A plugin: its version and its components by name.
#[derive(Clone, Default)]
pub struct Plugin {
    version: String,
    post_processors: BTreeMap<String, Arc<dyn PostProcessor>>,
    data_sources: BTreeMap<String, Arc<dyn DataSource>>,
}

/// One component, ready to be served.
#[derive(Clone)]
pub enum Component {
    /// A post-processor.
    PostProcessor(Arc<dyn PostProcessor>),
    /// A data source.
    DataSource(Arc<dyn DataSource>),
}

/// Why a plugin could not serve Packer. All of them end the process with status 1.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The command line is not one of Packer's.
    #[error("{0}")]
    Misused(String),
    /// The plugin has no such component.
    #[error("no {kind} named `{name}` here; there is {known}")]
    Unknown {
        /// The kind asked for.
        kind: &'static str,
        /// The name asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The description could not be written.
    #[error("writing the description")]
    Describe(#[source] std::io::Error),
    /// Packer and the plugin did not meet.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// Packer connected, but opened no main stream.
    #[error("waiting for Packer's main stream")]
    MainStream(#[source] BrokerError),
    /// Packer's calls could not be read.
    #[error("reading Packer's calls")]
    Calls(#[source] RpcError),
}

impl Plugin {
    /// A plugin without components.
    pub fn new(version: impl Into<String>) -> Self {
        Self { version: version.into(), ..Self::default() }
    }

    /// Adds a post-processor under a name, often [`DEFAULT_NAME`](super::DEFAULT_NAME).
    #[must_use]
    pub fn post_processor(mut self, name: &str, component: impl PostProcessor) -> Self {
        self.post_processors.insert(name.to_owned(), Arc::new(component));
        self
    }

    /// Adds a data source under a name: `data "x-image"` of the plugin `packer-plugin-x` is `image`.
    #[must_use]
    pub fn data_source(mut self, name: &str, component: impl DataSource) -> Self {
        self.data_sources.insert(name.to_owned(), Arc::new(component));
        self
    }

    /// What `describe` answers.
    pub fn description(&self) -> PluginDescription {
        PluginDescription {
            version: self.version.clone(),
            post_processors: self.post_processors.keys().cloned().collect(),
            datasources: self.data_sources.keys().cloned().collect(),
        }
    }

    fn find(&self, kind: ComponentKind, name: &str) -> Result<Component, ServeError> {
        let found = match kind {
            ComponentKind::PostProcessor => self.post_processors.get(name).cloned().map(Component::PostProcessor),
            ComponentKind::Datasource => self.data_sources.get(name).cloned().map(Component::DataSource),
            ComponentKind::Builder | ComponentKind::Provisioner => None,
        };
        found.ok_or_else(|| {
            let post_processors = self.post_processors.keys().map(|name| format!("post-processor `{name}`"));
            let data_sources = self.data_sources.keys().map(|name| format!("datasource `{name}`"));
            let names: Vec<_> = post_processors.chain(data_sources).collect();
            let known = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
            ServeError::Unknown { kind: kind.word(), name: name.to_owned(), known }
        })
    }
}

/// Does what Packer's command line asks, until Packer is gone and the work has ended.
///
/// stdout gets the description or the handshake's line, nothing else. Must be called within a tokio runtime, as early as
/// possible: until then an interrupt ends the process.
pub async fn serve(invocation: Invocation, plugin: &Plugin) -> Result<(), ServeError> {
    let mut stdout = std::io::stdout();
    match invocation {
        Invocation::Describe => {
            let line = plugin.description().to_json() + "\n";
            stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush()).map_err(ServeError::Describe)
        }
        Invocation::Misused(text) => Err(ServeError::Misused(text)),
        Invocation::Start { kind, name, protobuf } => {
            handshake::ignore_interrupts()?;
            let environment = HandshakeEnvironment::of_process();
            environment.check()?;
            let component = plugin.find(kind, &name)?;
            let listener = PluginListener::bind(&environment)?;
            listener.announce(&mut stdout)?;
            let connection = listener.accept().await?;
            let encoding = if protobuf { SpecEncoding::Protobuf } else { SpecEncoding::Gob };
            serve_connection(connection, component, encoding).await
        }
    }
}

/// Serves one component on a connection to Packer, until the connection or its main stream ends *and* the work has
/// ended; a post-processor's work is told by its cancellation token, a data source's is dropped.
pub async fn serve_connection<T>(connection: T, component: Component, encoding: SpecEncoding) -> Result<(), ServeError>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let broker = Arc::new(StreamBroker::start(connection, Mode::Server));
    let main = broker.expect(MAIN_STREAM).await.map_err(ServeError::MainStream)?;
    let cancel = CancellationToken::new();
    let running = TaskTracker::new();
    let serving = match component {
        Component::PostProcessor(component) => {
            let (broker, cancel, running) = (Arc::clone(&broker), cancel.clone(), running.clone());
            let service = post_processor::PostProcessorService::new(component, encoding, broker, cancel, running);
            rpc::serve(main, Arc::new(service)).boxed()
        }
        Component::DataSource(component) => {
            rpc::serve(main, Arc::new(data_source::DataSourceService::new(component, encoding))).boxed()
        }
    };
    let calls = tokio::select! {
        calls = serving => calls,
        // The stream's reader may be busy when the connection ends.
        () = broker.closed().cancelled() => Ok(()),
    };
    cancel.cancel();
    running.close();
    running.wait().await;
    calls.map_err(ServeError::Calls)
}

#[cfg(test)]
mod sessions;
#[cfg(test)]
mod tests;
