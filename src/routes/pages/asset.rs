//! Functions that the routes of static assets share.
//!
//! Every file is served through the Worker (`run_worker_first` in wrangler.toml), so that the configuration can disable it, and the
//! response has the headers of every response.

use crate::context::Context;
use crate::http::{Method, Reply, Request};
use crate::routes::error::ApiError;
use crate::store::Store;

/// Allows scripts, styles and requests of this origin only, and nothing inline.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// The same, and the script and the frame of Turnstile.
const WITH_TURNSTILE: &str = "default-src 'none'; script-src 'self' https://challenges.cloudflare.com; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; font-src 'self'; frame-src https://challenges.cloudflare.com; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'";
/// A browser may store a file, but must ask each time whether it is current. The binding compares the `ETag`.
const REVALIDATED: &str = "no-cache";
/// A file whose name contains a hash of its content never changes.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// Replies with the file of that name in a folder, or with 404.
pub async fn optional(context: &Context<'_>, request: &Request, folder: &str, name: &str) -> Result<Reply, ApiError> {
    if !is_plain(name) {
        return Err(ApiError::NotFound);
    }
    reply(context, request, &format!("{folder}{name}")).await?.ok_or(ApiError::NotFound)
}

/// Replies with a file that every deployment has. If it is missing, the deployment is at fault.
pub async fn required(context: &Context<'_>, request: &Request, path: &str) -> Result<Reply, ApiError> {
    reply(context, request, path).await?.ok_or_else(|| Store::missing_asset(path).into())
}

/// Redirects to the same path with a slash at its end. The addresses of files in a page are relative to that path, so they work with
/// every path of the issuer.
pub fn redirect_to_folder(context: &Context<'_>, request: &Request, folder: &str) -> Reply {
    let query = request.query.as_deref().map(|query| format!("?{query}")).unwrap_or_default();
    Reply::redirect(308, format!("{}{folder}{query}", context.config.base_path))
}

/// Whether a path names one file in exactly one way: without empty segments, dot segments and percent-encoding.
fn is_plain(path: &str) -> bool {
    path.split('/').all(|segment| {
        !segment.starts_with('.')
            && !segment.is_empty()
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    })
}

/// Whether the name contains a hash as esbuild writes it: `app-4ZTSBW2N.js`.
fn is_hashed(path: &str) -> bool {
    let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
    let hash = stem.rsplit_once('-').map_or("", |(_, hash)| hash);
    hash.len() == 8 && hash.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7'))
}

async fn reply(context: &Context<'_>, request: &Request, path: &str) -> Result<Option<Reply>, ApiError> {
    let method = if request.method == Method::Head { "HEAD" } else { "GET" };
    let Some(asset) = context.store.asset(path, method, request.if_none_match().as_deref()).await? else {
        return Ok(None);
    };
    let caching = if is_hashed(path) { IMMUTABLE } else { REVALIDATED };
    let turnstile = context.config.turnstile.as_ref().filter(|turnstile| turnstile.site_key.is_some());
    let has_turnstile = turnstile.is_some() && path.starts_with("account/");
    let policy = if has_turnstile { WITH_TURNSTILE } else { CONTENT_SECURITY_POLICY };
    let mut reply = Reply::new(asset.status)
        .header("Cache-Control", caching.to_owned())
        .header("Content-Security-Policy", policy.to_owned());
    // RFC 9110 §15.4.5: a 304 describes no content.
    let content_type = asset.content_type.filter(|_| asset.status == 200);
    for (name, value) in [("Content-Type", content_type), ("ETag", asset.etag)] {
        if let Some(value) = value {
            reply = reply.header(name, value);
        }
    }
    Ok(Some(match asset.body {
        Some(body) => reply.stream(body),
        None => reply,
    }))
}

#[cfg(test)]
mod tests {
    use super::{is_hashed, is_plain};

    #[test]
    fn a_hash_in_a_name_is_recognized() {
        for path in ["account/app-4ZTSBW2N.js", "account/a-b-ABCDEFGH.css"] {
            assert!(is_hashed(path), "{path}");
        }
        for path in [
            "account/index.html",
            "docs/swagger-ui-bundle.js",
            "a-4ZTSBW2.js",
            "a-4ZTSBW2N.min.js",
            "4ZTSBW2N.js",
            "a-4ztsbw2n.js",
        ] {
            assert!(!is_hashed(path), "{path}");
        }
    }

    #[test]
    fn a_plain_path_is_the_only_spelling_of_its_file() {
        for path in ["docs.css", "admin/index.html", "chunk-ABC123.js", "a_b/c.d.e"] {
            assert!(is_plain(path), "{path}");
        }
        for path in
            ["", "/", "/x", "x/", "x//y", ".", "..", "../x", "x/../y", ".assetsignore", "%2e", "x y", "x\\y", "\u{e4}"]
        {
            assert!(!is_plain(path), "{path}");
        }
    }
}
