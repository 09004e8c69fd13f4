"""The vendor's messages through the `protobuf` library: the oracle of what the simulator writes by hand and the core walks over.

The descriptor is built from the wire page's tables alone: spatius' `Message` with the fields that its sibling SpatialReal adds.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

Field = descriptor_pb2.FieldDescriptorProto
INT32, BOOL, STRING, BYTES = Field.TYPE_INT32, Field.TYPE_BOOL, Field.TYPE_STRING, Field.TYPE_BYTES

MESSAGES: Final[dict[str, list[tuple[str, int, int | str]]]] = {
    "LiveKit": [("url", 1, STRING), ("api_key", 2, STRING), ("api_secret", 3, STRING), ("room_name", 4, STRING),
                ("publisher_id", 5, STRING), ("idle_timeout", 7, INT32), ("api_token", 8, STRING)],
    "Agora": [("channel_name", 1, STRING), ("token", 2, STRING), ("uid", 3, INT32), ("publisher_id", 4, STRING)],
    "Configure": [("sample_rate", 1, INT32), ("bitrate", 2, INT32), ("audio_format", 3, INT32), ("transport_compression", 4, INT32),
                  ("egress_type", 5, INT32), ("livekit_egress", 6, "LiveKit"), ("agora_egress", 7, "Agora")],
    "Confirm": [("connection_id", 1, STRING), ("capability", 2, STRING)],
    "Trace": [("traceparent", 1, STRING), ("tracestate", 2, STRING)],
    "Audio": [("req_id", 1, STRING), ("end", 2, BOOL), ("audio", 3, BYTES), ("trace_context", 4, "Trace")],
    "Error": [("connection_id", 1, STRING), ("req_id", 2, STRING), ("code", 3, INT32), ("message", 4, STRING)],
    "Animation": [("connection_id", 1, STRING), ("req_id", 2, STRING), ("end", 3, BOOL), ("animation", 4, BYTES), ("avatar_id", 5, STRING)],
    "Interrupt": [("req_id", 1, STRING)],
    "PlaybackState": [("connection_id", 1, STRING), ("req_id", 2, STRING), ("state", 3, INT32), ("played_ms", 4, INT32),
                      ("reason", 5, STRING)],
    "Message": [("type", 1, INT32), ("configure", 2, "Configure"), ("confirm", 3, "Confirm"), ("audio", 4, "Audio"),
                ("error", 5, "Error"), ("animation", 6, "Animation"), ("interrupt", 8, "Interrupt"), ("pause", 9, "Interrupt"),
                ("resume", 10, "Interrupt"), ("playback_state", 11, "PlaybackState")],
}
TYPES: Final = {name: number - 1 for name, number, _ in MESSAGES["Message"] if name != "type"}


def _class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="ingress.proto", package="ingress", syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        if name == "Message":
            message.oneof_decl.add(name="data")
        for field_name, number, kind in fields:
            field = message.field.add(name=field_name, number=number, label=Field.LABEL_OPTIONAL)
            field.type = Field.TYPE_MESSAGE if isinstance(kind, str) else kind  # type: ignore[assignment]
            if isinstance(kind, str):
                field.type_name = f".ingress.{kind}"
            if name == "Message" and isinstance(kind, str):
                field.oneof_index = 0
            if field_name == "capability":
                field.label = Field.LABEL_REPEATED
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("ingress.Message"))


Message: Final = _class()


def build(kind: str, **fields: Any) -> bytes:
    """`build("audio", req_id="r", audio=b"..")`: the bytes of one message."""
    message = Message(type=TYPES[kind], **{kind: fields})
    getattr(message, kind).SetInParent()
    data: bytes = message.SerializeToString()
    return data


def read(data: bytes) -> Any:
    message = Message()
    message.ParseFromString(data)
    return message
