//! The API document (`OpenAPI` 3.1), made from the types that answers are made of and the list of providers, so that
//! it can't drift from either. `openapi/gigya-esp-gateway.json` is this document as text; a test keeps it so, and every
//! answer that a test gets is held against it.
//!
//! `webhooks` and `operations` have the paths of a port each, `components` what they share.

mod components;
mod operations;
mod webhooks;

use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathsBuilder, ServerBuilder};

const WEBHOOKS: &str = "webhooks";
const OPERATIONS: &str = "operations";

/// The document.
#[must_use]
pub fn document() -> OpenApi {
    let all = webhooks::paths().into_iter().chain(operations::paths());
    let paths = all.fold(PathsBuilder::new(), |paths, (path, item)| paths.path(path, item));
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("gigya-esp-gateway")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(concat!(
                    "Keeps SAP Customer Data Cloud (Gigya) and an email service provider in step, webhook by ",
                    "webhook. A 2xx means that every change in the request is done, was found done, or can never ",
                    "be done and is recorded; after anything else, send the request again.\n\nA path that isn't ",
                    "here is answered as `NotFound`, and a method that a path doesn't have as `MethodNotAllowed`. ",
                    "What is no HTTP/1.1 at all has no path: it is answered as `NotHttp`."
                )))
                .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
                .build(),
        )
        .servers(Some([ServerBuilder::new()
            .url("http://localhost:8080")
            .description(Some("The webhook port, `server.listen`."))
            .build()]))
        .paths(paths.build())
        .components(Some(components::all()))
        .tags(Some([
            TagBuilder::new().name(WEBHOOKS).description(Some("What senders call.")).build(),
            TagBuilder::new()
                .name(OPERATIONS)
                .description(Some("On a second port, `server.admin_listen`, which senders must not reach."))
                .build(),
        ]))
        .build()
}

/// The document as JSON, indented, ending in a newline; the same bytes every time.
///
/// # Panics
/// Never: there is nothing in it that JSON can't say.
#[must_use]
pub fn json() -> String {
    let mut text = document().to_pretty_json().expect("the document is text, numbers, lists and maps with text keys");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_in_the_repository_is_this_document() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/gigya-esp-gateway.json");
        let file = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            file == json(),
            "openapi/gigya-esp-gateway.json is not what the code says; regenerate it:\n    \
             cargo run -- openapi > openapi/gigya-esp-gateway.json"
        );
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document: serde_json::Value = serde_json::from_str(&json()).unwrap();
        let text = json();
        let references = text.split("\"$ref\": \"#").skip(1).map(|rest| rest.split('"').next().unwrap());
        for reference in references {
            assert!(document.pointer(reference).is_some(), "{reference}");
        }
        assert!(text.contains("\"/webhooks/gigya/{connection}\""));
        assert!(text.contains("\"/webhooks/campaign-monitor/{connection}/{token}\""));
    }
}
