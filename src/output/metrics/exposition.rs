//! The two forms of the text that Prometheus reads.

use std::fmt;

use prometheus::proto;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::families::{Family, Histogram, Sample, Samples, real};

/// A form of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::output) enum Exposition {
    /// Prometheus text 0.0.4: what everything reads, node_exporter's textfile collector among it.
    Prometheus,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Exposition {
    /// The media type with its parameters.
    pub(in crate::output) const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The form that the `Accept` header of a request (RFC 9110, section 12.5.1) asks for: OpenMetrics where it is named and
    /// weighs no less than plain text. Everything else gets plain text, also what asks for neither.
    pub(in crate::output) fn accepted(accept: &str) -> Self {
        let (mut open_metrics, mut plain) = (0.0_f32, 0.0_f32);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
            let parameters = parts.filter_map(|part| part.split_once('='));
            let (mut weight, mut version) = (1.0_f32, "");
            for (name, value) in parameters {
                match name.trim().to_ascii_lowercase().as_str() {
                    "q" => weight = value.trim().parse().unwrap_or(0.0),
                    "version" => version = value.trim().trim_matches('"'),
                    _ => {}
                }
            }
            match (media_type.as_str(), version) {
                ("application/openmetrics-text", "" | "1.0.0") => open_metrics = open_metrics.max(weight),
                ("text/plain", "" | "0.0.4") | ("text/*" | "*/*", _) => plain = plain.max(weight),
                _ => {}
            }
        }
        if open_metrics > 0.0 && open_metrics >= plain { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// The text of families, each of which has samples.
    pub(super) fn encode(self, families: Vec<Family>) -> String {
        let mut text = String::new();
        let is_encoded = match self {
            Self::Prometheus => {
                let families: Vec<_> = families.into_iter().map(prometheus_family).collect();
                prometheus::TextEncoder::new().encode_utf8(&families, &mut text).is_ok()
            }
            Self::OpenMetrics => {
                let mut registry = Registry::default();
                registry.register_collector(Box::new(Families(families)));
                text::encode(&mut text, &registry).is_ok()
            }
        };
        // a string takes everything, and a family without samples is the only other error
        debug_assert!(is_encoded);
        text
    }
}

/// A family as the encoder of text 0.0.4 takes it.
fn prometheus_family(family: Family) -> proto::MetricFamily {
    let (name, field_type, metrics): (_, _, Vec<_>) = match family.samples {
        Samples::Counter(samples) => {
            let metric = |value| {
                let mut counter = proto::Counter::default();
                counter.set_value(real(value));
                let mut metric = proto::Metric::default();
                metric.set_counter(counter);
                metric
            };
            let name = format!("{}_total", family.name);
            (name, proto::MetricType::COUNTER, prometheus_metrics(samples, metric))
        }
        Samples::Gauge(samples) => {
            let metric = |value| {
                let mut gauge = proto::Gauge::default();
                gauge.set_value(value);
                proto::Metric::from_gauge(gauge)
            };
            (family.name.to_owned(), proto::MetricType::GAUGE, prometheus_metrics(samples, metric))
        }
        Samples::Histogram(samples) => {
            let metric = |value| {
                let mut metric = proto::Metric::default();
                metric.set_histogram(prometheus_histogram(&value));
                metric
            };
            (family.name.to_owned(), proto::MetricType::HISTOGRAM, prometheus_metrics(samples, metric))
        }
    };
    let mut encoded = proto::MetricFamily::default();
    encoded.set_name(name);
    encoded.set_help(family.help.to_owned());
    encoded.set_field_type(field_type);
    encoded.set_metric(metrics);
    encoded
}

fn prometheus_metrics<T>(samples: Vec<Sample<T>>, metric: impl Fn(T) -> proto::Metric) -> Vec<proto::Metric> {
    let metrics = samples.into_iter().map(|sample| {
        let mut metric = metric(sample.value);
        let labels = sample.labels.into_iter().map(|(name, value)| {
            let mut label = proto::LabelPair::default();
            label.set_name(name.to_owned());
            label.set_value(value);
            label
        });
        metric.set_label(labels.collect());
        metric
    });
    metrics.collect()
}

fn prometheus_histogram(histogram: &Histogram) -> proto::Histogram {
    let mut below = 0;
    let buckets = histogram.buckets.iter().map(|(le, within)| {
        below += within;
        let mut bucket = proto::Bucket::default();
        bucket.set_upper_bound(*le);
        bucket.set_cumulative_count(below);
        bucket
    });
    let mut encoded = proto::Histogram::default();
    encoded.set_bucket(buckets.collect());
    encoded.set_sample_count(histogram.count);
    encoded.set_sample_sum(histogram.sum);
    encoded
}

/// Families as the encoder of OpenMetrics takes them.
#[derive(Debug)]
struct Families(Vec<Family>);

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        for Family { name, help, samples } in &self.0 {
            match samples {
                Samples::Counter(samples) => {
                    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
                    each(&mut family, samples, |metric, sample| {
                        metric.encode_counter::<NoLabelSet, _, u64>(&sample.value, None)
                    })?;
                }
                Samples::Gauge(samples) => {
                    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
                    each(&mut family, samples, |metric, sample| metric.encode_gauge(&sample.value))?;
                }
                Samples::Histogram(samples) => {
                    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
                    each(&mut family, samples, |metric, sample| open_metrics_histogram(metric, &sample.value))?;
                }
            }
        }
        Ok(())
    }
}

/// Encodes each sample of a family.
fn each<T>(
    family: &mut MetricEncoder<'_>,
    samples: &[Sample<T>],
    encode: impl Fn(&mut MetricEncoder<'_>, &Sample<T>) -> fmt::Result,
) -> fmt::Result {
    samples.iter().try_for_each(|sample| {
        if sample.labels.is_empty() {
            encode(family, sample)
        } else {
            encode(&mut family.encode_family(&sample.labels)?, sample)
        }
    })
}

fn open_metrics_histogram(metric: &mut MetricEncoder<'_>, histogram: &Histogram) -> fmt::Result {
    let below: u64 = histogram.buckets.iter().map(|(_, within)| within).sum();
    let above = (f64::INFINITY, histogram.count.saturating_sub(below));
    let buckets: Vec<_> = histogram.buckets.iter().copied().chain([above]).collect();
    metric.encode_histogram::<NoLabelSet>(histogram.sum, histogram.count, &buckets, None)
}
