//! Problems as answers: `application/problem+json`.

use actix_web::http::StatusCode;
use actix_web::http::header::{ContentType, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse, ResponseError, error};

use crate::problem::{Code, Problem};

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.code.row().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        if matches!(
            self.code,
            Code::Overloaded | Code::Unavailable | Code::Starting
        ) {
            response.insert_header((RETRY_AFTER, "1"));
        }
        response
            .content_type("application/problem+json")
            .body(self.to_json().to_string())
    }
}

/// JSON for those who asked for it.
pub(super) fn json<T: serde::Serialize>(value: &T) -> Result<HttpResponse, Problem> {
    let body = serde_json::to_string(value)
        .map_err(|error| Problem::new(Code::Failed, error.to_string()))?;
    Ok(HttpResponse::Ok()
        .content_type(ContentType::json())
        .body(body))
}

/// A body that is not what the route takes.
#[expect(clippy::needless_pass_by_value, reason = "the server calls it so")]
pub(super) fn bad_body(error: error::JsonPayloadError, _: &HttpRequest) -> actix_web::Error {
    use error::JsonPayloadError as Bad;
    let code = if matches!(
        error,
        Bad::Overflow { .. } | Bad::OverflowKnownLength { .. }
    ) {
        Code::TooLarge
    } else if matches!(error, Bad::ContentType) {
        Code::UnsupportedMedia
    } else {
        Code::BadRequest
    };
    Problem::new(code, format!("the body: {error}")).into()
}

/// A query that is not what the route takes.
#[expect(clippy::needless_pass_by_value, reason = "the server calls it so")]
pub(super) fn bad_query(error: error::QueryPayloadError, _: &HttpRequest) -> actix_web::Error {
    Problem::new(Code::BadRequest, format!("the query: {error}")).into()
}

/// A path that nothing lies at.
pub(super) async fn no_route(request: HttpRequest) -> HttpResponse {
    Problem::new(
        Code::NotFound,
        format!("nothing lies at {}", request.path()),
    )
    .error_response()
}

/// A path that takes other methods.
pub(super) async fn wrong_method(request: HttpRequest) -> HttpResponse {
    let detail = format!("{} does not take {}", request.path(), request.method());
    Problem::new(Code::MethodNotAllowed, detail).error_response()
}
