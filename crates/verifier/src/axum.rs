//! A layer and an extractor for axum.
//!
//! ```
//! use std::sync::Arc;
//!
//! use axum::{Router, routing::get};
//! use portcullis_verifier::axum::AccessTokenLayer;
//! use portcullis_verifier::{Claims, Verifier, VerifyError};
//!
//! async fn orders(claims: Claims) -> String {
//!     format!("the orders of {}", claims.sub)
//! }
//!
//! async fn reports(claims: Claims) -> Result<&'static str, VerifyError> {
//!     claims.require_role("admin")?;
//!     Ok("the reports")
//! }
//!
//! fn app(verifier: Arc<Verifier>) -> Router {
//!     Router::new()
//!         .route("/orders", get(orders))
//!         .route("/reports", get(reports))
//!         .layer(AccessTokenLayer::new(verifier))
//! }
//! ```

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum_core::body::Body;
use axum_core::extract::FromRequestParts;
use axum_core::response::{IntoResponse, Response};
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use tower_layer::Layer;
use tower_service::Service;

use crate::{Claims, Verifier, VerifyError, bearer_token};

/// Requires a valid access token in every request. Handlers get its [`Claims`]. Other requests are answered with the challenge of
/// RFC 6750.
#[derive(Clone)]
pub struct AccessTokenLayer {
    verifier: Arc<Verifier>,
}

impl AccessTokenLayer {
    /// Creates a layer with a verifier.
    #[must_use]
    pub fn new(verifier: Arc<Verifier>) -> Self {
        Self { verifier }
    }
}

impl<S> Layer<S> for AccessTokenLayer {
    type Service = AccessTokenService<S>;

    fn layer(&self, inner: S) -> AccessTokenService<S> {
        AccessTokenService { inner, verifier: Arc::clone(&self.verifier) }
    }
}

/// The service that [`AccessTokenLayer`] makes.
#[derive(Clone)]
pub struct AccessTokenService<S> {
    inner: S,
    verifier: Arc<Verifier>,
}

impl<S, B> Service<Request<B>> for AccessTokenService<S>
where
    S: Service<Request<B>, Response = Response> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // This service is ready; its clone may not be.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let verifier = Arc::clone(&self.verifier);
        Box::pin(async move {
            let result = match token_of(request.headers()) {
                Ok(token) => verifier.verify(token).await,
                Err(error) => Err(error),
            };
            match result {
                Ok(claims) => {
                    request.extensions_mut().insert(claims);
                    inner.call(request).await
                }
                Err(error) => Ok(error.into_response()),
            }
        })
    }
}

/// Returns the access token of the request.
fn token_of(headers: &HeaderMap) -> Result<&str, VerifyError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let first = values.next().and_then(|value| value.to_str().ok());
    if values.next().is_some() {
        return Err(VerifyError::SeveralCredentials);
    }
    bearer_token(first.unwrap_or_default())
}

/// The claims of the request's access token, behind an [`AccessTokenLayer`].
impl<S: Sync> FromRequestParts<S> for Claims {
    type Rejection = MissingLayer;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, MissingLayer> {
        parts.extensions.get().cloned().ok_or(MissingLayer)
    }
}

/// A handler takes [`Claims`], but the route has no [`AccessTokenLayer`]. The response is 500.
#[derive(Debug)]
pub struct MissingLayer;

impl IntoResponse for MissingLayer {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, "this route has no AccessTokenLayer").into_response()
    }
}

/// Problem details (RFC 9457) with the challenge, as Portcullis itself sends them.
impl IntoResponse for VerifyError {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.problem()));
        *response.status_mut() = StatusCode::from_u16(self.status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        for (name, value) in self.headers() {
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::Router;
    use axum::routing::get;
    use axum_core::body::Body;
    use http::header::AUTHORIZATION;
    use http::{HeaderMap, HeaderValue, Request, StatusCode};
    use tower::ServiceExt as _;

    use super::{AccessTokenLayer, token_of};
    use crate::{Claims, Verifier};

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn the_token_of_one_bearer_header_is_read() {
        for header in ["Bearer a.b.c", "bearer a.b.c", "BEARER   a.b.c "] {
            assert_eq!(token_of(&headers(&[header])).unwrap(), "a.b.c");
        }
        for none in [&[][..], &[""], &["Bearer"], &["Bearer "], &["Basic YTpi"], &["Bearerx"]] {
            assert_eq!(token_of(&headers(none)).unwrap_err().code(), "missing_token", "{none:?}");
        }
        for several in [["Bearer a", "Bearer b"], ["Bearer a", "Basic YTpi"], ["Basic YTpi", "Bearer a"]] {
            let error = token_of(&headers(&several)).unwrap_err();
            assert_eq!((error.code(), error.status()), ("invalid_request", 400));
        }
    }

    #[tokio::test]
    async fn a_refusal_is_a_problem_with_a_challenge() {
        let verifier = Verifier::new("https://auth.example.org", "https://api.example.org", |_| {
            std::future::ready(Err::<String, _>("connection refused"))
        })
        .unwrap();
        let app = Router::new()
            .route("/", get(|_: Claims| async {}))
            .layer(AccessTokenLayer::new(Arc::new(verifier)))
            .route("/open", get(|_: Claims| async {}));
        let ask = async |path: &str, token: Option<&str>| {
            let mut request = Request::get(path);
            if let Some(token) = token {
                request = request.header(AUTHORIZATION, format!("Bearer {token}"));
            }
            let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            (response.status().as_u16(), header("www-authenticate"), header("retry-after"), header("content-type"))
        };
        let problem = Some("application/problem+json".to_owned());
        assert_eq!(ask("/", None).await, (401, Some("Bearer".to_owned()), None, problem.clone()));
        let invalid = "Bearer error=\"invalid_token\", error_description=\"The access token is not valid.\"";
        assert_eq!(ask("/", Some("x")).await, (401, Some(invalid.to_owned()), None, problem.clone()));
        // A well-formed token, for which a key is looked for.
        let token = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImEiLCJ0eXAiOiJhdCtqd3QifQ.e30.AAAA";
        assert_eq!(ask("/", Some(token)).await, (503, None, Some("5".to_owned()), problem));
        // A handler without the layer.
        assert_eq!(ask("/open", None).await.0, StatusCode::INTERNAL_SERVER_ERROR.as_u16());
    }
}
