//! The paths of the operations port.

use super::OPERATIONS;
use super::components::{named, reference, strict, text, with_id};
use utoipa::openapi::path::{HttpMethod, OperationBuilder};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Content, PathItem, ServerBuilder};

/// All of them.
pub(super) fn paths() -> Vec<(String, PathItem)> {
    let live = operation("live", "Whether the process runs", "For restarting it when it doesn't.", plain("It does."));
    let ready = operation(
        "ready",
        "Whether work is welcome",
        "For load balancers. Says no before connections are refused.",
        readiness("It is."),
    );
    let ready = ready.response("503", readiness("It is not; the reasons say why.").build());
    let metrics = operation("metrics", "How it is doing", "For Prometheus.", plain("Prometheus' text format 0.0.4."));
    let page = operation(
        "status",
        "How it is doing, for people",
        "Needs no JavaScript.",
        strict("An HTML page.", "text/html"),
    );
    let css = operation("statusStyle", "The page's style sheet", "", strict("CSS.", "text/css"));
    let js = operation("statusScript", "The page's script", "Refreshes it.", strict("JavaScript.", "text/javascript"));
    let files = [("/", page), ("/status/page.css", css), ("/status/page.js", js)];
    [("/livez", live), ("/readyz", ready), ("/metrics", metrics)]
        .into_iter()
        .chain(files)
        .map(|(path, operation)| (path.to_owned(), PathItem::new(HttpMethod::Get, operation.build())))
        .collect()
}

fn operation(id: &str, summary: &str, description: &str, answer: impl Into<Response>) -> OperationBuilder {
    let port = ServerBuilder::new()
        .url("http://localhost:9090")
        .description(Some("The operations port, `server.admin_listen`."))
        .build();
    OperationBuilder::new()
        .operation_id(Some(id))
        .summary(Some(summary))
        .description(Some(description))
        .tag(OPERATIONS)
        .server(port)
        .securities(Some::<[SecurityRequirement; 0]>([]))
        .response("200", answer.into())
        .response("405", named("MethodNotAllowed"))
        .response("431", named("HeadTooLarge"))
}

fn plain(description: &str) -> ResponseBuilder {
    with_id(description).content("text/plain", Content::new(Some(text())))
}

fn readiness(description: &str) -> ResponseBuilder {
    with_id(description).content("application/json", Content::new(Some(reference("Readiness"))))
}
