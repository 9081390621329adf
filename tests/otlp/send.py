"""Sends metrics by the OpenTelemetry SDK to the base URL given, with the token given, and prints what it sent."""
import sys

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

url, token = sys.argv[1:]
for compression in (Compression.NoCompression, Compression.Gzip):
    exporter = OTLPMetricExporter(
        endpoint=f"{url}/v1/metrics",
        headers={"authorization": f"Bearer {token}"},
        compression=compression,
    )
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=600_000)
    resource = Resource.create({"service.name": "shop", "host.name": f"web-{compression.value}"})
    provider = MeterProvider(metric_readers=[reader], resource=resource)
    meter = provider.get_meter("bartizan")
    meter.create_counter("http.requests", unit="{request}").add(7, {"http.path": "/"})
    meter.create_up_down_counter("queue.length").add(-3)
    meter.create_gauge("system.memory.usage", unit="By").set(1.5e9)
    duration = meter.create_histogram("http.duration", unit="s")
    for seconds in (0.004, 0.2, 30000):
        duration.record(seconds)
    if not provider.force_flush():
        sys.exit("the export failed")
    provider.shutdown()
print("sent")
