//! A server with an API of its own, on axum. It verifies the access tokens of Portcullis with the published keys.
//!
//! ```sh
//! ISSUER=https://auth.example.com AUDIENCE=https://api.example.com cargo run -p orders-api-axum --features https
//! ```

#![expect(clippy::print_stdout, reason = "a program that prints its address")]

use std::env::var;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::routing::get;
use axum::{Json, Router};
use portcullis_verifier::axum::AccessTokenLayer;
use portcullis_verifier::{BoxError, Claims, Requirement, Verifier, VerifyError};
use serde_json::{Value, json};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let agent = ureq::Agent::new_with_config(
        ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(5))).max_redirects(0).build(),
    );
    let verifier = Verifier::new(&var("ISSUER")?, &var("AUDIENCE")?, move |url| get_text(agent.clone(), url))?;

    let app = Router::new()
        .route("/orders", get(orders))
        .route("/reports", get(reports))
        .route("/payouts", get(payouts))
        .layer(AccessTokenLayer::new(Arc::new(verifier)));

    let port = var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

/// Until the token expires, this accepts it even if its session has ended.
async fn orders(claims: Claims) -> Json<Value> {
    Json(json!({"user": claims.sub, "roles": claims.roles}))
}

async fn reports(claims: Claims) -> Result<Json<Value>, VerifyError> {
    claims.require_role("admin")?;
    Ok(Json(json!({"reports": []})))
}

/// A client that gets the challenge of RFC 9470 lets the user authenticate again (`POST /me/step-up`), and repeats the request.
async fn payouts(claims: Claims) -> Result<Json<Value>, VerifyError> {
    claims.require(&Requirement { acr: None, max_age: Some(300) })?;
    Ok(Json(json!({"payouts": []})))
}

/// Fetches a text, on a thread that may block.
async fn get_text(agent: ureq::Agent, url: String) -> Result<String, BoxError> {
    tokio::task::spawn_blocking(move || {
        let mut response = agent.get(&url).call()?;
        if response.status() != 200 {
            return Err(format!("{url} answered {}", response.status()).into());
        }
        Ok(response.body_mut().read_to_string()?)
    })
    .await?
}
