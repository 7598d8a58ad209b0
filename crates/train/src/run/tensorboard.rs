//! Event files of TensorBoard: records of a length, its checksum, an `Event` of
//! `tensorboard/compat/proto/event.proto`, and its checksum.

use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;
use serde_json::{Map, Value};

/// As much of an event as is written.
#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Scalar>,
}

#[derive(Clone, PartialEq, Message)]
struct Scalar {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, tag = "2")]
    simple_value: f32,
}

/// The record that a file begins with.
pub(crate) fn head() -> Vec<u8> {
    record(&Event {
        wall_time: now(),
        step: 0,
        file_version: Some("brain.Event:2".to_owned()),
        summary: None,
    })
}

/// A line of metrics as a record: its numbers, at the step of its epoch; those of the
/// final line have names of their own.
pub(crate) fn scalars(metrics: &Value) -> Vec<u8> {
    let nothing = Map::new();
    let metrics = metrics.as_object().unwrap_or(&nothing);
    let epoch = metrics.get("epoch").and_then(Value::as_i64);
    let group = if epoch.is_some() { "epoch" } else { "final" };
    let numbers = metrics.iter().filter(|(name, _)| *name != "epoch");
    let values = numbers.filter_map(|(name, value)| {
        Some(Scalar {
            tag: format!("{group}/{name}"),
            simple_value: value.as_f64()? as f32,
        })
    });
    record(&Event {
        wall_time: now(),
        step: epoch.unwrap_or(0),
        file_version: None,
        summary: Some(Summary {
            values: values.collect(),
        }),
    })
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

fn record(event: &Event) -> Vec<u8> {
    let event = event.encode_to_vec();
    let length = (event.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked(&length).to_le_bytes());
    record.extend_from_slice(&event);
    record.extend(masked(&event).to_le_bytes());
    record
}

/// CRC-32C as TensorFlow masks it.
fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_a_line_become_scalars_at_the_step_of_its_epoch() {
        let line = serde_json::json!({"epoch": 3, "train_loss": 0.5, "validation_rmse": null});
        let record = scalars(&line);
        let length = u64::from_le_bytes(*record.first_chunk().unwrap()) as usize;
        assert_eq!(record.len(), length + 16);
        let event = Event::decode(&record[12..12 + length]).unwrap();
        assert_eq!(event.step, 3);
        let values = event.summary.unwrap().values;
        let tags: Vec<_> = values
            .iter()
            .map(|it| (it.tag.as_str(), it.simple_value))
            .collect();
        assert_eq!(tags, [("epoch/train_loss", 0.5)]);
    }

    #[test]
    fn checksums_are_those_of_tensorflow() {
        // By tensorboard.summary.writer.record_writer.masked_crc32c.
        assert_eq!(masked(b"123456789"), 0xc78a_b0e5);
    }
}
