//! `GET /docs`, the page about the functions with a form to call them, and `GET /`, which links to
//! the other pages. The main items are the handlers [`page`] and [`index`]. The page loads nothing
//! from other servers.

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, json};

use super::admission::Open;
use super::dashboard::guarded;
use super::gateway::Gateway;

pub(super) async fn page(_: Open) -> HttpResponse {
    asset("text/html; charset=utf-8", include_str!("assets/docs.html"))
}

pub(super) async fn script(_: Open) -> HttpResponse {
    asset("text/javascript; charset=utf-8", include_str!("assets/docs.js"))
}

pub(super) async fn schemas(_: Open) -> HttpResponse {
    asset("text/javascript; charset=utf-8", include_str!("assets/schemas.js"))
}

pub(super) async fn style(_: Open) -> HttpResponse {
    asset("text/css; charset=utf-8", include_str!("assets/docs.css"))
}

fn asset(media: &'static str, text: &'static str) -> HttpResponse {
    guarded(HttpResponse::Ok()).content_type(media).body(text)
}

/// Browsers get a page, other clients JSON. Both have only links, so they need no token.
pub(super) async fn index(Open(gateway): Open, request: HttpRequest) -> HttpResponse {
    let accepts = request.headers().get_all(header::ACCEPT);
    let html = accepts.into_iter().any(|value| value.to_str().is_ok_and(|text| text.contains("text/html")));
    let links = links(&gateway);
    let mut response = guarded(HttpResponse::Ok());
    response.insert_header((header::VARY, HeaderValue::from_static("Accept")));
    if !html {
        let links = links.into_iter().map(|link| (link.key.to_owned(), json!(link.path)));
        return response.json(json!({"call": "call/{function}", "links": links.collect::<Map<_, _>>()}));
    }
    let items: String = links.into_iter().map(Link::item).collect();
    let page = include_str!("assets/index.html").replace("<!-- links -->", &items);
    response.content_type("text/html; charset=utf-8").body(page)
}

/// Something that a gateway serves. The path is relative, because an application can mount the
/// gateway anywhere.
struct Link {
    key: &'static str,
    path: &'static str,
    title: &'static str,
    about: &'static str,
}

impl Link {
    fn item(self) -> String {
        let Self { path, title, about, .. } = self;
        format!("<li><a href=\"{path}\"><strong>{title}</strong><span>{about}</span></a></li>")
    }
}

fn links(gateway: &Gateway) -> Vec<Link> {
    let link = |key, path, title, about| Link { key, path, title, about };
    let mut links = vec![link("docs", "docs", "Functions", "What can be called, and a form to try it")];
    if gateway.options().dashboard {
        links.push(link("dashboard", "dashboard", "Live page", "Workers, throughput, latency, crashes"));
    }
    links.extend([
        link("openapi", "openapi.json", "OpenAPI", "The functions and their schemas for programs"),
        link("metrics", "metrics", "Metrics", "For Prometheus"),
        link("ready", "ready", "Readiness", "Whether calls are admitted and a worker serves"),
        link("live", "live", "Liveness", "Whether the process works"),
    ]);
    links
}
