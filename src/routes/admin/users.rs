//! `GET /users`: lists the accounts in the order of their e-mail addresses, for admins.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;

use crate::context::Context;
use crate::http::Query;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::bearer::admin;
use crate::sessions::changes::for_admin;
use crate::store::admin::Search;
use portcullis_core::account::user::Account;
use portcullis_core::identity::email;

/// A page of accounts, in the order of their e-mail addresses.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "AccountList"))]
struct Body {
    users: Vec<Account>,
    /// The `cursor` of the next page; `null` on the last one.
    next_cursor: Option<String>,
}

/// `email`: a prefix of the address. The cursor is the key of the last address of the previous page, so accounts created or deleted in
/// the meantime do not shift the pages.
pub async fn get(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let caller = admin(context, request).await?;
    let query = Query::parse(request, &["email", "limit", "cursor"])?;
    let key = |cursor: &str| {
        // An empty cursor is invalid: a client that continues after the last page would start again without end.
        String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?).ok().filter(|key| !key.is_empty())
    };
    let search = Search {
        prefix: query.text("email").map(email::search_key).unwrap_or_default(),
        after: query.cursor(key)?,
        limit: query.limit()?,
    };
    let answer = context.store.list_accounts(caller, &search, context.now).await;
    let found = for_admin(context, caller, answer)?;
    let next_cursor = found.more_after.map(|key| BASE64_URL_SAFE_NO_PAD.encode(key));
    Reply::json(200, &Body { users: found.accounts, next_cursor })
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    let users = vec![Account::example()];
    operation
        .named(
            Tag::Administration,
            "listUsers",
            "List the users",
            "The accounts in the order of their e-mail addresses.",
        )
        .with_admin_token()
        .query("email", "A prefix of the e-mail address.", &serde_json::json!({"type": "string"}), &"ada@".into())
        .pages()
        .succeeds(Success::json(200, "A page of the accounts.", &Body { users, next_cursor: None }))
}
