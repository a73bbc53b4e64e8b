"""The TensorBoard log of a run: numbers, pictures, distributions and texts, each tag with its description."""

# protobuf makes its classes at run time
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tensorboard.compat.proto.summary_pb2 import (
    DATA_CLASS_BLOB_SEQUENCE,
    DATA_CLASS_SCALAR,
    DATA_CLASS_TENSOR,
    HistogramProto,
    Summary,
    SummaryMetadata,
)
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.text.plugin_data_pb2 import TextPluginData

from stars_dist.monitor.events_file import EventsFile
from stars_dist.monitor.metric_descriptions import describe

BINS = 30  # of a histogram
RGB = 3  # TensorBoard's number for that colour space

Layout = Mapping[str, Mapping[str, tuple[str, list[str]]]]
"""Category -> chart -> ("Multiline", patterns of tags) or ("Margin", the tags of a value and its two ends)."""


class TensorBoardLog:
    """Writes what TensorBoard shows into the events of a run; the first value of each tag carries its description."""

    def __init__(self, events: EventsFile) -> None:
        self._events = events
        self._described: set[str] = set()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write one value per tag."""
        written = [
            self._value(tag, "scalars", DATA_CLASS_SCALAR, simple_value=value)
            for tag, value in values.items()
        ]
        self._events.append(step, written)

    def image(self, step: int, tag: str, pixels: NDArray[np.uint8]) -> None:
        """Write a picture u8[H, W, 3]."""
        from PIL import Image

        encoded = io.BytesIO()
        Image.fromarray(pixels).save(encoded, "png")
        height, width, _ = pixels.shape
        picture = Summary.Image(
            height=height, width=width, colorspace=RGB, encoded_image_string=encoded.getvalue()
        )
        self._events.append(step, [self._value(tag, "images", DATA_CLASS_BLOB_SEQUENCE, image=picture)])

    def histogram(self, step: int, tag: str, values: NDArray[Any]) -> None:
        """Write the distribution of values."""
        wide = np.asarray(values, np.float64)
        counts, edges = np.histogram(wide, BINS)
        distribution = HistogramProto(
            min=wide.min(),
            max=wide.max(),
            num=wide.size,
            sum=wide.sum(),
            sum_squares=np.square(wide).sum(),
            bucket_limit=edges[1:].tolist(),
            bucket=counts.tolist(),
        )
        self._events.append(step, [self._value(tag, "histograms", DATA_CLASS_TENSOR, histo=distribution)])

    def text(self, step: int, tag: str, markdown: str) -> None:
        """Write a text in Markdown."""
        content = TextPluginData(version=0).SerializeToString()
        self._append_bytes(step, f"{tag}/text_summary", "text", content, markdown.encode())

    def layout(self, layout: Layout) -> None:
        """Write the custom layout of the charts."""
        categories = [
            layout_pb2.Category(title=title, chart=[_chart(name, *what) for name, what in charts.items()])
            for title, charts in layout.items()
        ]
        written = layout_pb2.Layout(category=categories).SerializeToString()
        self._append_bytes(0, "custom_scalars__config__", "custom_scalars", b"", written)

    def close(self) -> None:
        """Close the file."""
        self._events.close()

    def _value(self, tag: str, plugin: str, data_class: int, **value: Any) -> Any:
        """Make a value that every reader knows; a description needs the metadata of the plugin that shows it."""
        if tag in self._described:
            return Summary.Value(tag=tag, **value)
        self._described.add(tag)
        owner = SummaryMetadata.PluginData(plugin_name=plugin)
        metadata = SummaryMetadata(
            summary_description=describe(tag), plugin_data=owner, data_class=data_class
        )
        return Summary.Value(tag=tag, metadata=metadata, **value)

    def _append_bytes(self, step: int, tag: str, plugin: str, plugin_content: bytes, written: bytes) -> None:
        owner = SummaryMetadata.PluginData(plugin_name=plugin, content=plugin_content)
        shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)] if plugin == "text" else [])
        tensor = TensorProto(dtype="DT_STRING", string_val=[written], tensor_shape=shape)
        metadata = SummaryMetadata(plugin_data=owner)
        self._events.append(step, [Summary.Value(tag=tag, metadata=metadata, tensor=tensor)])


def _chart(title: str, kind: str, tags: list[str]) -> Any:
    if kind == "Multiline":
        return layout_pb2.Chart(title=title, multiline=layout_pb2.MultilineChartContent(tag=tags))
    value, low, high = tags
    series = layout_pb2.MarginChartContent.Series(value=value, lower=low, upper=high)
    return layout_pb2.Chart(title=title, margin=layout_pb2.MarginChartContent(series=[series]))
