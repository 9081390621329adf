//! OTLP metrics over HTTP: `ExportMetricsServiceRequest`, as protocol buffers or as JSON.
//!
//! Names, units and labels become what the compatibility specification of OpenTelemetry and Prometheus makes of them:
//! <https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/>. The resource's `host.name`
//! (else `service.instance.id`, else `service.name`) is the server, its `service.name` the collector.
//!
//! Taken are gauges, cumulative sums and histograms, and summaries. Changes since the last time (delta temporality)
//! and exponential histograms are refused, point by point.

mod convert;
mod model;
mod names;
mod wire;

use super::{
    intake::Intake,
    messages::Outcome,
    protobuf::Malformed,
    refusal::{Reason, Refusal},
    unpack,
};

/// Longest body before it was compressed, in bytes: exporters send much less.
const BODY_MAX: usize = 8 << 20;

/// What a body may need in memory while it is decoded, in bytes.
pub(super) fn size_of(body: usize, gzip: bool) -> usize {
    if gzip { BODY_MAX } else { body.min(BODY_MAX) }
}

/// Hands the points of a body to `intake`. `own` is the server where a resource names none.
pub(super) fn decode(
    body: &[u8],
    gzip: bool,
    own: Option<&str>,
    intake: &mut Intake<'_>,
) -> Result<(), Refusal> {
    let body = unpack::maybe_gzip(body, gzip, BODY_MAX)?;
    wire::read(&body, &mut |resource, metric| convert::give(resource, metric, own, intake)).map_err(
        |error: Malformed| {
            Refusal::new(Reason::Malformed, format!("the body is no OTLP metrics: {error}"))
        },
    )
}

/// The same, of a body of JSON.
pub(super) fn decode_json(
    body: &[u8],
    gzip: bool,
    own: Option<&str>,
    intake: &mut Intake<'_>,
) -> Result<(), Refusal> {
    let body = unpack::maybe_gzip(body, gzip, BODY_MAX)?;
    let request: model::Request<'_> = serde_json::from_slice(&body).map_err(|error| {
        Refusal::new(Reason::Malformed, format!("the body is no OTLP metrics as JSON: {error}"))
    })?;
    for of_resource in &request.resource_metrics {
        for metric in of_resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
            convert::give(&of_resource.resource, metric, own, intake);
        }
    }
    Ok(())
}

/// The body of an answer, `ExportMetricsServiceResponse`, as protocol buffers.
pub fn response(outcome: &Outcome) -> Vec<u8> {
    let Some(complaint) = outcome.complaint() else { return Vec::new() };
    let mut partial = vec![0x08];
    varint(outcome.refused.total(), &mut partial);
    partial.push(0x12);
    varint(complaint.len() as u64, &mut partial);
    partial.extend(complaint.bytes());
    let mut response = vec![0x0a];
    varint(partial.len() as u64, &mut response);
    response.append(&mut partial);
    response
}

/// The same as JSON.
pub fn response_json(outcome: &Outcome) -> Vec<u8> {
    let response = match outcome.complaint() {
        None => serde_json::json!({}),
        // Numbers of 64 bits are strings in JSON of protocol buffers.
        Some(complaint) => serde_json::json!({"partialSuccess": {
            "rejectedDataPoints": outcome.refused.total().to_string(), "errorMessage": complaint,
        }}),
    };
    response.to_string().into_bytes()
}

fn varint(mut number: u64, to: &mut Vec<u8>) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}
