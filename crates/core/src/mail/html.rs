//! The HTML of a mail: one card, without images, scripts or anything remote.
//!
//! Styles are inline, because some mail programs drop `<style>`. Boxes are tables, because Outlook gives padding only to cells.
//! Only the dark look is in `<style>`: programs that drop it choose dark colours themselves. The colours are those of
//! web/look/colours.css.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::content::{Content, Link};

const DARK: &str = "\
:root{color-scheme:light dark;supported-color-schemes:light dark}\
@media (prefers-color-scheme:dark){\
.ground{background:#0f1115!important}\
.card{background:#171a20!important;border-color:#292e38!important}\
.line{border-color:#292e38!important}\
.text{color:#eceef2!important}\
.quiet{color:#a0a8b6!important}\
.code{background:#1f232b!important;border-color:#292e38!important;color:#eceef2!important}\
.button{background:#86a8ff!important;color:#0c1530!important}\
.link{color:#86a8ff!important}\
}";

const BODY: &str = "margin:0;padding:0;background:#f6f7f9;-webkit-text-size-adjust:100%";
const GROUND: &str =
    "background:#f6f7f9;font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif";
const COLUMN: &str = "margin:0 auto;max-width:480px;table-layout:fixed";
const BRAND: &str =
    "padding:0 8px 16px;font-size:17px;line-height:24px;font-weight:600;color:#191c22;overflow-wrap:anywhere";
const CARD: &str =
    "padding:32px 28px 16px;background:#ffffff;border:1px solid #e4e7ec;border-radius:12px;overflow-wrap:anywhere";
const TITLE: &str = "margin:0 0 16px;font-size:22px;line-height:28px;font-weight:600;color:#191c22";
const TEXT: &str = "margin:0 0 16px;font-size:15px;line-height:24px;color:#191c22";
const QUIET: &str = "margin:0 0 16px;font-size:13px;line-height:20px;color:#596070";
const PANEL: &str = "margin:24px 0 10px;border-collapse:separate";
/// The padding on the left balances the space after the last letter.
const CODE: &str = "padding:18px 0 18px 3px;background:#f1f3f6;border:1px solid #e4e7ec;border-radius:8px;\
font-family:ui-monospace,'SF Mono','Cascadia Mono',Menlo,Consolas,monospace;\
font-size:28px;line-height:36px;font-weight:600;letter-spacing:3px;color:#191c22";
/// Outlook ignores the padding of a link.
const BUTTON: &str = "background:#2c56c9;border-radius:8px;mso-padding-alt:13px 20px";
const LABEL: &str = "display:block;padding:13px 20px;border-radius:8px;background:#2c56c9;\
font-size:15px;line-height:20px;font-weight:600;text-decoration:none;color:#ffffff";
const LINK: &str = "color:#2c56c9;text-decoration:underline;word-break:break-all";
const RULE: &str = "margin:24px 0 0;padding:20px 0 0;border-top:1px solid #e4e7ec";
const FOOTER: &str = "padding:16px 8px 0;overflow-wrap:anywhere";

/// The HTML of a mail.
pub fn render(content: &Content<'_>) -> String {
    let document = html! {
        (DOCTYPE)
        html lang=(content.lang) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="supported-color-schemes" content="light dark";
                title { (content.texts.own.subject) }
                style { (PreEscaped(DARK)) }
            }
            body.ground style=(BODY) {
                // Web mail drops `html` and `body`.
                div lang=(content.lang) {
                    (table(GROUND, &html! { tr { td.ground align="center" style="padding:32px 16px" { (column(content)) } } }))
                }
            }
        }
    };
    document.into_string()
}

fn column(content: &Content<'_>) -> Markup {
    let Content { app, texts, support, .. } = content;
    let rows = html! {
        tr { td.text align="left" style=(BRAND) { (app) } }
        tr { td.card align="left" style=(CARD) { (card(content)) } }
        tr {
            td align="left" style=(FOOTER) {
                p.quiet style=(QUIET) {
                    (texts.sent_to)
                    @if let Some(support) = support { br; (texts.help) " " (anchor(support)) }
                }
            }
        }
    };
    table(COLUMN, &rows)
}

fn card(content: &Content<'_>) -> Markup {
    let Content { texts, lead, code, action, other, .. } = content;
    let after = content.after();
    html! {
        h1.text style=(TITLE) { (texts.own.title) }
        p.text style=(TEXT) { (lead) }
        @if let Some(code) = code {
            (table(PANEL, &html! { tr { td.code align="center" style=(CODE) { (code) } } }))
            p.quiet style=(QUIET) { (texts.validity) }
        }
        @for text in content.before() {
            p.text style=(TEXT) { (text) }
        }
        @if let Some(Link { label, url }) = action {
            @let button = html! { a.button href=(url) style=(LABEL) { (label) } };
            (table(PANEL, &html! { tr { td.button align="center" style=(BUTTON) { (button) } } }))
            p.quiet style=(QUIET) { (texts.open) br; (anchor(&Link { label: url, url })) }
        }
        @if after.is_some() || other.is_some() {
            div.line style=(RULE) {
                p.quiet style=(QUIET) {
                    @if let Some(after) = after { (after) br; }
                    @if let Some(other) = other { (anchor(other)) }
                }
            }
        }
    }
}

/// A table for layout, as wide as there is room.
fn table(style: &str, rows: &Markup) -> Markup {
    html! {
        table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style=(style) { (rows) }
    }
}

fn anchor(link: &Link<'_>) -> Markup {
    html! { a.link href=(link.url) style=(LINK) { (link.label) } }
}
