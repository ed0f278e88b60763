"""`POST /predict`: the plain way to ask."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from daemon.serving.answerer import Input, features_of
from daemon.serving.errors import NOT_DECODABLE, RequestError
from daemon.serving.service import Service, json_response, snapshot_headers


class Instance(msgspec.Struct, forbid_unknown_fields=True):
    """One row to answer. A feature that is null is a missing value, a boolean is a category."""

    text: str | None = None
    features: dict[str, float | str | bool | None] | None = None


class Body(Instance, forbid_unknown_fields=True):
    """One row, or a list of rows under "instances"."""

    instances: list[Instance] | None = None


_decoder = msgspec.json.Decoder(list[Instance] | Body)


def parse_predict(body: bytes) -> list[Input]:
    """The rows of a `/predict` body: an instance, a list of them, or such a list under "instances".

    >>> parse_predict(b'[{"text": "hi"}, {"features": {"a": 1, "b": "x", "c": null}}]')
    [Input(text='hi', features={}), Input(text='', features={'a': 1.0, 'b': 'x'})]

    Raises `RequestError` for anything else, numbers that are not finite included.
    """
    try:
        parsed = _decoder.decode(body)
    except NOT_DECODABLE as error:
        raise RequestError(f"the body is not what /predict takes: {error}") from error
    if isinstance(parsed, list):
        instances = parsed
    elif parsed.instances is None:
        instances = [parsed]
    elif parsed.text is None and parsed.features is None:
        instances = parsed.instances
    else:
        raise RequestError('the body has "instances" beside "text" or "features"; put every row under "instances"')
    return [_input(row, instance) for row, instance in enumerate(instances)]


def _input(row: int, instance: Instance) -> Input:
    if instance.text is None and instance.features is None:
        raise RequestError(f'instance {row}: it has neither "text" nor "features"')
    return Input(instance.text or "", features_of(instance.features or {}))


def predict_routes(service: Service) -> list[Route]:
    """`POST /predict`."""

    async def predict(request: Request) -> Response:
        async with service.deadline():
            inputs = parse_predict(await service.body(request))
            served = await service.pin(None)
            answers = await service.answer(inputs, served)
        return json_response(
            {"predictions": answers, "snapshot": {"version": served.version, "digest": served.digest}},
            headers=snapshot_headers(served),
        )

    return [Route("/predict", predict, methods=["POST"])]
