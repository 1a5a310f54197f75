//! From a request to the service that answers it. It owns that nobody gets past here who is not on the list, whatever is asked; three services need no router
//! of a library's.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{FutureExt, future::BoxFuture};
use tonic::{
    Status,
    body::Body,
    codegen::{Service, http},
    server::NamedService,
};

use super::{front, names::AllowedClients, quota::ClientQuotas};

type HttpRequest = http::Request<Body>;
type HttpResponse = http::Response<Body>;

/// The services of one server.
#[derive(Debug, Clone)]
pub(super) struct ServiceRoutes<P, H, R> {
    pub(super) clients: Arc<AllowedClients>,
    /// The connections of each client.
    pub(super) lines: Arc<ClientQuotas>,
    pub(super) prober: P,
    pub(super) health: H,
    pub(super) reflection: R,
}

impl<P, H, R> Service<HttpRequest> for ServiceRoutes<P, H, R>
where
    P: GrpcService,
    H: GrpcService,
    R: GrpcService,
    P::Future: Send + 'static,
    H::Future: Send + 'static,
    R::Future: Send + 'static,
{
    type Response = HttpResponse;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<HttpResponse, Infallible>>;

    /// Each of them is always ready: they are gRPC services without a queue.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: HttpRequest) -> Self::Future {
        if let Err(status) = front::admit(&self.clients, &self.lines, request.extensions_mut()) {
            return std::future::ready(Ok(status.into_http())).boxed();
        }
        let service = request.uri().path().split('/').nth(1).unwrap_or_default();
        match service {
            name if name == P::NAME => self.prober.call(request).boxed(),
            name if name == H::NAME => self.health.call(request).boxed(),
            name if name == R::NAME => self.reflection.call(request).boxed(),
            _ => std::future::ready(Ok(Status::unimplemented("there is no such service").into_http())).boxed(),
        }
    }
}

/// A gRPC service as tonic makes them.
pub(super) trait GrpcService:
    Service<HttpRequest, Response = HttpResponse, Error = Infallible> + NamedService
{
}

impl<S> GrpcService for S where S: Service<HttpRequest, Response = HttpResponse, Error = Infallible> + NamedService {}
